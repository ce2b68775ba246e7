"""What a round took: gathered while it runs, told when it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean


@dataclass(frozen=True, kw_only=True)
class RoundReport:
    """What a round took; nothing in it comes from a site's data.

    Attributes:
        round: its number.
        contributors: accounts in the sum.
        left_out: accounts that committed an update and are not in the sum.
        update_bytes: size of one ciphertext update; all are of one size.
        seconds: wall time by step: open, train, seal, open_sum, attest, finalize; where updates
            are judged also draw and judge, and seal is their commitment.
        model_digest: the new model's digest.
        metrics: the contributors' metrics, averaged.
    """

    round: int
    contributors: tuple[str, ...]
    left_out: tuple[str, ...]
    update_bytes: int
    seconds: dict[str, float]
    model_digest: bytes
    metrics: dict[str, float]


@dataclass
class Progress:
    """What the strategy gathers while a round runs."""

    seconds: dict[str, float] = field(default_factory=dict)
    metrics: list[dict[str, float]] = field(default_factory=list)
    update_bytes: int = 0


def mean_metrics(metrics: list[dict[str, float]]) -> dict[str, float]:
    """Each metric's mean over those that sent it."""
    names = {name for item in metrics for name in item}
    return {name: fmean(item[name] for item in metrics if name in item) for name in sorted(names)}
