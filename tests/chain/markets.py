"""What tests of prediction markets share: a market with a real model, and its sponsor's secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass

from eth_account.signers.local import LocalAccount
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import creation
from ddcai.chain.node.connection import request
from ddcai.chain.prediction_market import PredictionMarket
from ddcai.chain.trainer import Trainer
from ddcai.chain.trainer_deployment import create_address
from ddcai.chain.transactions import Sender
from ddcai.incentives.prediction_market import Rules, piece_digest
from ddcai.models.heads import Classifier
from tests.chain.support import SPONSOR
from tests.chain.trainers import nonce

DAY_S = 86_400
DELAY = 3


@dataclass
class Market:
    """A market in the phase Committed, and what only its sponsor knows."""

    w3: Web3
    address: str
    trainer: str
    model: str
    pieces: list[bytes]
    salts: list[bytes]
    words: int
    start: int

    def by(self, account: LocalAccount | None) -> PredictionMarket:
        sender = None if account is None else Sender(self.w3, account)
        return PredictionMarket(self.w3, self.address, sender)

    def trainer_by(self, account: LocalAccount) -> Trainer:
        return Trainer(
            self.w3, self.trainer, self.model, self.by(account), Sender(self.w3, account)
        )

    def open(self, account: LocalAccount = SPONSOR) -> int:
        """Draws, matches and shows; the drawn piece."""
        market = self.by(account)
        while int(request(self.w3, "eth_blockNumber", []), 16) <= market.draw_block():
            request(self.w3, "evm_mine", [])
        market.draw()
        index = market.drawn()
        assert index is not None
        market.match_models(self.words)
        market.reveal(index, self.salts[index], self.pieces[index])
        return index


def deploy(
    w3: Web3, twin: Classifier, pieces: list[bytes], *, bounty_wei: int, stake_wei: int
) -> Market:
    """Two instances of a model, a market with the second, a trainer with the first."""
    sender = Sender(w3, SPONSOR)
    models = [_model(w3, sender, twin) for _ in range(2)]
    salts = [os.urandom(32) for _ in pieces]
    start = int(request(w3, "eth_getBlockByNumber", ["latest", False])["timestamp"], 16)
    rules = Rules(
        sponsor=SPONSOR.address,
        stake_wei=stake_wei,
        max_contributions=1000,
        draw_delay_blocks=DELAY,
        show_by=start + DAY_S,
        contribute_until=start + 2 * DAY_S,
        reveal_by=start + 3 * DAY_S,
        evaluate_by=start + 4 * DAY_S,
    )
    digests = [
        piece_digest(i, salt, data)
        for i, (salt, data) in enumerate(zip(salts, pieces, strict=True))
    ]
    trainer = create_address(SPONSOR.address, nonce(w3, SPONSOR) + 1)
    arguments = (trainer, models[1].address, rules.to_abi(), digests)
    market = sender.send(None, creation("PredictionMarket", arguments), bounty_wei)
    assert market.contract_address is not None
    created = sender.send(
        None, creation("CollaborativeTrainer", (models[0].address, market.contract_address))
    )
    assert created.contract_address == trainer
    for model, owner in zip(models, (trainer, market.contract_address), strict=True):
        sender.send(model.address, model.encode("transferOwnership", [owner]))
    return Market(
        w3,
        market.contract_address,
        trainer,
        models[0].address,
        pieces,
        salts,
        twin.word_count,
        start,
    )


def _model(w3: Web3, sender: Sender, twin: Classifier) -> Contract:
    arguments = (twin.feature_limit, twin.class_limit, twin.parameter)
    created = sender.send(None, creation(twin.kind, arguments))
    assert created.contract_address is not None
    model = Contract(w3, created.contract_address, artifact.load(twin.kind))
    sender.send(model.address, model.encode("load", [0, twin.to_words()]))
    sender.send(model.address, model.encode("seal", []))
    return model
