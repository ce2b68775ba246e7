"""Contributions of public data to real trainers, and to contracts that feign to be one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_utils.crypto import keccak
from web3 import Web3

from ddcai.audit.index.contracts import Beside
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.ledger import Ledger
from ddcai.chain.node.connection import connect
from ddcai.chain.transactions import Sender
from tests.chain import trainers
from tests.chain.support import CONTRIBUTORS, STRANGER, Scene, advance, stage
from tests.chain.trainers import DAY_S, sample, teach
from tests.federation import play_chain

ALICE, BOB = CONTRIBUTORS[0], STRANGER


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A federation with an open round, on a chain whose clock may be moved."""
    with play_chain() as chain:
        staged = stage(connect(chain.url))
        staged.submit(staged.open(), *CONTRIBUTORS[:2])
        yield staged


def sync(scene: Scene, path: Path, *given: str) -> Path:
    with Index(path, writable=True) as index:
        Sync(index, scene.w3, scene.deployment.federation, beside=Beside(trainers=given)).run()
    return path


def test_contributions_to_two_trainers(scene: Scene, tmp_path: Path) -> None:
    w3 = scene.w3
    one, other = trainers.deploy(w3), trainers.deploy(w3)
    alice, bob = trainers.trainer(w3, one, ALICE), trainers.trainer(w3, one, BOB)
    elsewhere = trainers.trainer(w3, other, BOB)
    first = teach(alice, sample(1), 1)
    second = teach(bob, sample(1), 2)
    third = teach(alice, sample(3), 2)
    fourth = teach(elsewhere, sample(1, 2), 1)
    assert (first.id, fourth.id) == (1, 1)  # each incentive counts its own
    advance(w3, DAY_S)
    bob.refund(second)
    bob.report(first)
    elsewhere.refund(fourth)
    with Ledger.open(sync(scene, tmp_path / "i.sqlite", one.trainer, other.trainer)) as ledger:
        rows = ledger.contributions()
    assert [(row.trainer, row.id, row.outcome) for row in rows] == [
        (one.trainer, 1, "reported"),
        (one.trainer, 2, "refunded"),
        (one.trainer, 3, "open"),
        (other.trainer, 1, "refunded"),
    ]
    for row, made in zip(rows, (first, second, third, fourth), strict=True):
        assert (row.contributor, row.label, row.predicted, row.price_wei) == (
            made.contributor,
            made.label,
            made.predicted,
            made.price_wei,
        )
        assert row.features_bytes == len(made.features)
    # What was paid out and the points are what the contracts have on their accounts.
    assert rows[0].reported_wei > 0
    for trainer, own in ((bob, rows[:3]), (elsewhere, rows[3:])):
        paid = sum(row.refunded_wei + row.reported_wei for row in own)
        assert paid == trainer.incentive.owed_wei(BOB.address)
        assert sum(row.points for row in own) == trainer.incentive.points(BOB.address).own


def feigned(w3: Web3, topics: int) -> str:
    """A contract that answers every question with one word, and emits what it is told to.

    Four bytes: a question. A word: the answer from now on. More: so many topics, and the data.
    """
    start = "36600414{0}5736602014{1}57"
    log = f"60{32 * topics:02x}360360{32 * topics:02x}600037"  # the data to memory
    log += "".join(f"60{32 * place:02x}35" for place in reversed(range(topics)))
    log += f"60{32 * topics:02x}36036000{0xA0 + topics:02x}00"
    answer, keep = "5b60005460005260206000f3", "5b60003560005500"
    begin = (len(start.format("6000", "6000")) + len(log)) // 2
    labels = f"60{begin:02x}", f"60{begin + len(answer) // 2:02x}"
    run = start.format(*labels) + log + answer + keep
    size = f"60{len(run) // 2:02x}"
    made = Sender(w3, BOB).send(None, bytes.fromhex(f"{size}600c600039{size}6000f3{run}"))
    assert made.contract_address is not None
    return made.contract_address


def word(value: str | int) -> bytes:
    return (int(value, 16) if isinstance(value, str) else value).to_bytes(32, "big")


def test_a_feigned_incentive_cannot_hide_the_federation(scene: Scene, tmp_path: Path) -> None:
    """It says that the federation's own address is its bounty."""
    trainer, incentive = feigned(scene.w3, 2), feigned(scene.w3, 2)
    sender, federation = Sender(scene.w3, BOB), scene.deployment.federation
    sender.send(trainer, word(incentive))
    sender.send(incentive, word(trainer))
    told = keccak(text="BountyAttached(address,uint256)")
    sender.send(incentive, told + word(federation) + word(10**10))
    with Ledger.open(sync(scene, tmp_path / "i.sqlite", trainer)) as ledger:
        [round_] = ledger.rounds()
        assert round_.contributors == 2
        assert len(ledger.contributors()) == len(CONTRIBUTORS)


def test_two_that_feign_to_have_one_incentive(scene: Scene, tmp_path: Path) -> None:
    """Once each of them was told to be its trainer."""
    one, other, incentive = (feigned(scene.w3, 4) for _ in range(3))
    sender = Sender(scene.w3, BOB)
    told = keccak(text="Contributed(uint256,address,uint256,uint256,uint256,uint256,bytes)")
    features = [4 * 32, 3, 0x010203 << 232]
    for trainer in (one, other):
        sender.send(trainer, word(incentive))
        sender.send(incentive, word(trainer))
        topics = told + word(1) + word(BOB.address) + word(2)
        sender.send(trainer, topics + b"".join(map(word, [0, 7, 0, *features])))
        path = sync(scene, tmp_path / "i.sqlite", trainer)
    with Ledger.open(path) as ledger:
        rows = ledger.contributions()
    assert [(row.trainer, row.price_wei, row.features_bytes) for row in rows] == [
        (one, 7, 3),
        (other, 7, 3),
    ]
    assert {row.outcome for row in rows} == {"open"}
