"""``ddcai watch``: a federation, followed in the terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.answers import ContractOption, OptionalDeploymentOption
from ddcai.cli.options import DEFAULT_RPC_URL, FormatOption, RpcUrlOption
from ddcai.cli.output import emit_one, json_value, say, stdout
from ddcai.errors import ChainError, ConfigurationError

if TYPE_CHECKING:
    from ddcai.audit.standing import Standing

EVERY_S = 2.0
ROWS_AROUND = 17  # lines of the screen beside those of who is waited for and of windows


def watch(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    every_s: Annotated[
        float, typer.Option("--every-s", min=0.1, help="Seconds between two looks at the chain.")
    ] = EVERY_S,
    once: Annotated[bool, typer.Option("--once", help="Show how it stands, and stop.")] = False,
    format_: FormatOption = "table",
) -> None:
    """Follow a federation: its round, who is waited for, since when and until when.

    On a terminal the screen is drawn anew; elsewhere each change is a line, with --format json
    an object a line. Goes on when the endpoint is gone for a while, and says so. Ctrl-C stops.
    """
    from ddcai.cli.processes import stop_on_signals

    read = reader(contract, deployment, rpc_url)
    first = read()
    if once:
        if format_ == "json":
            emit_one(first, format_)
        else:
            _print_screen(first)
        return
    with stop_on_signals():
        looks = follow(first, read, every_s)
        if format_ == "json":
            _json_lines(looks)
        elif sys.stdout.isatty():
            _screen(looks)
        else:
            _lines(looks)


def reader(contract: str | None, deployment: Path | None, rpc_url: str) -> Callable[[], Standing]:
    """What reads how a federation stands, over a connection of its own."""
    from ddcai.audit.standing import Standings
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.federation import Federation
    from ddcai.chain.node.connection import connect

    if contract is not None:
        w3 = connect(rpc_url)
        federation = Federation.connect(w3, contract)
    elif deployment is not None:
        found = Deployment.load(deployment)
        w3 = connect(rpc_url, chain_id=found.chain_id)
        federation = Federation.connect(w3, found.federation, from_block=found.deployed_block)
    else:
        raise ConfigurationError("no federation is named: give --contract or --deployment")
    return Standings(w3, federation).read


Look = tuple["Standing", datetime, str]


def follow(first: Standing, read: Callable[[], Standing], every_s: float) -> Iterator[Look]:
    """How it stands, as of when, and why it is not known any newer (empty where it is)."""
    standing, as_of, why = first, datetime.now(UTC), ""
    while True:
        yield standing, as_of, why
        time.sleep(every_s)
        try:
            standing, as_of, why = read(), datetime.now(UTC), ""
        except ChainError as error:
            why = str(error)


def _json_lines(looks: Iterator[Look]) -> None:
    last = None
    for standing, as_of, why in looks:
        stale = {"stale_since": as_of if why else None, "stale_because": why or None}
        told = json_value({**json_value(standing), **stale})
        shown = {key: value for key, value in told.items() if key not in ("block", "block_time")}
        if shown != last:
            typer.echo(json.dumps(told))
        last = shown


def _lines(looks: Iterator[Look]) -> None:
    said: tuple[str, ...] = ()
    stale = False
    for standing, as_of, why in looks:
        if why and not stale:
            say(f"stale since {_clock(as_of)}: {why}")
        elif stale and not why:
            say("the chain answers again")
        stale = bool(why)
        lines = (_headline(standing), *_waiting_lines(standing), *_window_lines(standing))
        for line in lines:
            if line not in said:
                typer.echo(f"{_clock(as_of)} {line}")
        said = lines


def _screen(looks: Iterator[Look]) -> None:
    from rich.live import Live

    from ddcai.cli.watch_screen import WINDOWS, drawn

    console = stdout()
    with Live(console=console, auto_refresh=False) as live:
        for standing, as_of, why in looks:
            windows = min(len(standing.windows), WINDOWS)
            rows = ROWS_AROUND + (windows + 6 if windows else 0)
            most = max(1, console.height - rows)
            live.update(drawn(standing, as_of, why, most=most), refresh=True)


def _print_screen(standing: Standing) -> None:
    from ddcai.cli.watch_screen import drawn

    stdout().print(drawn(standing, datetime.now(UTC), ""))


def _headline(standing: Standing) -> str:
    return (
        f"round {standing.round} {standing.state}: {standing.step}; {standing.submitted} updates, "
        f"{standing.sealed} sealed, {standing.members} members, model {standing.model_digest} of "
        f"round {standing.model_round}, {standing.held_wei} wei held"
    )


def _waiting_lines(standing: Standing) -> tuple[str, ...]:
    return tuple(
        f"round {standing.round} waits for {one.role} {one.account} to {one.action}: since "
        f"{_clock(one.since)}" + (f", until {_clock(one.until)}" if one.until else "")
        for one in standing.waiting
    )


def _window_lines(standing: Standing) -> tuple[str, ...]:
    return tuple(
        f"window {one.number} {one.state}: waits for {one.step}"
        + (f", until {_clock(one.until)}" if one.until else "")
        + (f"; {one.claimable_wei} wei claimable by {one.claimants}" if one.claimants else "")
        for one in standing.windows
    )


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
