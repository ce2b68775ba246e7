"""Named manipulations of the files of inclusion receipts: the right check refuses each.

Each row of the table makes a file out of honest ones, and says which error comes of it. Files are
checked as `ddcai audit check-receipt` does that is given the model, the update and an endpoint.
`test_inclusion.py` tries more of the same kind on the values in memory.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rlp

from ddcai.audit.history import History
from ddcai.audit.report.inclusion import InclusionReceipt
from ddcai.audit.report.proving import check_blocks, check_model, check_update, make_receipt
from ddcai.chain.node.connection import Connection
from ddcai.errors import DdcaiError, MalformedError, VerificationError
from ddcai.models import state
from tests.federation import SmallFederation

STRANGER = "0x000000000000000000000000000000000000dEaD"
Content = dict[str, Any]
Expected = tuple[type[DdcaiError], str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Receipts:
    """Honest receipts, and what the first is a proof for: a model's file and an update's."""

    own: Content
    of_round_2: Content
    of_south: Content
    model: Path
    update: Path


@pytest.fixture(scope="module")
def receipts(
    audited: SmallFederation,
    history: History,
    w3: Connection,
    tmp_path_factory: pytest.TempPathFactory,
) -> Receipts:
    """Of `north` in round 1; `own` is for these two files."""
    north, south, _ = audited.addresses
    folder = tmp_path_factory.mktemp("receipts")
    own, second, other = (
        make_receipt(w3, history.contract, number, who)
        for number, who in ((1, north), (2, north), (1, south))
    )
    model, update = folder / "model.safetensors", folder / "update"
    state.save(model, state.from_canonical(audited.store.get(own.model_digest)))
    update.write_bytes(audited.store.get(own.update_digest))
    return Receipts(
        own=own.to_json(),
        of_round_2=second.to_json(),
        of_south=other.to_json(),
        model=model,
        update=update,
    )


def accept_receipt(path: Path, receipts: Receipts, w3: Connection) -> None:
    """Raises unless it shows that the update is part of the model."""
    found = InclusionReceipt.load(path).check()
    check_model(found, receipts.model)
    check_update(found, receipts.update)
    check_blocks(w3, found)


# Receipts.

ForgeReceipt = Callable[[Receipts], bytes]


def text(content: Content) -> bytes:
    return json.dumps(content).encode()


def receipt_with(**changes: object) -> ForgeReceipt:
    return lambda receipts: text({**receipts.own, **changes})


def event_with(name: str, change: Callable[[Content], Content]) -> ForgeReceipt:
    """One event's proof changed."""

    def forge(receipts: Receipts) -> bytes:
        events = receipts.own["events"]
        return text({**receipts.own, "events": {**events, name: change(events[name])}})

    return forge


def header_field(place: int) -> Callable[[Content], Content]:
    """A bit of a field of the block's header flipped; the header is well formed."""

    def change(proof: Content) -> Content:
        fields = rlp.decode(bytes.fromhex(proof["header"][2:]))
        fields[place] = fields[place][:-1] + bytes([fields[place][-1] ^ 1])
        return {**proof, "header": "0x" + rlp.encode(fields).hex()}

    return change


def last_node(change: Callable[[bytes], bytes]) -> Callable[[Content], Content]:
    """The leaf with the transaction's receipt changed."""

    def changed(proof: Content) -> Content:
        *before, leaf = proof["nodes"]
        other = "0x" + change(bytes.fromhex(leaf[2:])).hex()
        return {**proof, "nodes": [*before, other]}

    return changed


def as_if_of(other: str, *names: str) -> ForgeReceipt:
    """`own` with these fields of another honest receipt, and its own proofs."""
    return lambda receipts: text(
        {**receipts.own, **{name: getattr(receipts, other)[name] for name in names}}
    )


def spliced(other: str, event: str) -> ForgeReceipt:
    """`own` with the proof of one event out of another honest receipt."""

    def forge(receipts: Receipts) -> bytes:
        foreign = getattr(receipts, other)["events"][event]
        return text({**receipts.own, "events": {**receipts.own["events"], event: foreign}})

    return forge


STATE_ROOT, RECEIPTS_ROOT, TIME = 3, 5, 11
CHANGED_NODE = (VerificationError, "is not the one that the hash before it names")
FOREIGN_BLOCK = (VerificationError, "the receipt rests on block .*; the chain has")

RECEIPTS: list[tuple[str, ForgeReceipt, Expected]] = [
    (
        "receipt of another round",
        lambda receipts: text(receipts.of_round_2),
        (VerificationError, "the receipt is of model"),
    ),
    (
        "receipt of another contributor",
        lambda receipts: text(receipts.of_south),
        (VerificationError, "the receipt is of update"),
    ),
    (
        "another round's number and model over these proofs",
        as_if_of("of_round_2", "round", "model_digest"),
        (VerificationError, "round is 2, but the proof is of 1"),
    ),
    (
        "another contributor and update over these proofs",
        as_if_of("of_south", "contributor", "update_digest"),
        (VerificationError, "contributor is .*, but the proof is of"),
    ),
    *(
        (
            f"{event} of another round",
            spliced("of_round_2", event),
            (VerificationError, "round is 1, but the proof is of 2"),
        )
        for event in ("UpdateSubmitted", "RoundSealed", "RoundFinalized")
    ),
    *(
        (
            f"{event} of another contributor",
            spliced("of_south", event),
            (VerificationError, "contributor is .*, but the proof is of"),
        )
        for event in ("MemberRegistered", "UpdateSubmitted")
    ),
    (
        "another model",
        receipt_with(model_digest="0x" + "11" * 32),
        (VerificationError, "model_digest is 0x11.*, but the proof is of"),
    ),
    (
        "another update",
        receipt_with(update_digest="0x" + "11" * 32),
        (VerificationError, "update_digest is 0x11.*, but the proof is of"),
    ),
    (
        "another contract",
        receipt_with(contract=STRANGER),
        (VerificationError, f"contract of MemberRegistered is {STRANGER}"),
    ),
    (
        "another chain",  # an update's digest is bound to its chain, a model's is not
        receipt_with(chain_id=1),
        (VerificationError, "the receipt is of update"),
    ),
    ("header's state root", event_with("RoundSealed", header_field(STATE_ROOT)), FOREIGN_BLOCK),
    ("header's time", event_with("RoundFinalized", header_field(TIME)), FOREIGN_BLOCK),
    (
        "header's receipts root",
        event_with("RoundSealed", header_field(RECEIPTS_ROOT)),
        CHANGED_NODE,
    ),
    (
        "bit of the leaf",
        event_with("RoundSealed", last_node(lambda leaf: leaf[:-1] + bytes([leaf[-1] ^ 1]))),
        CHANGED_NODE,
    ),
    (
        "leaf too short",
        event_with("RoundSealed", last_node(lambda leaf: leaf[:-1])),
        CHANGED_NODE,
    ),
    (
        "leaf too long",
        event_with("RoundSealed", last_node(lambda leaf: leaf + b"\0")),
        CHANGED_NODE,
    ),
    (
        "proof without its leaf",
        event_with("RoundSealed", lambda proof: {**proof, "nodes": proof["nodes"][:-1]}),
        (VerificationError, "the proof ends before the receipt"),
    ),
    (
        "proof with a node more",
        event_with("RoundSealed", lambda proof: {**proof, "nodes": proof["nodes"] * 2}),
        (MalformedError, "nodes after the receipt"),
    ),
    (
        "truncated",
        lambda receipts: text(receipts.own)[:-1],
        (MalformedError, "is no receipt of `audit receipt`"),
    ),
    (
        "padded",
        lambda receipts: text(receipts.own) + b"{}",
        (MalformedError, "is no receipt of `audit receipt`"),
    ),
]


def test_the_honest_receipt_is_accepted(receipts: Receipts, w3: Connection, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(text(receipts.own))
    accept_receipt(path, receipts, w3)


@pytest.mark.parametrize(
    ("forge", "expected"), [row[1:] for row in RECEIPTS], ids=[row[0] for row in RECEIPTS]
)
def test_a_manipulated_receipt_is_refused(
    receipts: Receipts, w3: Connection, tmp_path: Path, forge: ForgeReceipt, expected: Expected
) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(forge(receipts))
    kind, words = expected
    with pytest.raises(kind, match=words) as caught:
        accept_receipt(path, receipts, w3)
    assert type(caught.value) is kind
