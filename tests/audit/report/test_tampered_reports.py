"""Named manipulations of the files of signed reports: the right check refuses each.

Each row of the table makes a file out of an honest one, and says which error comes of it. Files
are checked as `ddcai audit check-report` does that is given an endpoint. `test_signed.py` tries
more of the same kind on the values in memory.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ddcai import digests
from ddcai.audit.claims import Status
from ddcai.audit.report.checking import check_block
from ddcai.audit.report.signed import Report, sign_report
from ddcai.chain.node.connection import Connection
from ddcai.errors import DdcaiError, MalformedError, VerificationError, WrongChain

STRANGER = "0x000000000000000000000000000000000000dEaD"
Forge = Callable[[Report, LocalAccount], bytes]
Expected = tuple[type[DdcaiError], str]


def accept(path: Path, w3: Connection) -> None:
    """Raises unless the auditor whom it names signed it, about a block of the chain."""
    report = Report.load(path)
    report.check()
    check_block(w3, report)


def changed(**changes: Any) -> Forge:
    """Values changed; the file is in its one form, and the signature the honest one."""
    return lambda report, _: dataclasses.replace(report, **changes).to_bytes()


def claim_with(**changes: Any) -> Forge:
    """One claim changed, and the counts with it."""

    def forge(report: Report, _: LocalAccount) -> bytes:
        first, *others = report.claims
        claims = (dataclasses.replace(first, **changes), *others)
        return dataclasses.replace(report, claims=claims).to_bytes()

    return forge


def block_with(**changes: Any) -> Forge:
    return lambda report, _: dataclasses.replace(
        report, block=dataclasses.replace(report.block, **changes)
    ).to_bytes()


def signed_with(**changes: Any) -> Forge:
    """The auditor's honest signature under other values, put under these."""

    def forge(report: Report, auditor: LocalAccount) -> bytes:
        other = signed(dataclasses.replace(report, **changes), auditor)
        return dataclasses.replace(report, signature=other.signature).to_bytes()

    return forge


def signed(report: Report, account: LocalAccount) -> Report:
    return sign_report(
        account,
        report.claims,
        chain_id=report.chain_id,
        contract=report.contract,
        block=report.block,
        round_=report.round,
    )


def lied_about_block(report: Report, auditor: LocalAccount) -> bytes:
    """The auditor itself signs a hash that the chain does not have."""
    block = dataclasses.replace(report.block, hash=bytes(32))
    return signed(dataclasses.replace(report, block=block), auditor).to_bytes()


def lied_about_chain(report: Report, auditor: LocalAccount) -> bytes:
    return signed(dataclasses.replace(report, chain_id=1), auditor).to_bytes()


def without_a_claim(report: Report, _: LocalAccount) -> bytes:
    return dataclasses.replace(report, claims=report.claims[1:]).to_bytes()


def without_a_claim_that_is_counted(report: Report, _: LocalAccount) -> bytes:
    content = json.loads(report.to_bytes())
    del content["claims"][0]
    return digests.canonical_json(content) + b"\n"


def in_another_s_name(report: Report, _: LocalAccount) -> bytes:
    """A stranger signs, and the report goes on to name the auditor."""
    theirs = signed(report, Account.create())
    return dataclasses.replace(theirs, auditor=report.auditor).to_bytes()


NOT_SIGNED = (VerificationError, "not that of the auditor")
NOT_CANONICAL = (MalformedError, "canonical form")

REPORTS: list[tuple[str, Forge, Expected]] = [
    ("a claim's status", claim_with(status=Status.FAIL), NOT_SIGNED),
    ("a claim's name", claim_with(name="all is well"), NOT_SIGNED),
    ("a claim's round", claim_with(round=77), NOT_SIGNED),
    ("what a claim found", claim_with(found="another"), NOT_SIGNED),
    ("a claim left out", without_a_claim, NOT_SIGNED),
    (
        "a claim left out, and still counted",
        without_a_claim_that_is_counted,
        (MalformedError, "counts are not those of the claims"),
    ),
    ("another block hash", block_with(hash=bytes(32)), NOT_SIGNED),
    ("another block number", block_with(number=1), NOT_SIGNED),
    (
        "a block hash that the chain does not have, signed",
        lied_about_block,
        (VerificationError, "the report is of block .*; the chain has one with hash"),
    ),
    ("another chain, signed", lied_about_chain, (WrongChain, "the report is of chain 1")),
    ("another signer's address", changed(auditor=STRANGER), NOT_SIGNED),
    ("another signer in the auditor's name", in_another_s_name, NOT_SIGNED),
    ("replay for another contract", changed(contract=STRANGER), NOT_SIGNED),
    ("replay for another chain", changed(chain_id=1), NOT_SIGNED),
    ("replay for one round", changed(round=1), NOT_SIGNED),
    ("signature about another contract", signed_with(contract=STRANGER), NOT_SIGNED),
    ("signature about another chain", signed_with(chain_id=1), NOT_SIGNED),
    (
        "no signature",
        changed(signature=b""),
        (VerificationError, "the report's signature: 0 bytes"),
    ),
    ("padded with a space", lambda report, _: report.to_bytes() + b" ", NOT_CANONICAL),
    (
        "padded within",
        lambda report, _: json.dumps(json.loads(report.to_bytes()), indent=1).encode(),
        NOT_CANONICAL,
    ),
    (
        "a name more",
        lambda report, _: digests.canonical_json({**report.to_json(), "note": ""}) + b"\n",
        (MalformedError, "expected"),
    ),
    (
        "truncated",
        lambda report, _: report.to_bytes()[:-2],
        (MalformedError, "is no report of"),
    ),
]


def test_the_honest_report_is_accepted(report: Report, w3: Connection, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(report.to_bytes())
    accept(path, w3)


@pytest.mark.parametrize(
    ("forge", "expected"), [row[1:] for row in REPORTS], ids=[row[0] for row in REPORTS]
)
def test_a_manipulated_report_is_refused(
    report: Report,
    auditor: LocalAccount,
    w3: Connection,
    tmp_path: Path,
    forge: Forge,
    expected: Expected,
) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(forge(report, auditor))
    kind, words = expected
    with pytest.raises(kind, match=words) as caught:
        accept(path, w3)
    assert type(caught.value) is kind
