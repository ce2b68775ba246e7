"""A world whose every step is done by the contracts too, on a chain with a clock of its own."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from ddcai.chain.classifier import Classifier as OnChain
from ddcai.chain.classifier_deployment import deploy_classifier
from ddcai.chain.contributions import Contributed, Refunded, Reported
from ddcai.chain.incentive import self_assessment
from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import EmbeddedChain, dev_accounts
from ddcai.chain.trainer import Trainer
from ddcai.chain.trainer_deployment import deploy_trainer
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import ChainError
from ddcai.incentives.ledger import SelfAssessmentLedger
from ddcai.incentives.self_assessment import Rules
from ddcai.models.heads import Classifier
from ddcai.simulation.task import Row
from ddcai.simulation.world import Sample, World

GAS_MONEY_WEI = 10 * 10**18


class Clock:
    """The time of a simulated chain: it moves only when it is told to."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def account(number: int) -> LocalAccount:
    """The key of an account of a simulation. Anybody can compute it: for play chains only."""
    key: LocalAccount = Account.from_key(keccak(text=f"ddcai simulation account {number}"))
    return key


class ContractWorld(World):
    """The twins, a trainer with its model and incentive on an embedded chain, and both compared.

    Use as a context manager.

    Attributes:
        gas: used, by kind of transaction; `counts` has how many there were.
    """

    def __init__(
        self, model: Classifier, rules: Rules, wallets_wei: Sequence[int], now: int
    ) -> None:
        """Deploys the model and its trainer, and gives each account what it starts with.

        Args:
            model: what is deployed; it learns here too.
            rules: whose owner is one of the accounts, or nobody's.
            now: unix seconds, when all is deployed.
        """
        self._clock = Clock(now)
        self._chain = EmbeddedChain(clock=self._clock)
        try:
            self._w3 = connect(self._chain.url)
            keys = [account(number) for number in range(len(wallets_wei))]
            addresses = [key.address for key in keys]
            bank = dev_accounts()[0]
            sender = Sender(self._w3, bank)
            for address, wei in zip(addresses, wallets_wei, strict=True):
                sender.send(address, b"", wei + GAS_MONEY_WEI)
            names = [str(class_) for class_ in range(model.class_limit)]
            with tempfile.TemporaryDirectory(prefix="ddcai-simulation-") as folder:
                deployed = deploy_classifier(
                    self._w3, sender, model, name="simulation", class_names=names, folder=folder
                )
            made = deploy_trainer(self._w3, bank, deployed.address, self_assessment(rules))
            self._model = OnChain(self._w3, deployed.address)
            self._trainers = [
                Trainer.connect(
                    self._w3, made.trainer, Sender(self._w3, key), from_block=made.deployed_block
                )
                for key in keys
            ]
        except BaseException:
            self._chain.close()
            raise
        super().__init__(model, SelfAssessmentLedger(rules, now), addresses, wallets_wei, now)
        self._contributed: dict[int, Contributed] = {}
        self._paid_for_gas_wei = [0] * len(wallets_wei)
        self.gas: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._chain.close()

    def contribute(self, account: int, row: Row, label: int) -> Sample | None:
        wallet_wei = self.wallets_wei[account]
        made = super().contribute(account, row, label)
        if made is None:
            return None
        self._clock.now = self.now
        trainer = self._trainers[account]
        receipt = trainer.contribute(
            self.model.row_bytes(row),
            label,
            release=0,
            maximum_wei=made.price_wei,
            deadline=self.now,
            value_wei=wallet_wei - self.wallets_wei[account],
        )
        self._count("contribute", account, receipt)
        [told] = trainer.contributed_in(receipt)
        _require_same(
            "contribution",
            (told.id, told.label, told.price_wei, told.time),
            (made.id, label, made.price_wei, self.now),
        )
        self._contributed[told.id] = told
        return made

    def claim(
        self, account: int, refunds: Sequence[Sample], reports: Sequence[Sample]
    ) -> list[int]:
        expected = super().claim(account, refunds, reports)
        self._clock.now = self.now
        trainer = self._trainers[account]
        receipt = trainer.claim(
            [self._contributed[one.id] for one in refunds],
            [self._contributed[one.id] for one in reports],
        )
        self._count("claim", account, receipt)
        paid = [
            one.amount_wei
            for one in trainer.events_in(receipt)
            if isinstance(one, Refunded | Reported)
        ]
        _require_same("claims", paid, expected)
        return expected

    def close(self) -> None:
        owed = [self.ledger.owed_wei[address] for address in self.accounts]
        super().close()
        self._clock.now = self.now
        for number, trainer in enumerate(self._trainers):
            incentive, address = trainer.incentive, self.accounts[number]
            _require_same("points", incentive.points(address).own, self.points(number))
            _require_same("what is owed", incentive.owed_wei(address), owed[number])
            if owed[number]:
                self._count("withdraw", number, incentive.withdraw())
            balance = int(request(self._w3, "eth_getBalance", [address, "latest"]), 16)
            spent = GAS_MONEY_WEI - self._paid_for_gas_wei[number]
            _require_same("balance", balance - spent, self.wallets_wei[number])
        _require_same("words", self._model.words(), self.model.to_words())

    def _count(self, kind: str, account: int, receipt: Receipt) -> None:
        self.gas[kind] += receipt.gas_used
        self.counts[kind] += 1
        self._paid_for_gas_wei[account] += receipt.cost_wei


def _require_same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise ChainError(f"contract and twin differ in {what}: {found} and {expected}")
