"""Progress of long work, on a terminal and elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ddcai.cli.progress import Progress
from ddcai.errors import ConfigurationError


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def shown(work: Callable[[Progress, Clock], None], **options: object) -> list[str]:
    """The lines that a piece of work is told in, where there is no terminal."""
    console, clock = Console(file=StringIO(), width=200), Clock()
    given = {"what": "verifying", "total": 40, "unit": "rounds"} | options
    with Progress(console=console, clock=clock, **given) as progress:  # type: ignore[arg-type]
        work(progress, clock)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_a_line_every_ten_seconds_says_how_far_and_how_long_still() -> None:
    def work(progress: Progress, clock: Clock) -> None:
        for _ in range(40):  # three seconds each
            clock.now += 3
            progress.advance()

    lines = shown(work)
    assert lines[0] == "verifying: 4 of 40 rounds, 12 s, about 1 min 48 s left"
    assert lines[1] == "verifying: 8 of 40 rounds, 24 s, about 1 min 36 s left"
    assert lines[-2:] == [
        "verifying: 40 of 40 rounds, 2 min 00 s, about 0 s left",
        "verifying: 40 of 40 rounds, done in 2 min 00 s",
    ]
    assert len(lines) == 11


def test_short_work_is_not_told_of() -> None:
    def work(progress: Progress, clock: Clock) -> None:
        for _ in range(40):
            clock.now += 0.2
            progress.advance()

    assert shown(work) == []


def test_a_share_is_shown_in_per_cent() -> None:
    def work(progress: Progress, clock: Clock) -> None:
        clock.now += 30
        progress.reach(0.25)

    assert shown(work, total=1.0, unit="")[0] == "verifying: 25%, 30 s, about 1 min 30 s left"


def test_without_a_total_nothing_is_promised() -> None:
    def work(progress: Progress, clock: Clock) -> None:
        clock.now += 30
        progress.reach(7, what="reading")
        assert progress.left_s() is None
        clock.now += 30
        progress.reach(12, total=16)
        assert progress.left_s() == pytest.approx(20)

    lines = shown(work, total=None, unit="blocks")
    assert lines[:2] == [
        "reading: 7 blocks, 30 s",
        "reading: 12 of 16 blocks, 1 min 00 s, about 20 s left",
    ]


def test_what_was_done_before_took_no_time_and_what_is_left_runs_down() -> None:
    def work(progress: Progress, clock: Clock) -> None:
        clock.now += 30
        progress.reach(5)
        assert progress.left_s() == pytest.approx(150)
        clock.now += 20
        assert progress.left_s() == pytest.approx(130)
        clock.now += 200
        assert progress.left_s() == 0
        progress.reach(6)
        assert progress.left_s() == pytest.approx(500)

    assert (
        shown(work, total=10, begun=4)[0]
        == "verifying: 5 of 10 rounds, 30 s, about 2 min 30 s left"
    )


def test_work_that_fails_is_not_called_done() -> None:
    console, clock = Console(file=StringIO(), width=200), Clock()

    def work() -> None:
        with Progress("x", 2, "y", console=console, clock=clock) as progress:
            clock.now += 11
            progress.advance()
            raise ConfigurationError("why")

    with pytest.raises(ConfigurationError):
        work()
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == "x: 1 of 2 y, 11 s, about 11 s left\n"


def test_on_a_terminal_it_is_a_bar_and_results_go_to_stdout(tmp_path: Path) -> None:
    program = (
        "import time\n"
        "from ddcai.cli.progress import Progress\n"
        "with Progress('verifying', 4, 'rounds') as progress:\n"
        "    for number in range(4):\n"
        "        progress.echo(f'claim {number} [bold]')\n"
        "        progress.advance()\n"
        "        time.sleep(0.3)\n"
    )
    controller, terminal = pty.openpty()
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=out,
            stderr=terminal,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        )
        os.close(terminal)
        seen = ""
        while "3 of 4 rounds" not in seen:
            seen += os.read(controller, 65536).decode("utf-8", "replace")
        process.wait(timeout=60)
        os.close(controller)
    assert process.returncode == 0
    assert "left" in seen
    assert "claim" not in seen
    assert (tmp_path / "out").read_text() == "".join(f"claim {n} [bold]\n" for n in range(4))
