"""What is still to come of windows, as the chain says it: for `ddcai watch`."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from rich.console import Console

from ddcai.audit.standing import Standing, Standings, read_standing
from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import connect
from ddcai.chain.records import WindowRules
from ddcai.cli.watch import _window_lines
from ddcai.cli.watch_screen import drawn
from tests.audit.colluding import assessment_of, empty_round, post
from tests.federation import SmallFederation, make_federation
from tests.rounds.judged import CONFIG as TWO

assert TWO.assessment is not None
CONFIG = dataclasses.replace(TWO, assessment=dataclasses.replace(TWO.assessment, window=1))
WINDOWS = WindowRules(
    window_rounds=1, verdict_period_s=10_000, dispute_period_s=600, resolve_period_s=600
)


def told(reading: Standings) -> list[tuple[int, str, str, int]]:
    found = reading.read().windows
    return [(one.number, one.state, one.step, one.claimants) for one in found]


def screen(standing: Standing) -> str:
    out = Console(file=StringIO(), width=200)
    out.print(drawn(standing, standing.block_time, ""))
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def deposit(made: SmallFederation) -> int:
    return made.contract.rules().deposit_wei


def test_windows_are_followed_until_everything_is_claimed(tmp_path: Path, chain_url: str) -> None:
    with make_federation(
        tmp_path, 3, url=chain_url, config=CONFIG, windows=WINDOWS, submit_period_s=10**6
    ) as made:
        w3 = connect(made.url)
        reading = Standings(w3, Federation.connect(w3, made.deployment.federation))
        assert told(reading) == []
        empty_round(made)
        assert told(reading) == [(1, "full", "a verdict", 0)]
        post(made, 1, {0: 1, 1: 1})
        [window] = reading.read().windows
        judged_at = made.contract.assessment().window(1).judged_at
        assert window.until == datetime.fromtimestamp(judged_at + 600, UTC)
        assert (window.state, window.claimable_wei) == ("judged", 0)

        made.pass_time(WINDOWS.dispute_period_s + 1)
        standing = reading.read()
        [window] = standing.windows
        assert (window.state, window.step) == ("standing", "contributors to claim")
        assert (window.claimable_wei, window.claimants) == (3 * deposit(made), 2)
        [line] = _window_lines(standing)
        assert line.endswith(f"; {3 * deposit(made)} wei claimable by 2")
        assert "0.03 ETH by 2" in screen(standing)

        empty_round(made)
        post(made, 2, {0: 1, 1: 1})
        assessment_of(made, 2).dispute(2)
        assert told(reading)[1] == (2, "judged", "disputes, if any", 0)
        assert "disputed by 1" in screen(reading.read())
        for index in (0, 1):
            assessment_of(made, index).claim([1])
        # Something of it may still come, as far as its record says, until a dispute had ended.
        made.pass_time(WINDOWS.dispute_period_s + 1)
        assert told(reading)[-1] == (2, "disputed", "a resolution", 0)
        made.pass_time(WINDOWS.resolve_period_s)
        assert told(reading) == [(2, "fallen", "anyone to close the dispute", 0)]


def test_a_window_without_a_verdict_lapses(tmp_path: Path, chain_url: str) -> None:
    with make_federation(
        tmp_path, 3, url=chain_url, config=CONFIG, windows=WINDOWS, submit_period_s=10**6
    ) as made:
        empty_round(made)
        made.pass_time(WINDOWS.verdict_period_s + 1)
        w3 = connect(made.url)
        reading = Standings(w3, Federation.connect(w3, made.deployment.federation))
        assert told(reading) == [(1, "lapsed", "contributors to claim", 3)]
        for index in range(3):
            assessment_of(made, index).claim([1])
        assert told(reading) == []


def test_windows_are_not_read_where_nobody_asks(tmp_path: Path, chain_url: str) -> None:
    with make_federation(tmp_path, 3, url=chain_url) as made:
        w3 = connect(made.url)
        federation = Federation.connect(w3, made.deployment.federation)
        assert Standings(w3, federation).read().windows == ()
        assert read_standing(w3, federation).windows == ()
