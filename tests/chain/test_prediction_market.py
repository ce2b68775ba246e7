"""A whole market on SMS data: who improves the model gains, who harms it pays, to the wei."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from web3 import Web3

import ddcai.data
from ddcai.chain.block_header import block_header, prev_randao
from ddcai.chain.node.connection import request
from ddcai.chain.prediction_market import Phase, Progress
from ddcai.data.sms import dataset, sms_config
from ddcai.errors import ChainError, ContractReverted
from ddcai.incentives.prediction_market import (
    Sample,
    count_errors,
    decode_piece,
    drawn_piece,
    encode_piece,
    evaluate,
    loss_wei,
    piece_digest,
)
from ddcai.models.heads import SparsePerceptron
from tests.chain import markets
from tests.chain.support import CONTRIBUTORS, SPONSOR, STRANGER, advance

SET = Path(ddcai.data.__file__).parent / "sets" / "sms-spam" / "SMSSpamCollection.txt"
HONEST, FLIPPER = CONTRIBUTORS[:2]
BOUNTY, STAKE = 10**18 + 7, 10**17 + 3
TEST, PIECES, TAUGHT = 48, 4, 8


def _blank(features: int) -> SparsePerceptron:
    return SparsePerceptron(np.zeros((1, features), np.int16), np.zeros(1, np.int16), 1)


def _sms() -> list[Sample]:
    """Balanced messages as samples, spam every other one."""
    x, y = dataset(str(SET), sms_config())
    order = np.random.default_rng(1).permutation(len(y))
    by_class = [[i for i in order if y[i] == c][:60] for c in range(2)]
    twin = _blank(x.shape[1])
    return [
        Sample(twin.row_bytes(np.flatnonzero(x[i])), int(y[i]))
        for pair in zip(*by_class, strict=True)
        for i in pair
    ]


@pytest.mark.slow
def test_honest_contributors_gain_and_a_label_flipper_pays(w3: Web3) -> None:
    samples = _sms()
    test, rest = samples[:TEST], samples[TEST:]
    twin = _blank(1024)  # everything is ham
    pieces = [encode_piece(test[i::PIECES]) for i in range(PIECES)]
    scene = markets.deploy(w3, twin, pieces, bounty_wei=BOUNTY, stake_wei=STAKE)
    market = scene.by(STRANGER)
    assert market.phase() == Phase.COMMITTED
    assert market.rules().stake_wei == STAKE
    shown = scene.open()
    randao = request(w3, "eth_getBlockByNumber", [hex(market.draw_block()), False])["mixHash"]
    assert shown == drawn_piece(scene.address, bytes.fromhex(randao[2:]), PIECES)
    assert decode_piece(market.piece_data(shown)) == test[shown::PIECES]
    digests = [piece_digest(i, scene.salts[i], pieces[i]) for i in range(PIECES)]
    assert market.piece_digests() == digests

    made = []
    for place, one in enumerate(rest[:TAUGHT]):
        honest = place % 4 != 3
        label = one.label if honest else 1 - one.label
        by = scene.trainer_by(HONEST if honest else FLIPPER)
        receipt = by.contribute(
            one.features,
            label,
            release=0,
            maximum_wei=STAKE,
            deadline=scene.start + 2 * markets.DAY_S,
            value_wei=STAKE,
        )
        made += by.contributed_in(receipt)
    held = BOUNTY + TAUGHT * STAKE
    assert int(request(w3, "eth_getBalance", [scene.address, "latest"]), 16) == held

    advance(w3, 2 * markets.DAY_S)
    for index in range(PIECES):
        if index != shown:
            scene.by(SPONSOR).reveal(index, scene.salts[index], pieces[index])
    ordered = [one for data in pieces for one in decode_piece(data)]
    assert market.phase() == Phase.EVALUATING
    assert market.progress().samples == TEST
    assert market.progress().errors == count_errors(twin, ordered)

    # Small steps, so that a trial takes several transactions; a second run finds nothing to do.
    seen: list[Progress] = []
    receipts = market.evaluate(made, step_gas=1_500_000, report=seen.append)
    assert max(one.gas_used for one in receipts) <= 1_500_000
    assert any(one.trial_offset for one in seen)
    assert [one.evaluated for one in seen] == sorted(one.evaluated for one in seen)
    assert market.evaluate(made) == []
    taught = [Sample(one.features, one.label) for one in made]
    rewards, model = evaluate(twin, ordered, taught, bounty_wei=BOUNTY, stake_wei=STAKE)
    assert market.phase() == Phase.FINISHED
    assert market.progress().errors == rewards[-1].errors == count_errors(model, ordered)
    owed = {account.address: 0 for account in (HONEST, FLIPPER)}
    for one, reward in zip(made, rewards, strict=True):
        owed[one.contributor] += STAKE + reward.reward_wei
    assert {account: market.owed_wei(account) for account in owed} == owed
    assert owed[HONEST.address] > (TAUGHT - TAUGHT // 4) * STAKE
    assert owed[FLIPPER.address] < TAUGHT // 4 * STAKE

    market.collect()
    total = sum(owed.values()) + market.owed_wei(SPONSOR.address)
    assert total == held
    kept = [one for one in rewards if one.kept]
    change = loss_wei(BOUNTY, count_errors(twin, ordered), TEST) - loss_wei(
        BOUNTY, rewards[-1].errors, TEST
    )
    assert sum(one.reward_wei for one in kept) == change
    for account in (HONEST, FLIPPER, SPONSOR):
        if market.owed_wei(account.address):
            scene.by(account).withdraw()
    assert int(request(w3, "eth_getBalance", [scene.address, "latest"]), 16) == 0


def test_a_draw_before_its_block_and_a_foreign_salt_are_refused(w3: Web3) -> None:
    twin = _blank(16)
    pieces = [encode_piece([Sample(b"\0\1", 1)]), encode_piece([Sample(b"\0\2", 0)])]
    scene = markets.deploy(w3, twin, pieces, bounty_wei=BOUNTY, stake_wei=STAKE)
    market = scene.by(STRANGER)
    while int(request(w3, "eth_blockNumber", []), 16) <= market.draw_block():
        request(w3, "evm_mine", [])
    assert market.drawn() is None
    market.draw()
    index = market.drawn()
    assert index is not None
    market.match_models(twin.word_count)
    with pytest.raises(ContractReverted) as caught:
        market.reveal(index, bytes(32), pieces[index])
    assert caught.value.name == "WrongPieceData"
    with pytest.raises(ContractReverted) as caught:
        market.collect()
    assert caught.value.name == "WrongPhase"
    advance(w3, markets.DAY_S + 1)
    assert market.phase() == Phase.FORFEITED
    market.collect()
    assert market.owed_wei(SPONSOR.address) == 0


def test_a_header_is_what_the_block_s_hash_is_of(node: Web3) -> None:
    request(node, "evm_mine", [])
    assert len(block_header(node, 1)) > 500
    with pytest.raises(ChainError, match="no block 1000000"):
        block_header(node, 1_000_000)
    value = prev_randao(node, 1)
    assert value is not None
    assert value in block_header(node, 1)
    assert prev_randao(node, 1_000_000) is None


def test_writes_need_an_account(w3: Web3) -> None:
    twin = _blank(16)
    pieces = [encode_piece([Sample(b"\0\1", 1)]), encode_piece([Sample(b"\0\2", 0)])]
    scene = markets.deploy(w3, twin, pieces, bounty_wei=BOUNTY, stake_wei=STAKE)
    with pytest.raises(ChainError, match="--keystore"):
        scene.by(None).collect()
