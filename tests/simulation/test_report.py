from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest

from ddcai.errors import ConfigurationError
from ddcai.simulation import report
from ddcai.simulation.incentive import Moment, Outcome, Summary

OUTCOME = Outcome(
    names=("honest", "<b>"),
    moments=(
        Moment(day=0.0, accuracy=0.9, balances=(1.0, 1.0)),
        Moment(day=1 / 24, accuracy=0.8, balances=(1.5, 0.25)),
        Moment(day=1.0, accuracy=0.85, balances=(1.75, 0.125)),
    ),
    summaries=(
        Summary(
            agent="honest",
            contributions=3,
            deposit_wei=5,
            balance=1.75,
            balance_wei=7,
            locked_wei=1,
            points=2,
        ),
        Summary(
            agent="<b>",
            contributions=1,
            deposit_wei=9,
            balance=0.125,
            balance_wei=1,
            locked_wei=0,
            points=0,
        ),
    ),
)


def test_hours_say_what_was_measured() -> None:
    rows = list(csv.DictReader(io.StringIO(report.hours_csv(OUTCOME))))
    assert [float(row["accuracy"]) for row in rows] == [0.9, 0.8, 0.85]
    assert [float(row["balance honest"]) for row in rows] == [1.0, 1.5, 1.75]
    assert OUTCOME.accuracy_least == 0.8


def test_agents_are_rows() -> None:
    rows = list(csv.DictReader(io.StringIO(report.agents_csv(OUTCOME))))
    assert [row["points"] for row in rows] == ["2", "0"]
    assert rows[0]["balance_wei"] == "7"


def test_files_are_written_and_the_same_again(tmp_path: Path) -> None:
    first = report.write(OUTCOME, tmp_path / "one", "a <title>")
    again = report.write(OUTCOME, tmp_path / "two", "a <title>")
    assert sorted(first) == ["agents.csv", "hours.csv", "plot.html", "plot.png"]
    for name in first:
        assert first[name].read_bytes() == again[name].read_bytes()
    assert first["plot.png"].read_bytes().startswith(b"\x89PNG")
    page = first["plot.html"].read_text(encoding="utf-8")
    assert "a &lt;title&gt;" in page
    assert "<svg" in page
    assert "<b>" not in page
    assert "http-equiv" not in page
    assert "src=" not in page


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigurationError, match="extra `plots`"):
        report.write(OUTCOME, tmp_path, "title")
    assert list(tmp_path.iterdir()) == []
