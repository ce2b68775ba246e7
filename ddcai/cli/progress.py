"""How far long work is and how long it will still take: on stderr, never on stdout.

On a terminal a bar, which is gone when the work is done; elsewhere a line every ten seconds, and
none about work that takes less.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from ddcai.cli.output import in_words, talk

LINE_EVERY_S = 10.0


class Progress:
    """One piece of long work, as a context manager.

    The time that is left is reckoned from how long the part that is done took, and runs down until
    more is done.

    Args:
        what: the work: ``verifying``.
        total: how much there is of it; None where that is not known yet.
        unit: what it is counted in, ``rounds``; empty for a share, which is shown in per cent.
        begun: how much was done before, which took none of the time.
        console: where it is shown; stderr by default.
        clock: seconds, for tests.
    """

    def __init__(
        self,
        what: str,
        total: float | None = 1.0,
        unit: str = "",
        *,
        begun: float = 0.0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._console = talk() if console is None else console
        self._clock = clock
        self._started = self._said = self._reached = clock()
        self._begun = self._done = begun
        self._lines = 0
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        self._started = self._said = self._reached = self._clock()
        if self._console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[amount]}"),
                TimeElapsedColumn(),
                _Left(self.left_s),
                console=self._console,
                transient=True,
                # Results are not to go where the bar is: stdout may be a file.
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._task = self._bar.add_task(self._what, total=self._total, amount=self._amount())
            self._bar.update(self._task, completed=self._done)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        elif self._lines and kind is None:
            lasted = in_words(self._clock() - self._started)
            self._say(f"{self._what}: {self._amount()}, done in {lasted}")

    @property
    def done(self) -> float:
        """How much is done."""
        return self._done

    @property
    def is_bar(self) -> bool:
        """Whether it is drawn anew all the time, in place of a line now and then."""
        return self._bar is not None

    def advance(self, by: float = 1.0) -> None:
        """So much more is done."""
        self.reach(self._done + by)

    def reach(self, done: float, total: float | None = None, what: str | None = None) -> None:
        """So much is done by now.

        Args:
            total: how much there is, where that has changed.
            what: what is done now, where that has changed.
        """
        if done != self._done:
            self._done, self._reached = done, self._clock()
        self._total = self._total if total is None else total
        self._what = self._what if what is None else what
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=done,
                total=self._total,
                description=self._what,
                amount=self._amount(),
            )
        elif self._clock() - self._said >= LINE_EVERY_S:
            self._said = self._clock()
            self._lines += 1
            self._say(f"{self._what}: {self._amount()}, {self._times()}")

    def echo(self, line: str) -> None:
        """A line of results, on stdout; above the bar, where both are on one terminal."""
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(Text(line), soft_wrap=True)
        else:
            typer.echo(line)

    def log(self, line: str) -> None:
        """A line of others on stderr, with its colours where that is a terminal."""
        text = Text.from_ansi(line)
        self._console.print(text if self._console.is_terminal else text.plain, markup=False)

    def left_s(self) -> float | None:
        """Seconds until all is done, at the pace so far; None before anything is."""
        if not self._total or self._done <= self._begun:
            return None
        pace_s = (self._reached - self._started) / (self._done - self._begun)
        return max(0.0, pace_s * (self._total - self._done) - (self._clock() - self._reached))

    def _amount(self) -> str:
        if not self._unit:
            return "" if not self._total else f"{self._done / self._total:.0%}"
        of = "" if self._total is None else f" of {self._total:g}"
        return f"{self._done:g}{of} {self._unit}"

    def _times(self) -> str:
        elapsed, left = in_words(self._clock() - self._started), self.left_s()
        return elapsed if left is None else f"{elapsed}, about {in_words(left)} left"

    def _say(self, line: str) -> None:
        self._console.print(Text(line))


class _Left(ProgressColumn):
    """The time left, as lines tell it: rich reckons from half a minute, too short for a round."""

    def __init__(self, left_s: Callable[[], float | None]) -> None:
        super().__init__()
        self._left_s = left_s

    def render(self, task: Task) -> Text:
        """What stands at the bar's end."""
        left = self._left_s()
        return Text("" if left is None else f"about {in_words(left)} left")
