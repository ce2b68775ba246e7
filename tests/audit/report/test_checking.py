"""A report against the chain and the blobs."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from ddcai.audit import claims
from ddcai.audit.claims import Claim, Status
from ddcai.audit.history import History
from ddcai.audit.indexed import read_stored
from ddcai.audit.report.checking import check_block, differences, had_events
from ddcai.audit.report.signed import Report
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import Connection, request
from ddcai.errors import VerificationError, WrongChain
from ddcai.store import Store
from tests.federation import SmallFederation, make_federation


def test_the_chain_has_the_block(report: Report, w3: Connection) -> None:
    check_block(w3, report)


def test_a_block_that_is_not_the_chain_s(report: Report, w3: Connection) -> None:
    for changes, words in (
        ({"hash": bytes(32)}, "one with hash"),
        ({"number": report.block.number - 1}, "one with hash"),
        ({"time": 1}, "and time 1;"),
        ({"number": 10**9}, "no such block"),
    ):
        other = dataclasses.replace(report.block, **changes)
        with pytest.raises(VerificationError, match=words):
            check_block(w3, dataclasses.replace(report, block=other))
    with pytest.raises(WrongChain, match="of chain 5"):
        check_block(w3, dataclasses.replace(report, chain_id=5))


def test_the_block_is_one_before_which_everything_happened(
    report: Report, history: History, w3: Connection
) -> None:
    last = max(round_.opened.block_number for round_ in history.rounds)
    assert not had_events(w3, history, report.block.number)
    assert had_events(w3, history, last - 1)


def test_a_federation_that_goes_on(
    tmp_path: Path, chain_url: str, w3: Connection, auditor: LocalAccount
) -> None:
    for name in ("federation", "before", "after"):
        (tmp_path / name).mkdir()
    with make_federation(tmp_path / "federation", url=chain_url) as federation:
        address = federation.deployment.federation
        history, block = read_stored(w3, address, 0, tmp_path / "before")
        before = list(verify(history, federation.store))
        assert block.hash.hex() in request(w3, "eth_getBlockByNumber", ["latest", False])["hash"]
        federation.coordinator.open_round()
        assert had_events(w3, history, block.number)
        history, _ = read_stored(w3, address, 0, tmp_path / "after")
        after = list(verify(history, federation.store))
    # One claim tells of the number of rounds.
    assert {one.name for one in differences(before, after, moved_on=False)} == {claims.ROUND_CHAIN}
    assert differences(before, after, moved_on=True) == []


def test_claims_that_come_out_again(
    report: Report, history: History, audited: SmallFederation
) -> None:
    again = verify(history, audited.store)
    assert differences(report.claims, again, moved_on=False) == []


@pytest.mark.parametrize("moved_on", [False, True])
def test_a_false_claim_in_a_signed_report(report: Report, moved_on: bool) -> None:
    """An auditor that signs what it did not see: everything passes, when a round has failed."""
    bad = next(claim for claim in report.claims if claim.name == claims.MODEL)
    honest = dataclasses.replace(bad, status=Status.FAIL, found="another model")
    again = [honest if claim is bad else claim for claim in report.claims]
    [odd] = differences(report.claims, again, moved_on=moved_on)
    assert (odd.name, odd.round) == (claims.MODEL, bad.round)
    assert odd.reported.startswith("PASS: ")
    assert odd.found.startswith("FAIL: ")


def test_claims_that_the_report_left_out_or_made_up(report: Report) -> None:
    hidden, *told = report.claims
    [odd] = differences(told, report.claims, moved_on=False)
    assert (odd.name, odd.reported) == (hidden.name, "")
    # A federation that went on has new claims.
    assert differences(told, report.claims, moved_on=True) == []
    made_up = Claim(name="all is well", status=Status.PASS, expected="", found="")
    for moved_on in (False, True):
        [odd] = differences([*report.claims, made_up], report.claims, moved_on=moved_on)
        assert (odd.name, odd.found) == ("all is well", "")


def test_a_claim_told_twice(report: Report) -> None:
    [odd] = differences([*report.claims, report.claims[0]], report.claims, moved_on=False)
    assert odd.name == report.claims[0].name


def test_a_blob_that_was_lost_since(
    report: Report, history: History, audited: SmallFederation, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(audited.store.url, tmp_path / "blobs"))
    (copy / history.rules.encryption_key_digest.hex()).unlink()
    [odd] = differences(report.claims, verify(history, Store(str(copy))), moved_on=False)
    assert odd.name == claims.ENCRYPTION_KEY
    assert "missing" in odd.found
