"""The signed report: what it says cannot be changed, and its file has one form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcai.audit.claims import Claim, Status
from ddcai.audit.report.signed import MAX_BYTES, Block, Report, sign_report
from ddcai.errors import ConfigurationError, MalformedError, VerificationError

STRANGER = "0x000000000000000000000000000000000000dEaD"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
numbers = st.none() | st.integers(0, 2**63 - 1)
claims = st.builds(
    Claim,
    name=texts,
    status=st.sampled_from(Status),
    round=numbers,
    window=numbers,
    subject=texts,
    expected=texts,
    found=texts,
)


def changed(report: Report, **changes: Any) -> None:
    with pytest.raises(VerificationError, match="not that of the auditor"):
        dataclasses.replace(report, **changes).check()


def test_an_honest_report(report: Report, auditor: LocalAccount, tmp_path: Path) -> None:
    report.check()
    assert report.auditor == auditor.address
    assert report.counts["PASS"] == len(report.claims) > 20
    path = tmp_path / "report.json"
    report.save(path)
    assert Report.load(path) == report


@settings(max_examples=30)
@given(found=st.lists(claims, max_size=5), number=st.integers(0, 2**63 - 1))
def test_any_claims_are_read_as_they_were_signed(found: list[Claim], number: int) -> None:
    made = sign_report(
        Account.from_key(b"\1" * 32),
        found,
        chain_id=number,
        contract=STRANGER,
        block=Block(number=number, hash=b"\2" * 32, time=number),
        round_=None,
    )
    read = Report.from_json(json.loads(made.to_bytes()))
    assert read == made
    read.check()


def test_the_signature_is_what_a_wallet_makes(report: Report, auditor: LocalAccount) -> None:
    """The typed data as the documents have it, signed by eth-account."""
    signable = encode_typed_data(
        domain_data={
            "name": "ddcai audit report",
            "version": "1",
            "chainId": report.chain_id,
            "verifyingContract": report.contract,
        },
        message_types={
            "AuditReport": [
                {"name": "blockNumber", "type": "uint64"},
                {"name": "blockHash", "type": "bytes32"},
                {"name": "claims", "type": "uint64"},
                {"name": "failed", "type": "uint64"},
                {"name": "reportDigest", "type": "bytes32"},
            ]
        },
        message_data={
            "blockNumber": report.block.number,
            "blockHash": report.block.hash,
            "claims": len(report.claims),
            "failed": 0,
            "reportDigest": report.digest(),
        },
    )
    assert bytes(auditor.sign_message(signable).signature) == report.signature


# Attacks.


@pytest.mark.parametrize("name", ["name", "status", "round", "subject", "expected", "found"])
def test_a_changed_claim(report: Report, name: str) -> None:
    value = {"status": Status.FAIL, "round": 77}.get(name, "other")
    claim = dataclasses.replace(report.claims[3], **{name: value})
    changed(report, claims=(*report.claims[:3], claim, *report.claims[4:]))


def test_claims_left_out_added_or_in_another_order(report: Report) -> None:
    first, second, *rest = report.claims
    changed(report, claims=(second, *rest))
    changed(report, claims=(first, first, second, *rest))
    changed(report, claims=(second, first, *rest))
    changed(report, claims=())


def test_another_place(report: Report) -> None:
    block = report.block
    changed(report, chain_id=1)
    changed(report, contract=STRANGER)
    changed(report, round=1)
    changed(report, software="ddcai 9")
    changed(report, block=dataclasses.replace(block, number=block.number + 1))
    changed(report, block=dataclasses.replace(block, hash=bytes(32)))
    changed(report, block=dataclasses.replace(block, time=block.time + 1))


def test_a_foreign_signer(report: Report, auditor: LocalAccount) -> None:
    """Somebody else signs in the auditor's name, or puts their name under the auditor's report."""
    stranger = Account.create()
    content = {"chain_id": report.chain_id, "contract": report.contract, "block": report.block}
    theirs = sign_report(stranger, report.claims, **content)  # type: ignore[arg-type]
    theirs.check()
    assert theirs.auditor != auditor.address
    changed(theirs, auditor=auditor.address)
    changed(report, auditor=stranger.address)
    changed(report, signature=theirs.signature)


def test_signatures_in_another_form(report: Report) -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    r, s, v = report.signature[:32], report.signature[32:64], report.signature[64]
    higher = (order - int.from_bytes(s, "big")).to_bytes(32, "big")
    for signature, words in (
        (b"", "0 bytes"),
        (r + higher + bytes([55 - v]), "higher s"),
        (r + s + bytes([v - 27]), "v of"),
    ):
        with pytest.raises(VerificationError, match=words):
            dataclasses.replace(report, signature=signature).check()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_a_flipped_bit_of_the_file(report: Report, data: st.DataObject, tmp_path: Path) -> None:
    raw = bytearray(report.to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "report.json"
    path.write_bytes(raw)
    with pytest.raises((MalformedError, VerificationError)):
        Report.load(path).check()


# The parser.

Change = Callable[[dict[str, Any]], object]


def put(name: str, value: object) -> Change:
    return lambda content: content.update({name: value})


def put_in_claim(name: str, value: object) -> Change:
    return lambda content: content["claims"][0].update({name: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("format", "ddcai-audit-report-2"), "format is"),
        (put("more", 1), "expected"),
        (lambda content: content.pop("software"), "expected"),
        (put("chain_id", True), "chain_id is"),
        (put("contract", STRANGER.lower()), "checksum"),
        (put("auditor", [STRANGER]), "checksum"),
        (put("round", "1"), "round is"),
        (put("block", {"number": 1}), "block has"),
        (put("claims", {}), "claims is no list"),
        (put("claims", []), "counts are not"),
        (put("counts", {"PASS": 10**6}), "counts are not"),
        (put("signature", "0xAB"), "lower-case"),
        (put_in_claim("status", "GOOD"), "status is 'GOOD'"),
        (put_in_claim("status", None), "status is no text"),
        (put_in_claim("round", 0.5), "round is"),
        (put_in_claim("found", 5), "found is no text"),
        (put_in_claim("more", 5), "a claim has"),
    ],
)
def test_refuses_other_files(report: Report, change: Change, words: str) -> None:
    content = json.loads(report.to_bytes())
    change(content)
    with pytest.raises(MalformedError, match=words):
        Report.from_json(content)


def test_takes_one_form_of_the_file_alone(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    raw = report.to_bytes()
    content = json.loads(raw)
    for other in (
        raw.rstrip(),
        raw + b" ",
        json.dumps(content, indent=2).encode(),
        raw.replace(b'{"auditor"', b'{"auditor":"x","auditor"', 1),  # a name given twice
    ):
        assert other != raw
        path.write_bytes(other)
        with pytest.raises(MalformedError, match="canonical form"):
            Report.load(path)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff", b"[" * 100_000, b'{"format":"\\ud800"}', b" " * (MAX_BYTES + 1)],
    ids=["empty", "no text", "deep", "half a character", "large"],
)
def test_refuses_what_is_no_report(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(raw)
    with pytest.raises(MalformedError, match=r"report\.json (is no report|has more than)"):
        Report.load(path)
    with pytest.raises(ConfigurationError, match="cannot read"):
        Report.load(tmp_path / "none.json")
