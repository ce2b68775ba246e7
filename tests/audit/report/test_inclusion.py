"""Receipts of the federation of `tests/audit/conftest.py`, and every way to make a false one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcai.audit.history import History
from ddcai.audit.report.inclusion import EVENTS, MAX_BYTES, InclusionReceipt
from ddcai.audit.report.proving import check_blocks, make_receipt
from ddcai.chain.node.connection import Connection, connect, request
from ddcai.errors import (
    ConfigurationError,
    MalformedError,
    NotAFederation,
    VerificationError,
    WrongChain,
)
from tests.federation import SmallFederation, make_federation

STRANGER = "0x000000000000000000000000000000000000dEaD"


@pytest.fixture(scope="session")
def receipt(audited: SmallFederation, w3: Connection) -> InclusionReceipt:
    """Of `north` in round 1."""
    return make_receipt(w3, audited.deployment.federation, 1, audited.addresses[0])


@pytest.fixture(scope="session")
def second(audited: SmallFederation, w3: Connection) -> InclusionReceipt:
    """Of `north` in round 2."""
    return make_receipt(w3, audited.deployment.federation, 2, audited.addresses[0])


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, audited: SmallFederation) -> InclusionReceipt:
    """Of another federation on the same chain, with one round and the same accounts."""
    folder = tmp_path_factory.mktemp("other")
    with make_federation(folder, url=audited.url) as federation:
        federation.run_round(settle=False)
        contract = federation.deployment.federation
        return make_receipt(connect(audited.url), contract, 1, federation.addresses[0])


def refused(receipt: InclusionReceipt, words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        receipt.check()


def test_every_sealed_update_of_a_finalised_round_has_one(history: History, w3: Connection) -> None:
    for round_ in history.finalised():
        assert round_.finalisation is not None
        for update in round_.sealed:
            found = make_receipt(w3, history.contract, round_.number, update.address).check()
            assert found.update_digest == update.digest
            assert found.model_digest == round_.finalisation.model_digest
            assert round_.sealing is not None
            assert found.sum_digest == round_.sealing.sum_digest
            assert (found.member_index, found.updates) == (update.index, len(round_.sealed))
            assert (found.chain_id, found.contract) == (history.chain_id, history.contract)
            last = round_.finalisation.step
            assert (found.blocks[-1][0], found.finalised) == (
                last.block_number,
                last.time.timestamp(),
            )


def test_who_has_none(audited: SmallFederation, w3: Connection) -> None:
    north, south, _ = audited.addresses
    contract = audited.deployment.federation
    for number, who, words in (
        (2, south, "is not on the sealed list of round 2"),
        (3, north, "was cancelled"),
        (3, south, "submitted nothing"),
        (4, north, "not finalised yet"),
        (5, north, "never opened"),
        (1, STRANGER, "never joined"),
        (1, "0x12", "not an address"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            make_receipt(w3, contract, number, who)
    with pytest.raises(NotAFederation):
        make_receipt(w3, STRANGER, 1, north)


def test_the_file_is_read_as_it_was_written(receipt: InclusionReceipt, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    receipt.save(path)
    assert InclusionReceipt.load(path) == receipt
    assert path.stat().st_size < 20_000


def test_the_chain_has_its_blocks(receipt: InclusionReceipt, w3: Connection) -> None:
    inclusion = receipt.check()
    latest = int(request(w3, "eth_blockNumber", []), 16)
    assert check_blocks(w3, inclusion) == latest - inclusion.blocks[-1][0] > 0


# Forgeries: what the file says is changed, or its proofs are those of something else.


def test_another_claim_than_the_proofs(receipt: InclusionReceipt, audited: SmallFederation) -> None:
    south = audited.addresses[1]
    refused(replace(receipt, contributor=south), f"contributor is {south}, but the proof is of")
    refused(replace(receipt, round=2), "round is 2, but the proof is of 1")
    refused(replace(receipt, contract=STRANGER), "contract of MemberRegistered is")
    refused(replace(receipt, update_digest=bytes(32)), "update_digest is 0x0000")
    refused(replace(receipt, model_digest=bytes(32)), "model_digest is 0x0000")


@pytest.mark.parametrize("name", EVENTS)
def test_the_proof_of_another_event(receipt: InclusionReceipt, name: str) -> None:
    foreign = next(one for one in EVENTS if one != name)
    proofs = {**receipt.proofs, name: receipt.proofs[foreign]}
    refused(replace(receipt, proofs=proofs), f"the proof of {name} proves {foreign}")


@pytest.mark.parametrize("name", EVENTS[1:])
def test_the_proof_of_another_round(
    receipt: InclusionReceipt, second: InclusionReceipt, name: str
) -> None:
    proofs = {**receipt.proofs, name: second.proofs[name]}
    refused(replace(receipt, proofs=proofs), "round is 1, but the proof is of 2")


@pytest.mark.parametrize("name", EVENTS)
def test_the_proof_of_another_federation(
    receipt: InclusionReceipt, other: InclusionReceipt, name: str
) -> None:
    assert other.check().contract != receipt.contract
    proofs = {**receipt.proofs, name: other.proofs[name]}
    refused(replace(receipt, proofs=proofs), f"contract of {name} is {receipt.contract}")


@pytest.mark.parametrize("name", EVENTS[:2])
def test_the_proof_of_another_contributor(
    receipt: InclusionReceipt, audited: SmallFederation, w3: Connection, name: str
) -> None:
    south = make_receipt(w3, receipt.contract, 1, audited.addresses[1])
    proofs = {**receipt.proofs, name: south.proofs[name]}
    refused(replace(receipt, proofs=proofs), "contributor is .*, but the proof is of")


def test_an_update_that_is_not_on_the_sealed_list(
    receipt: InclusionReceipt, audited: SmallFederation, history: History, w3: Connection
) -> None:
    """`south` committed an update to round 2 and never delivered it."""
    from ddcai.audit.report.proving import _Found
    from ddcai.chain.events import events
    from ddcai.chain.receipt_proof import prove_log

    south = audited.addresses[1]
    found = _Found(events(w3, history.contract), 2, south).four()
    round_ = history.round(2)
    assert round_ is not None
    assert round_.finalisation is not None
    (digest,) = [one.digest for one in round_.commitments if one.address == south]
    forged = replace(
        receipt,
        round=2,
        contributor=south,
        update_digest=digest,
        model_digest=round_.finalisation.model_digest,
        proofs={one.name: prove_log(w3, one.tx_hash, one.log_index) for one in found},
    )
    refused(forged, "member 1, is not on the sealed list of round 2, which has 2 members")


def test_a_forged_header_is_of_no_block_of_the_chain(
    receipt: InclusionReceipt, w3: Connection
) -> None:
    """A header with another time, and one whose receipts say another model."""
    import rlp

    proof = receipt.proofs["RoundFinalized"]
    fields = rlp.decode(proof.header)
    fields[11] = b"\1"
    forged = replace(proof, header=rlp.encode(fields))
    inclusion = replace(receipt, proofs={**receipt.proofs, "RoundFinalized": forged}).check()
    assert inclusion.finalised == 1
    with pytest.raises(VerificationError, match="the receipt rests on block"):
        check_blocks(w3, inclusion)


def test_a_block_that_the_chain_does_not_have_yet(
    receipt: InclusionReceipt, w3: Connection
) -> None:
    inclusion = receipt.check()
    later = replace(inclusion, blocks=(*inclusion.blocks, (10**9, bytes(32))))
    with pytest.raises(VerificationError, match="no such block"):
        check_blocks(w3, later)


def test_another_chain(receipt: InclusionReceipt, w3: Connection) -> None:
    with pytest.raises(WrongChain, match="the receipt is of chain 5, the endpoint of 31337"):
        check_blocks(w3, replace(receipt, chain_id=5).check())


def test_a_contract_that_is_no_federation(receipt: InclusionReceipt, w3: Connection) -> None:
    """Anybody can deploy a contract that emits these events."""
    with pytest.raises(NotAFederation):
        check_blocks(w3, replace(receipt.check(), contract=STRANGER))


# The parser.

Change = Callable[[dict[str, Any]], object]


def put(name: str, value: object) -> Change:
    return lambda content: content.update({name: value})


def put_in_proof(name: str, value: object) -> Change:
    return lambda content: content["events"]["RoundSealed"].update({name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("format", "ddcai-inclusion-receipt-2"), "format is"),
        (put("more", 1), "expected"),
        (lambda content: content.pop("round"), "expected"),
        (put("round", True), "round is 'True'"),
        (put("round", -1), "round is '-1'"),
        (put("round", 1.0), "round is '1.0'"),
        (put("chain_id", 1 << 63), "chain_id is"),
        (put("contract", STRANGER.lower()), "checksum"),
        (put("contributor", None), "checksum"),
        (put("update_digest", "0x" + "AA" * 32), "lower-case"),
        (put("update_digest", "0x" + "aa" * 31), "31 bytes"),
        (put("model_digest", 5), "lower-case"),
        (put("events", []), "events has list"),
        (lambda content: content["events"].pop("RoundSealed"), "events has"),
        (put_in_proof("header", "0x1"), "header of RoundSealed"),
        (put_in_proof("nodes", "0x11"), "nodes of RoundSealed"),
        (put_in_proof("nodes", [b"".hex()]), "a node of RoundSealed"),
        (put_in_proof("position", "0"), "position of RoundSealed"),
        (put_in_proof("transaction_index", -1), "transaction_index of RoundSealed"),
        (put_in_proof("more", 1), "RoundSealed has"),
    ],
)
def test_refuses_other_files(receipt: InclusionReceipt, change: Change, words: str) -> None:
    content = copy.deepcopy(receipt.to_json())
    change(content)
    with pytest.raises(MalformedError, match=words):
        InclusionReceipt.from_json(content)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"\xff", b"NaN", b"[" * 100_000, b" " * (MAX_BYTES + 1)],
    ids=["empty", "list", "no text", "NaN", "deep", "large"],
)
def test_refuses_what_is_no_receipt(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(raw)
    with pytest.raises(MalformedError, match=r"receipt\.json (is no receipt|has more than)"):
        InclusionReceipt.load(path)
    with pytest.raises(ConfigurationError, match="cannot read"):
        InclusionReceipt.load(tmp_path / "none.json")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_bit_of_the_file_is_found(
    receipt: InclusionReceipt, data: st.DataObject, tmp_path: Path
) -> None:
    """It is refused, or rests on a block that is not the chain's."""
    raw = bytearray(json.dumps(receipt.to_json()).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "receipt.json"
    path.write_bytes(raw)
    honest = receipt.check()
    try:
        found = InclusionReceipt.load(path).check()
    except (MalformedError, VerificationError):
        return
    assert found.blocks != honest.blocks or found.chain_id != honest.chain_id or found == honest
