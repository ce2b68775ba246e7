"""Rounds of a run, as the coordinator's terminal and log show them: on a real chain."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from ddcai.audit.standing import Standing
from ddcai.cli import progress
from ddcai.cli.rounds_shown import rounds_shown
from ddcai.cli.watch import reader
from ddcai.errors import ChainError
from tests.federation import SmallFederation, make_federation


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_lines_count_rounds_and_the_time_left_at_this_run_s_pace(
    tmp_path: Path,
    chain_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with make_federation(tmp_path, url=chain_url) as made:
        made.run_round(settle=False)  # of an earlier run
        read = failing_once(reader(made.deployment.federation, None, made.url))
        with rounds_shown(read, 3, poll_s=0.05) as shown:
            assert shown.left_s() is None
            record = made.coordinator.open_round()
            made.coordinator.cancel(record)
            until(lambda: shown.done == 2)
            left_s = shown.left_s()
            assert left_s is not None
            assert left_s > 0
            shown.log("\x1b[32mINFO\x1b[0m: a line of [Flower]")
            made.coordinator.cancel(made.coordinator.open_round())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("between rounds: 2 of 3 rounds, ")
    assert " left" in lines[0]
    assert lines[1] == "INFO: a line of [Flower]"  # no colours where it is no terminal
    assert lines[-1].startswith("between rounds: 3 of 3 rounds, done in ")


def failing_once(read: Callable[[], Standing]) -> Callable[[], Standing]:
    """The endpoint does not answer the second time."""
    calls: list[None] = []

    def asked() -> Standing:
        calls.append(None)
        if len(calls) == 2:
            raise ChainError("no answer")
        return read()

    return asked


def test_a_bar_names_who_is_waited_for(
    tmp_path: Path, chain_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller, terminal = pty.openpty()
    with make_federation(tmp_path, url=chain_url) as made, os.fdopen(terminal, "w") as file:
        console = Console(file=file, force_terminal=True, width=160)
        monkeypatch.setattr(progress, "talk", lambda: console)
        read = reader(made.deployment.federation, None, made.url)
        with rounds_shown(read, 2, poll_s=0.05):
            record = made.coordinator.open_round()
            shows(controller, "round 1, waits for 3 contributors")
            _deliver(made, record.number)
            shows(controller, f"round 1, waits for contributor {made.addresses[2]}")
            shows(controller, "0 of 2 rounds")
    os.close(controller)


def _deliver(made: SmallFederation, number: int) -> None:
    for index in (0, 1):
        made.contribute(made.contract.round(number), index)


def shows(controller: int, text: str) -> None:
    """Reads the terminal until the text is there."""
    seen = ""
    end = time.monotonic() + 30
    while text not in seen:
        assert time.monotonic() < end, seen
        seen += os.read(controller, 65536).decode("utf-8", "replace")
