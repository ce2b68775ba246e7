from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import invoke

CLI = Path(__file__).parent.parent.parent / "docs" / "cli.md"
SHOWN = re.findall(r"^ddcai (simulate .*)$", CLI.read_text(encoding="utf-8"), re.MULTILINE)


INCENTIVE = [command for command in SHOWN if command.startswith("simulate incentive")]
FEDERATION = [command for command in SHOWN if command.startswith("simulate federation")]


@pytest.mark.slow
@pytest.mark.parametrize("command", INCENTIVE)
def test_the_shown_commands_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(shlex.split(command))
    assert done.exit_code == 0, done.output
    assert "accuracy" in done.stderr
    if "--out" in command:
        written = sorted(path.name for path in (tmp_path / "simulated").iterdir())
        assert written == ["agents.csv", "hours.csv", "plot.html", "plot.png"]
        assert "contracts and twins agree" in done.stderr
    if "json" in command:
        assert [row["agent"] for row in json.loads(done.stdout)] == ["honest", "flipper"]


@pytest.mark.parametrize("command", FEDERATION)
def test_the_shown_federations_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(shlex.split(command))
    assert done.exit_code == 0, done.output
    assert "assessment: accuracy" in done.stderr
    if "--out" in command:
        written = sorted(path.name for path in (tmp_path / "simulated").iterdir())
        assert written == sorted(
            ["summary.json", "accuracy.csv", "verdicts.csv", "plot.png", "plot.html"]
        )
    if "json" in command:
        rows = json.loads(done.stdout)
        assert [row["rule"] for row in rows] == ["assessment", "multi-krum"]
        assert rows[0]["afr"] > 0.5


def test_there_are_commands_to_run() -> None:
    assert (len(INCENTIVE), len(FEDERATION)) == (3, 4)


def test_unknown_attacks_rules_and_data_are_refused_before_anything_runs() -> None:
    for arguments in (["--attack", "thief"], ["--rule", "bulyan"], ["--data", "imdb"]):
        done = invoke(["simulate", "federation", *arguments])
        assert done.exit_code == 2
        assert "give" in done.stderr


def test_the_first_systems_rule_needs_twins() -> None:
    done = invoke(["simulate", "incentive", "--repeats-earn"])
    assert done.exit_code == 2
    assert "--repeats-earn goes with --twins" in done.stderr


def test_unknown_agents_and_data_are_refused_before_anything_runs() -> None:
    for arguments in (["--agent", "thief"], ["--data", "imdb"]):
        done = invoke(["simulate", "incentive", *arguments])
        assert done.exit_code == 2
        assert "give one of" in done.stderr
