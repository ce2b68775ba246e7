from __future__ import annotations

import csv
import io
import json
import math

import pytest

from ddcai.simulation.federation import report
from ddcai.simulation.federation.attackers import ATTACKERS
from ddcai.simulation.federation.run import simulate
from ddcai.simulation.federation.summary import interval, row_of
from tests.simulation.federation.support import blobs, short


@pytest.fixture(scope="module")
def outcomes():
    return {
        rule: [
            simulate(
                blobs(),
                short(fraction=0.3, rounds=4),
                ATTACKERS["targeted-flip"](),
                seed=seed,
                rule=rule,
            )
            for seed in (0, 1)
        ]
        for rule in ("assessment", "median")
    }


def test_intervals_are_student_s():
    assert interval([]) == (None, None)
    assert interval([0.5]) == (0.5, None)
    mean, half = interval([1.0, 2.0, 3.0])
    assert (mean, half) == (2, pytest.approx(4.303 / math.sqrt(3)))
    mean, half = interval([0.0, 1.0] * 50)
    assert half == pytest.approx(1.96 * 0.5025 / 10, rel=1e-3)


def test_files_hold_every_number(outcomes, tmp_path):
    rows = [row_of(rule, outcomes[rule]) for rule in outcomes]
    written = report.write(outcomes, rows, tmp_path / "new", "a <title>", {"clients": 10})
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(written)
    summary = json.loads(written["summary.json"].read_text())
    assert summary["setting"] == {"clients": 10}
    assert [rule["rule"] for rule in summary["rules"]] == ["assessment", "median"]
    assert summary["rules"][1]["hrr"] is None
    lines = list(csv.DictReader(io.StringIO(written["accuracy.csv"].read_text())))
    assert len(lines) == 2 * 2 * 5
    verdicts = list(csv.DictReader(io.StringIO(written["verdicts.csv"].read_text())))
    assert len(verdicts) == 20
    assert sum(int(line["attacker"]) for line in verdicts) == 6
    refunded = [int(line["refund"]) for line in verdicts if line["attacker"] == "0"]
    by_hand = sum(sum(refunded[i::2]) for i in (0, 1)) / len(refunded)
    assert summary["rules"][0]["hrr"] == pytest.approx(by_hand)
    assert written["plot.png"].read_bytes().startswith(b"\x89PNG")
    page = written["plot.html"].read_text()
    assert "a &lt;title&gt;" in page
    assert "<svg" in page
    assert "&plusmn;" in page


def test_balances_add_up(outcomes):
    for attackers in (False, True):
        rounds, balances = report.balance(outcomes["assessment"], attackers=attackers)
        assert rounds == [0, 4]
        row = row_of("assessment", outcomes["assessment"])
        expected = row.attacker_pay if attackers else row.honest_pay
        assert balances[-1] == pytest.approx(expected)
    nobody = [simulate(blobs(), short(fraction=0.0, rounds=1), ATTACKERS["zero"](), seed=0)]
    assert report.balance(nobody, attackers=True) == ([], [])
