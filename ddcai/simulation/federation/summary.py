"""Outcomes over seeds: rates, and how sure they are."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ddcai.simulation.federation.referee import DEPOSIT_WEI
from ddcai.simulation.federation.run import Outcome

# Student's t, 97.5 %, by degrees of freedom from 1; the last one stands for all above.
_T: tuple[float, ...] = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
    1.960,
)


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One outcome in numbers; None where it has none.

    Attributes:
        hrr: honest refund rate, over contributors and windows.
        afr: attacker forfeiture rate.
        identification: share of all verdicts that are right.
        worst_client: refund rate of the honest client at the tenth percentile.
        accuracy: after the last round.
        success: the attack's own.
        honest_pay, attacker_pay: mean gain of a contributor in a window, in deposits.
    """

    hrr: float | None
    afr: float | None
    identification: float | None
    worst_client: float | None
    accuracy: float
    success: float | None
    honest_pay: float | None
    attacker_pay: float | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A rule's means over seeds, each with the half-width of its 95 % confidence interval.

    Intervals are Student's, over seeds; None with one seed, or where there is nothing to say.
    """

    rule: str
    seeds: int
    hrr: float | None
    hrr_ci95: float | None
    afr: float | None
    afr_ci95: float | None
    identification: float | None
    identification_ci95: float | None
    accuracy: float | None
    accuracy_ci95: float | None
    attack_success: float | None
    attack_success_ci95: float | None
    honest_pay: float | None
    honest_pay_ci95: float | None
    attacker_pay: float | None
    attacker_pay_ci95: float | None


def seed_of(outcome: Outcome) -> Seed:
    """Numbers of one outcome."""
    refunds: dict[str, list[bool]] = {}
    pay: dict[bool, list[float]] = {False: [], True: []}
    for settled in outcome.settled:
        for name in settled.due:
            refunds.setdefault(name, []).append(settled.verdicts.by_contributor[name].refund)
            pay[name in outcome.attackers].append(settled.paid_wei[name] / DEPOSIT_WEI)
    honest = [
        one for name, all_ in refunds.items() if name not in outcome.attackers for one in all_
    ]
    lost = [not one for name in outcome.attackers for one in refunds.get(name, [])]
    clients = sorted(
        _mean(refunds[name]) or 0.0 for name in refunds if name not in outcome.attackers
    )
    return Seed(
        hrr=_mean(honest),
        afr=_mean(lost),
        identification=_mean(honest + lost),
        worst_client=clients[len(clients) // 10] if clients else None,
        accuracy=outcome.accuracy[-1],
        success=None if math.isnan(outcome.success) else outcome.success,
        honest_pay=_mean(pay[False]),
        attacker_pay=_mean(pay[True]),
    )


def row_of(rule: str, outcomes: Sequence[Outcome]) -> Row:
    """A rule's row, of outcomes of several seeds."""
    seeds = [seed_of(outcome) for outcome in outcomes]
    numbers: dict[str, float | None] = {}
    for column, field in (
        ("hrr", "hrr"),
        ("afr", "afr"),
        ("identification", "identification"),
        ("accuracy", "accuracy"),
        ("attack_success", "success"),
        ("honest_pay", "honest_pay"),
        ("attacker_pay", "attacker_pay"),
    ):
        values = [value for seed in seeds if (value := getattr(seed, field)) is not None]
        numbers[column], numbers[f"{column}_ci95"] = interval(values)
    return Row(rule=rule, seeds=len(seeds), **numbers)


def interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean, and half-width of its 95 % confidence interval."""
    if not values:
        return None, None
    mean = statistics.fmean(values)
    if len(values) == 1:
        return mean, None
    t = _T[min(len(values) - 1, len(_T)) - 1]
    return mean, t * statistics.stdev(values) / math.sqrt(len(values))


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


__all__ = ["Row", "Seed", "interval", "row_of", "seed_of"]
