"""What ``ddcai watch`` draws on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ddcai.audit.standing import Awaited, Standing
from ddcai.audit.window_standing import WindowStanding
from ddcai.chain.transactions import ether
from ddcai.cli.output import in_words

WINDOWS = 6  # rows; of more, the latest are shown


def drawn(
    standing: Standing,
    as_of: datetime,
    why: str,
    now: datetime | None = None,
    *,
    most: int | None = None,
) -> RenderableType:
    """The screen: the federation, its round, and a row for each account that is waited for.

    Args:
        as_of: when the chain said so.
        why: why that is not now; empty where it is.
        now: what times are counted from; the clock by default.
        most: rows of accounts that fit; the others are counted.
    """
    now = datetime.now(UTC) if now is None else now
    parts: list[RenderableType] = [_facts(standing, now)]
    if standing.waiting:
        parts.append(_waiting(standing.waiting[:most], now))
        left = len(standing.waiting[most:]) if most is not None else 0
        if left:
            parts.append(Text(f"and {left} more"))
    if standing.windows:
        parts.append(_windows(standing.windows[-WINDOWS:], now))
        if len(standing.windows) > WINDOWS:
            parts.append(Text(f"and {len(standing.windows) - WINDOWS} earlier windows"))
    if why:
        parts.append(Text(f"stale since {_clock(as_of)}: {why}", style="bold red"))
    else:
        parts.append(Text(f"as of {_clock(as_of)}, block {standing.block}", style="dim"))
    return Group(*parts)


def _facts(standing: Standing, now: datetime) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, value: str) -> None:
        table.add_row(Text(name), Text(value))

    row("federation", f"{standing.federation} on chain {standing.chain_id}")
    row("members", str(standing.members))
    row("round", f"{standing.round}, {standing.state}" if standing.round else "none yet")
    row("waits for", standing.step)
    row("updates", f"{standing.submitted} submitted, {standing.sealed} sealed")
    if standing.submit_deadline and standing.finalize_deadline:
        row("to submit", _deadline(standing.submit_deadline, now))
        row("to finalise", _deadline(standing.finalize_deadline, now))
    made_by = f"round {standing.model_round}" if standing.model_round else "the start"
    row("model", f"{standing.model_digest} of {made_by}")
    row("held", ether(standing.held_wei))
    return table


def _waiting(waiting: Sequence[Awaited], now: datetime) -> Table:
    table = Table(title="waiting for", title_justify="left")
    table.add_column("account", no_wrap=True)
    for name in ("who", "to", "since", "until"):
        table.add_column(name)
    for one in waiting:
        table.add_row(
            Text(one.account),
            Text(one.role),
            Text(one.action),
            Text(f"{_clock(one.since)} ({in_words((now - one.since).total_seconds())})"),
            Text("-" if one.until is None else _deadline(one.until, now)),
        )
    return table


def _windows(windows: Sequence[WindowStanding], now: datetime) -> Table:
    table = Table(title="windows", title_justify="left")
    for name in ("window", "state", "rounds", "updates", "waits for", "until", "claimable"):
        table.add_column(name)
    for one in windows:
        due = f"{ether(one.claimable_wei)} by {one.claimants}" if one.claimants else "-"
        table.add_row(
            str(one.number),
            Text(one.state + (f", disputed by {one.disputes}" if one.disputes else "")),
            _between(one.rounds),
            str(one.updates),
            Text(one.step),
            Text("-" if one.until is None else _deadline(one.until, now)),
            Text(due),
        )
    return table


def _between(rounds: Sequence[int]) -> str:
    return str(rounds[0]) if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"


def _deadline(moment: datetime, now: datetime) -> str:
    if now > moment:
        return f"{_clock(moment)} (over)"
    return f"{_clock(moment)} ({in_words((moment - now).total_seconds())} left)"


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%SZ")
