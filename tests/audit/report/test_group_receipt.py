"""Receipts of contributors of groups, and every way to make a false one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcai.audit.report.group_receipt import MAX_BYTES, GroupInclusion, GroupReceipt
from ddcai.chain.update_batches import UpdateBatches
from ddcai.errors import ConfigurationError, MalformedError, RoundError, VerificationError
from ddcai.rounds.batch import BatchList
from tests.audit.test_groups import honest, post
from tests.groups import DIRECT, GROUPS, SIZE, TwoLevels

STRANGER = "0x000000000000000000000000000000000000dEaD"


def _batches(levels: TwoLevels) -> UpdateBatches:
    found = levels.federation.coordinator.party.update_batches
    assert found is not None
    return found


def receipt_of(
    levels: TwoLevels, number: int, group: int, leaf: int, who: str = ""
) -> GroupReceipt:
    """From the list that the store has."""
    party, batches = levels.federation.coordinator.party, _batches(levels)
    context, account = party.context(number), levels.federation.addresses[group]
    posted = {one.group: one for one in batches.posted(context.contract, number)}
    listed = BatchList.from_blob(party.store.get(posted[account].list_digest))
    who = who or levels.accounts(group)[leaf]
    return GroupReceipt.of(
        listed, who, context=context, group=account, update_batches=batches.address
    )


def check(levels: TwoLevels, receipt: GroupReceipt) -> GroupInclusion:
    return receipt.check(levels.federation.contract, _batches(levels))


@pytest.fixture(scope="module")
def receipt(levels: TwoLevels) -> GroupReceipt:
    """Of the first contributor of the first group, in round 1."""
    return receipt_of(levels, 1, 0, 0)


def test_every_contributor_of_a_group_has_one(levels: TwoLevels, tmp_path: Path) -> None:
    record = levels.federation.contract.round(1)
    for group in GROUPS:
        for leaf in range(SIZE):
            made = receipt_of(levels, 1, group, leaf)
            made.save(tmp_path / "receipt.json")
            shown = check(levels, GroupReceipt.load(tmp_path / "receipt.json"))
            assert shown == GroupInclusion(
                contract=levels.federation.contract.address,
                round=1,
                group=levels.federation.addresses[group],
                contributor=levels.accounts(group)[leaf],
                update_digest=made.update_digest,
                group_update_digest=record.sealed[group].digest,
                contributors=SIZE,
                sum_digest=record.sum_digest,
                finalised=True,
            )
    with pytest.raises(RoundError, match="not on this list"):
        receipt_of(levels, 1, 0, 0, STRANGER)


Forge = Callable[[TwoLevels, GroupReceipt], GroupReceipt]


def _resigned(levels: TwoLevels, receipt: GroupReceipt, **changes: Any) -> GroupReceipt:
    """The contributor signs whatever it likes."""
    changed = replace(receipt, **changes)
    party = levels.leaves[0][0].party
    assert party.account is not None
    context = party.context(changed.round)
    signature = _batches(levels).sign(party.account, context, changed.group, changed.update_digest)
    return replace(changed, signature=signature)


FORGERIES: dict[str, tuple[Forge, str]] = {
    "another chain": (lambda _, r: replace(r, chain_id=5), "chain_id is 5, not 31337"),
    "another federation": (lambda _, r: replace(r, contract=STRANGER), "contract is"),
    "another registry": (lambda _, r: replace(r, update_batches=STRANGER), "update_batches is"),
    "another round": (lambda _, r: replace(r, round=2), "did not sign"),
    "another group": (lambda v, r: replace(r, group=v.federation.addresses[1]), "did not sign"),
    "another contributor": (
        lambda v, r: replace(r, contributor=v.accounts(0)[1]),
        "did not sign",
    ),
    "another update": (lambda _, r: replace(r, update_digest=bytes(32)), "did not sign"),
    "another's signature": (
        lambda v, r: replace(r, signature=receipt_of(v, 1, 0, 1).signature),
        "did not sign",
    ),
    "an update that is on no list": (
        lambda v, r: _resigned(v, r, update_digest=bytes(32)),
        "leads to the root",
    ),
    "a group that it gave nothing": (
        lambda v, r: _resigned(v, r, group=v.federation.addresses[1]),
        "leads to the root",
    ),
    "a member that posted no list": (
        lambda v, r: _resigned(v, r, group=v.federation.addresses[DIRECT]),
        "posted no list in round 1",
    ),
    "a round that is not yet": (lambda v, r: _resigned(v, r, round=10**6), "posted no list"),
    "another path": (lambda v, r: replace(r, path=receipt_of(v, 1, 1, 0).path), "leads to"),
    "a path cut off": (lambda _, r: replace(r, path=r.path[:-1]), "leads to the root"),
    "a longer path": (lambda _, r: replace(r, path=(*r.path, bytes(32))), "leads to the root"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_does_not_hold_is_refused(levels: TwoLevels, receipt: GroupReceipt, name: str) -> None:
    forge, words = FORGERIES[name]
    with pytest.raises(VerificationError, match=words):
        check(levels, forge(levels, receipt))
    check(levels, receipt)


def test_a_round_that_was_not_sealed_or_was_cancelled(levels: TwoLevels) -> None:
    coordinator = levels.federation.coordinator
    record = coordinator.open_round()
    try:
        post(levels, record, 0, honest(levels, record, 0))
        made = receipt_of(levels, record.number, 0, 1)
        with pytest.raises(VerificationError, match="is OPEN, not sealed"):
            check(levels, made)
    finally:
        coordinator.cancel(record)
    with pytest.raises(VerificationError, match="is CANCELLED, not sealed"):
        check(levels, made)


def test_a_round_that_was_sealed_without_the_group(
    levels: TwoLevels, receipt: GroupReceipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was left out after the deadline, its update being late."""
    contract = levels.federation.contract
    record = contract.round(1)
    left = tuple(one for one in record.sealed if one.address != receipt.group)
    monkeypatch.setattr(contract, "round", lambda number: replace(record, sealed=left))
    with pytest.raises(VerificationError, match="sealed without the update of the group"):
        receipt.check(contract, _batches(levels))


# The parser.


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("format", "ddcai-group-receipt-2", "format is"),
        ("more", 1, "expected"),
        ("round", -1, "round is '-1'"),
        ("round", 1.0, "round is '1.0'"),
        ("chain_id", True, "chain_id is 'True'"),
        ("group", STRANGER.lower(), "checksum"),
        ("contributor", None, "checksum"),
        ("update_digest", "0x" + "AA" * 32, "lower-case"),
        ("update_digest", "0x" + "aa" * 31, "31 bytes"),
        ("signature", 5, "lower-case"),
        ("path", "0x11", "path is no list"),
        ("path", ["0x" + "00" * 32] * 33, "path is no list of at most 32"),
        ("path", ["0x11"], "a node of path has 1 bytes"),
    ],
)
def test_refuses_other_files(receipt: GroupReceipt, name: str, value: Any, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        GroupReceipt.from_json(receipt.to_json() | {name: value})


def test_refuses_what_is_no_file(receipt: GroupReceipt, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    with pytest.raises(ConfigurationError, match="cannot read"):
        GroupReceipt.load(path)
    for raw in (b"", b"[]", b"{", b"\xff", json.dumps(receipt.to_json()).encode() + b"{}"):
        path.write_bytes(raw)
        with pytest.raises(MalformedError, match="no receipt of a group"):
            GroupReceipt.load(path)
    path.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(MalformedError, match="more than"):
        GroupReceipt.load(path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_another_character_is_refused_or_the_same(
    levels: TwoLevels, receipt: GroupReceipt, data: st.DataObject
) -> None:
    text = json.dumps(receipt.to_json())
    place = data.draw(st.integers(0, len(text) - 1))
    changed = (
        text[:place] + data.draw(st.sampled_from('0123456789abcdefABCDEF "')) + text[place + 1 :]
    )
    try:
        read = GroupReceipt.from_json(json.loads(changed))
        check(levels, read)
    except (MalformedError, VerificationError, ValueError):
        return
    assert read == receipt
