"""Whose signature opens a round, where T of N accounts share the key and hand it on.

| round | opened in epoch | what happens |
|---|---|---|
| 1 | 1 | finalised by holders of epoch 1 |
| 2 | 1 | finalised by holders of epoch 2, which the contract takes |
| 3 | 2 | finalised by holders of epoch 1 in their grace, which the contract takes |
| 4 | 2 | finalised by holders of epoch 2 after epoch 3 is registered, in their grace |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ddcai.audit import claims
from ddcai.audit.claims import Claim, Status
from ddcai.audit.history import History
from ddcai.audit.keys import key_rows
from ddcai.audit.recorded import RecordedFederation
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect
from ddcai.chain.opening import opening_message
from ddcai.errors import ChainError
from ddcai.store import Store
from tests.audit.node_reading import read_history
from tests.audit.test_verify import final_with, of, rounds_with
from tests.chain.holders import (
    BY_ADDRESS,
    FIRST,
    SECOND,
    facade,
    finalize,
    malleated,
    next_epoch,
    one_signature,
    rekeyed,
    sealed,
    signature_of,
    signed,
    stage_holders,
)
from tests.chain.support import COORDINATOR, Scene


@pytest.fixture(scope="module")
def scene(chain_url: str) -> Scene:
    """The federation of the table above."""
    made = stage_holders(connect(chain_url))
    first = facade(made).current()
    finalize(made, sealed(made), first, (0, 2))
    number = sealed(made)
    second = rekeyed(made)
    finalize(made, number, second)
    finalize(made, sealed(made), first)
    number = sealed(made)
    holders = facade(made)
    rekey = next_epoch(holders, holders=first.holders, threshold=2)
    holders.rekey(rekey, signed(rekey, SECOND[:3]))
    finalize(made, number, second, (1, 2, 3))
    return made


@pytest.fixture(scope="module")
def epochs(scene: Scene) -> History:
    """What the chain says of it."""
    return read_history(scene.w3, scene.deployment.federation)


def openings(history: History, folder: Path) -> dict[int | None, Claim]:
    """The claims about the key holders' signatures, by round; an audit without any blob."""
    found = verify(history, Store(folder))
    return {one.round: one for one in found if one.name == claims.OPENING}


def test_the_holders_of_a_rounds_epoch_open_it(epochs: History, tmp_path: Path) -> None:
    found = openings(epochs, tmp_path)
    first, second, _ = epochs.key_epochs
    assert [found[number].status for number in (1, 2, 3, 4)] == [
        Status.PASS,
        Status.FAIL,
        Status.FAIL,
        Status.PASS,
    ]
    assert found[1].expected == "2 of 3 holders of epoch 1"
    assert found[1].found == f"2 of 3 signed: {first.holders[0]}, {first.holders[2]}"
    assert found[4].expected == "3 of 4 holders of epoch 2"
    assert found[4].found == f"3 of 4 signed: {', '.join(second.holders[1:])}"


def test_another_epochs_holders_do_not_though_the_contract_takes_them(
    epochs: History, tmp_path: Path
) -> None:
    found = openings(epochs, tmp_path)
    assert "signed for epoch 2, not by 2 of 3 holders of epoch 1" in found[2].found
    assert "signed for epoch 1, not by 3 of 4 holders of epoch 2" in found[3].found


def _again(signature: bytes, *places: int) -> bytes:
    """Some of the signatures, in this order."""
    ones = [signature[at : at + 65] for at in range(8, len(signature), 65)]
    return signature[:8] + b"".join(ones[place] for place in places)


def _others(history: History, message: bytes) -> bytes:
    return signature_of(history.key_epochs[1], message)


def _outsider(history: History, message: bytes, signature: bytes) -> bytes:
    """A holder of the next epoch in the place of one of this epoch's."""
    chosen = sorted([FIRST[0], SECOND[0]], key=lambda one: one.address.lower())
    return signature[:8] + b"".join(one_signature(one, message) for one in chosen)


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (lambda h, m, s: _again(s, 0), "bytes"),
        (lambda h, m, s: _again(s, 0, 0), "once each"),
        (lambda h, m, s: _again(s, 1, 0), "ascending"),
        (_outsider, SECOND[0].address),
        (lambda h, m, s: _others(h, m), "for epoch 2"),
        (lambda h, m, s: s[:8] + _others(h, m)[8:], "signed by"),
        (lambda h, m, s: s[:8] + malleated(s[8:73]) + s[73:], "higher s"),
        (lambda h, m, s: s[:-1] + bytes([s[-1] - 27]), "v of"),
        (lambda h, m, s: s[8:73], "bytes"),
        (lambda h, m, s: s[:-1], "bytes"),
        (lambda h, m, s: signature_of(h.key_epochs[0], bytes(32)), ""),
    ],
    ids=[
        "missing", "twice", "order", "outsider", "other epoch", "outsiders", "malleated", "v",
        "one account", "cut", "other message",
    ],
)  # fmt: skip
def test_tampered_signatures_fail_the_claim(
    epochs: History, tmp_path: Path, attack: Callable[[History, bytes, bytes], bytes], told: str
) -> None:
    round_ = of(epochs, 1)
    assert round_.sealing is not None
    assert round_.finalisation is not None
    message = opening_message(
        epochs.chain_id,
        epochs.contract,
        1,
        round_.sealing.sum_digest,
        round_.finalisation.opened_digest,
    )
    forged = attack(epochs, message, round_.finalisation.opening_signature)
    claim = openings(final_with(epochs, 1, opening_signature=forged), tmp_path)[1]
    assert (claim.status, claim.expected) == (Status.FAIL, "2 of 3 holders of epoch 1")
    assert told in claim.found


def test_a_round_older_than_every_key_fails(epochs: History, tmp_path: Path) -> None:
    early = replace(of(epochs, 1).opened, block_number=epochs.key_epochs[0].registered_block - 1)
    changed = rounds_with(epochs, 1, opened=early)
    claim = openings(changed, tmp_path)[1]
    assert claim.status is Status.FAIL
    assert "no key epoch was registered" in claim.found
    assert key_rows(changed)[0].rounds == (2,)


def test_rules_with_another_key_than_the_holders_share_fail(
    epochs: History, tmp_path: Path
) -> None:
    """Whoever deploys the contracts by other means could have contributors encrypt to a key of
    their own."""

    def found(history: History) -> Claim:
        told = verify(history, Store(tmp_path))
        return next(one for one in told if one.name == claims.ENCRYPTION_KEY)

    assert found(epochs).found == claims.ABSENT
    first, *later = epochs.key_epochs
    changed = replace(epochs, key_epochs=(replace(first, key_digest=bytes(32)), *later))
    claim = found(changed)
    assert claim.status is Status.FAIL
    assert claim.found == "0x" + epochs.rules.encryption_key_digest.hex()


def test_what_is_recomputed_asks_the_same_holders(scene: Scene, epochs: History) -> None:
    recorded, live = RecordedFederation(epochs), scene.by(COORDINATOR)
    for number, epoch in ((1, 0), (2, 0), (3, 1), (4, 1)):
        assert recorded.key_holder_of(number) == epochs.key_epochs[epoch]
        assert live.key_holder_of(number) == epochs.key_epochs[epoch]
    with pytest.raises(ChainError, match="never opened"):
        recorded.key_holder_of(5)


def test_rows_of_keys(scene: Scene, epochs: History, history: History) -> None:
    rows = key_rows(epochs)
    assert [(row.epoch, row.signatures, row.rounds) for row in rows] == [
        (1, "2 of 3", (1, 2)),
        (2, "3 of 4", (3, 4)),
        (3, "2 of 3", ()),
    ]
    for row, epoch in zip(rows, facade(scene).epochs(), strict=True):
        assert row.key_digest == "0x" + epoch.key_digest.hex()
        assert row.ceremony_digest == "0x" + epoch.ceremony_digest.hex()
        assert set(row.holders) <= BY_ADDRESS.keys()
        assert (row.block, row.time.timestamp()) == (epoch.registered_block, epoch.registered_at)
    assert key_rows(history) == ()
