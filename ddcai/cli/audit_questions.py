"""``ddcai audit``: the questions that the index answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from ddcai.cli.answers import Asked, as_mappings, give, give_nested, question
from ddcai.cli.output import say
from ddcai.errors import ConfigurationError

TimeOption = Annotated[
    str | None, typer.Option(help="UTC, 2026-01-31 or 2026-01-31T12:00:00; included.")
]
AccountArgument = Annotated[str, typer.Argument(help="The account's address.")]


@question
def rounds(asked: Asked) -> None:
    """List all rounds; with the deployment file, what each brought epsilon to."""
    from ddcai.audit.ledger.rows import RoundRow

    with asked.ledger() as ledger:
        rows = ledger.rounds()
    give(asked, rows, RoundRow, title="rounds", empty="no round was opened yet")


@question
def round_(
    asked: Asked,
    number: Annotated[int, typer.Argument(min=1, help="The round's number.")],
) -> None:
    """Show one round, step by step: who did what, when, with which digest, for how much gas."""
    from ddcai.audit.ledger.rows import StepRow

    with asked.ledger() as ledger:
        rows = ledger.round(number)
    give(asked, rows, StepRow, title=f"round {number}", empty="nothing")


@question
def windows(asked: Asked) -> None:
    """List windows of judged rounds: where each stands, and what became of its deposits."""
    from ddcai.audit.ledger.findings import WindowRow

    with asked.ledger() as ledger:
        rows = ledger.windows()
    give(asked, rows, WindowRow, title="windows", empty="no window: no judged round was finalised")


@question
def window(
    asked: Asked,
    number: Annotated[int, typer.Argument(min=1, help="The window's number.")],
) -> None:
    """Show one window, a contributor a row: its deposits, its points, and what it was paid."""
    from ddcai.audit.ledger.findings import WindowMemberRow

    with asked.ledger() as ledger:
        rows = ledger.window(number)
    give(asked, rows, WindowMemberRow, title=f"window {number}", empty="nothing")


@question
def contributors(asked: Asked) -> None:
    """List all contributors with their rounds, points, and money."""
    from ddcai.audit.ledger.rows import ContributorRow

    with asked.ledger() as ledger:
        rows = ledger.contributors()
    give(asked, rows, ContributorRow, title="contributors", empty="nobody joined yet")


@question
def contributor(
    asked: Asked,
    address: Annotated[str, typer.Argument(help="The contributor's account.")],
) -> None:
    """Show what one contributor did, its points, and where each of its deposits went."""
    with asked.ledger() as ledger:
        report = ledger.contributor(address)
    give_nested(asked, report, ("rounds", "windows"), title=f"rounds of {report.address}")


@question
def model(
    asked: Asked,
    given: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|DIGEST]",
            help="A safetensors file, or a digest of a model or an update; by default the current "
            "model.",
        ),
    ] = None,
) -> None:
    """Show which rounds and updates a model descends from, and which models came of it."""
    with asked.ledger() as ledger:
        lineage = ledger.model(given)
    give_nested(asked, lineage, ("rounds", "descendants"), title="descends from")


@question
def money(asked: Asked) -> None:
    """List what each contributor paid in, got back, and may still claim."""
    from ddcai.audit.ledger.rows import MoneyRow

    with asked.ledger() as ledger:
        rows = ledger.money()
    give(asked, rows, MoneyRow, title="deposits", empty="nobody paid a deposit yet")


@question
def flows(
    asked: Asked,
    account: AccountArgument,
    since: TimeOption = None,
    until: TimeOption = None,
) -> None:
    """List every amount that an account paid or got, with its balance after each."""
    from ddcai.audit.ledger.rows import FlowRow

    with asked.ledger() as ledger:
        rows = ledger.flows(account, _time(since), _time(until, end=True))
    give(
        asked, rows, FlowRow, title=f"flows of {account}", empty="it paid nothing, and got nothing"
    )


@question
def attestations(
    asked: Asked,
    number: Annotated[
        int | None, typer.Option("--round", min=1, help="Of this round alone.")
    ] = None,
) -> None:
    """List who signed which result and verdict, and who could and did not."""
    from ddcai.audit.ledger.findings import AttestationRow

    with asked.ledger() as ledger:
        rows = ledger.attestations(number)
    give(asked, rows, AttestationRow, title="attestations", empty="nothing was signed yet")


@question
def contributions(asked: Asked) -> None:
    """List contributions of public data, with what became of each."""
    from ddcai.audit.ledger.findings import PublicContributionRow

    with asked.ledger() as ledger:
        rows = ledger.contributions()
    give(
        asked,
        rows,
        PublicContributionRow,
        title="contributions",
        empty="nobody contributed public data",
    )


@question
def gas(asked: Asked) -> None:
    """List gas and fees by action."""
    from ddcai.audit.ledger.findings import GasRow

    with asked.ledger() as ledger:
        rows = ledger.gas()
    give(asked, rows, GasRow, title="gas", empty="no transaction yet")


@question
def claimable(
    asked: Asked,
    account: Annotated[str | None, typer.Argument(help="Of this account alone.")] = None,
) -> None:
    """List who can claim what now, of which round or window."""
    from ddcai.audit.ledger.rows import ClaimableRow

    with asked.ledger() as ledger:
        rows = ledger.claimable(account)
    give(asked, rows, ClaimableRow, title="claimable", empty="nothing can be claimed now")


@question
def anomalies(asked: Asked) -> None:
    """List what an auditor should look at: no proof of fraud."""
    from ddcai.audit.ledger.findings import AnomalyRow

    with asked.ledger() as ledger:
        rows = ledger.anomalies()
    give(asked, rows, AnomalyRow, title="anomalies", empty="nothing out of the ordinary")


@question
def sql(
    asked: Asked,
    statement: Annotated[str, typer.Argument(help="A SELECT over the views of docs/audit.md.")],
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 1000,
    seconds: Annotated[float, typer.Option(min=0.1, help="That it may take.")] = 10.0,
) -> None:
    """Ask in SQL, read-only, over the documented views of all federations in the index."""
    with asked.ledger() as ledger:
        answer = ledger.sql(statement, limit=limit, seconds=seconds)
    give(asked, as_mappings(answer.columns, answer.rows), empty="no rows")
    if answer.more:
        say(f"there are more rows: these are the first {limit} (--limit)")


def _time(given: str | None, *, end: bool = False) -> datetime | None:
    """A time in UTC; of a day alone its first second, or its last."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise ConfigurationError(
            f"{given!r} is no time: give 2026-01-31 or 2026-01-31T12:00:00, in UTC"
        ) from error
    if end and len(given) == len("2026-01-31"):
        found = found.replace(hour=23, minute=59, second=59)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


QUESTIONS: dict[str, Callable[..., None]] = {
    "rounds": rounds,
    "round": round_,
    "windows": windows,
    "window": window,
    "contributors": contributors,
    "contributor": contributor,
    "model": model,
    "money": money,
    "flows": flows,
    "attestations": attestations,
    "contributions": contributions,
    "gas": gas,
    "claimable": claimable,
    "anomalies": anomalies,
    "sql": sql,
}
