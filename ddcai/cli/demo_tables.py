"""What ``ddcai demo`` prints when its rounds are done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from ddcai.audit.assessment_rows import PayoutRow
from ddcai.audit.claims import Claim, Status
from ddcai.flower import RoundReport
from ddcai.rounds.verdicts import WindowVerdicts


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A finished round, and the model's accuracy after it."""

    report: RoundReport
    accuracy: float


def print_rounds(out: Console, finished: list[Finished], gas: Mapping[int, int]) -> None:
    """A line a round, with its gas by number, and where the seconds go."""
    table = Table(title="Rounds", title_justify="left")
    for column in ("round", "accuracy", "seconds", "bytes per contributor", "gas", "accepted"):
        table.add_column(column, justify="right")
    for item in finished:
        report = item.report
        table.add_row(
            str(report.round),
            f"{item.accuracy:.3f}",
            f"{sum(report.seconds.values()):.2f}",
            f"{report.update_bytes:,}",
            f"{gas[report.round]:,}",
            f"{len(report.contributors)} of {len(report.contributors) + len(report.left_out)}",
        )
    out.print(table)
    steps = Table(title="Where the seconds go (mean of a round)", title_justify="left")
    steps.add_column("step")
    steps.add_column("seconds", justify="right")
    for name in finished[0].report.seconds:
        mean = sum(item.report.seconds[name] for item in finished) / len(finished)
        steps.add_row(name, f"{mean:.3f}")
    out.print(steps)


def print_accuracy(
    out: Console, alone: Mapping[str, float], federated: float, patients: int
) -> None:
    """What each site reaches by itself, and all together."""
    table = Table(
        title=f"Accuracy on the {patients} held-out patients of all sites", title_justify="left"
    )
    table.add_column("trained by")
    table.add_column("accuracy", justify="right")
    for name, accuracy in alone.items():
        table.add_row(f"{name} alone", f"{accuracy:.3f}")
    table.add_row("the federation", f"{federated:.3f}", style="bold")
    out.print(table)


def print_verdicts(out: Console, verdicts: WindowVerdicts, names: Mapping[str, str]) -> None:
    """What the window came to for each contributor: agreement, from -1 to 1, with the root set's
    update and with what the model did later."""
    table = Table(title=f"Verdict on window {verdicts.window}", title_justify="left")
    table.add_column("contributor")
    for column in ("updates", "root set", "movement", "points"):
        table.add_column(column, justify="right")
    table.add_column("deposits")
    for address, one in sorted(verdicts.by_contributor.items(), key=lambda item: item[1].index):
        scores = one.scores
        shown = ("-", "-") if scores is None else (scores.anchor, scores.movement)
        table.add_row(
            names.get(address, address),
            str(one.updates),
            *(each if isinstance(each, str) else f"{each:+.2f}" for each in shown),
            f"{one.points:,}",
            "returned" if one.refund else "forfeited",
            style=None if one.refund else "bold",
        )
    out.print(table)


def print_deposits(out: Console, payouts: Iterable[PayoutRow], names: Mapping[str, str]) -> None:
    """Who deposited, and who has it now; bonds apart."""
    table = Table(title="Deposits, in ETH", title_justify="left")
    table.add_column("contributor")
    for column in ("deposited", "refunded", "forfeited", "taken", "gained"):
        table.add_column(column, justify="right")
    for row in payouts:
        if row.account not in names and row.account != "all":
            continue
        amounts = (row.deposited_wei, row.refunded_wei, row.forfeited_wei, row.taken_wei)
        gained = row.refunded_wei + row.taken_wei - row.deposited_wei
        table.add_row(
            names.get(row.account, row.account),
            *(f"{amount / 10**18:.4f}" for amount in amounts),
            f"{round(gained / 10**18, 4) + 0.0:+.4f}",
            style="bold" if row.forfeited_wei and row.account in names else None,
        )
    out.print(table)


def print_claims(out: Console, claims: Iterable[Claim]) -> bool:
    """Prints one line a claim; whether all passed."""
    good = True
    for claim in claims:
        good = good and claim.status is Status.PASS
        about = f" ({claim.subject})" if claim.subject else ""
        values = f"expected {_short(claim.expected)}, found {_short(claim.found)}"
        line = f"{claim.status.name}  {claim.where}{claim.name}{about}: {values}"
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print("Every claim passes." if good else "Not every claim passes.", style="bold")
    return good


def _short(value: str) -> str:
    """A digest as people compare it; anything else as it is."""
    digest = value.startswith("0x") and len(value) == 66
    return f"{value[:10]}...{value[-6:]}" if digest else value
