"""The coordinator's measurements and a report, as files that anybody may have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.journal import Journal
from ddcai.audit.claims import compare
from ddcai.audit.report.signed import Block, Report, sign_report
from ddcai.chain.node.embedded import dev_accounts
from ddcai.dashboard import reported
from ddcai.dashboard.reported import accuracy, report
from ddcai.errors import ConfigurationError

ADDRESS = to_checksum_address("0x" + "ab" * 20)


def test_what_the_coordinator_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert accuracy(path) == ()
    journal = Journal(path)
    journal.evaluation(2, 0.75, 0.5)
    journal.evaluation(1, 0.5, 0.7)
    journal.evaluation(2, 0.8, 0.4)
    assert [(row.round, row.accuracy, row.log_loss) for row in accuracy(path)] == [
        (1, 0.5, 0.7),
        (2, 0.8, 0.4),
    ]


GOOD = {"event": "evaluation", "round": 1, "accuracy": 0.5, "log_loss": 0.1, "time": 1.0}


@pytest.mark.parametrize(
    "change",
    [
        {"event": "round"},
        {"round": "1"},
        {"round": True},
        {"round": 0},
        {"round": 2**63},
        {"round": [1]},
        {"accuracy": 1.5},
        {"accuracy": -0.1},
        {"accuracy": "0.5"},
        {"accuracy": None},
        {"accuracy": 10**400},
        {"log_loss": True},
        {"time": 1e300},
    ],
)
def test_lines_of_another_kind_are_passed_over(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "metrics.jsonl"
    cut = json.dumps(GOOD)[:-5]
    path.write_text("\n".join([json.dumps(GOOD | change), cut, "[" * 5000, "NaN", ""]))
    assert accuracy(path) == ()
    path.write_text(json.dumps(GOOD))
    assert len(accuracy(path)) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_bytes_break_the_readers(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    accuracy(path)
    with pytest.raises(ConfigurationError, match=r"^file is no report"):
        report(path)


def _signed(path: Path) -> Report:
    claims = [
        compare("sum matches its digest", "a", "a", round_=2),
        compare("quorum signed the result", "a", "<script>", round_=2, subject=ADDRESS),
    ]
    account = dev_accounts()[0]
    block = Block(number=7, hash=bytes(32), time=1)
    signed = sign_report(account, claims, chain_id=1, contract=ADDRESS, block=block)
    signed.save(path)
    return signed


def test_a_signed_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert report(path) is None
    signed = _signed(path)
    found = report(path)
    assert found is not None
    assert found.signed
    assert (found.contract, found.auditor, found.block) == (ADDRESS, signed.auditor, 7)
    assert found.counts == {"FAIL": 1, "PASS": 1}
    assert found.claims == signed.claims


def test_a_report_that_was_changed_is_not_signed(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    _signed(path)
    path.write_bytes(path.read_bytes().replace(b"<script>", b"another!"))
    found = report(path)
    assert found is not None
    assert not found.signed


def test_files_that_are_too_large_or_folders_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        accuracy(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(GOOD))
    monkeypatch.setattr(reported, "MOST_BYTES", 10)
    with pytest.raises(ConfigurationError, match="more than 10 bytes"):
        accuracy(path)
