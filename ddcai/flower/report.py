"""What a round took: gathered while it runs, told when it is done."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from statistics import fmean
from typing import Self

from ddcai.chain.records import RoundRecord
from ddcai.event_log import about

log = logging.getLogger("ddcai.coordinator")


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

    @classmethod
    def of(cls, record: RoundRecord, model_digest: bytes, progress: Progress) -> Self:
        """Of a sealed round that was finalised."""
        listed = tuple(item.address for item in record.sealed)
        return cls(
            round=record.number,
            contributors=listed,
            left_out=tuple(one.address for one in record.submissions if one.address not in listed),
            update_bytes=progress.update_bytes,
            seconds=progress.seconds,
            model_digest=model_digest,
            metrics=mean_metrics(progress.metrics),
        )


@dataclass
class Progress:
    """What the strategy gathers while a round runs."""

    round: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    metrics: list[dict[str, float]] = field(default_factory=list)
    update_bytes: int = 0


class Timer:
    """Adds the time of a ``with`` block to a round's, and logs a step that was done."""

    def __init__(self, progress: Progress, step: str) -> None:
        self._progress, self._step = progress, step

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, kind: object, *_: object) -> None:
        spent = time.perf_counter() - self._started
        table = self._progress.seconds
        table[self._step] = table.get(self._step, 0.0) + spent
        if kind is None:
            facts = about("step", self._progress.round, step=self._step, seconds=round(spent, 3))
            log.info("done", extra=facts)


def mean_metrics(metrics: list[dict[str, float]]) -> dict[str, float]:
    """Each metric's mean over those that sent it."""
    names = {name for item in metrics for name in item}
    return {name: fmean(item[name] for item in metrics if name in item) for name in sorted(names)}
