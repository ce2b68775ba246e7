"""The window: whose deposits come back, and with how many points.

Every score that comes in is a multiple of 2**-16, so sums are exact and no verdict hangs on an
order. What is posted are `Verdicts.to_bytes`, the same bytes from every party.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from ddcai.assessment.configuration import Assessment
from ddcai.assessment.gate import median
from ddcai.assessment.scores import SCALE, fixed, on_grid
from ddcai.digests import verdicts_digest
from ddcai.errors import ConfigurationError

# Of a normal distribution: median absolute deviation over standard deviation.
_DEVIATIONS = 0.6745


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One contributor's scores in one round, all multiples of 2**-16.

    Attributes:
        size: length over its bound (`gate.Gate.sizes`).
        anchor: R.
        movement: F, known `movement_lag` rounds later.
        replay: rho.
    """

    size: float
    anchor: float
    movement: float
    replay: float


@dataclass(frozen=True, kw_only=True)
class WindowScores:
    """Means over a contributor's window, on the grid."""

    size: float
    anchor: float
    movement: float
    replay: float

    @classmethod
    def of(cls, records: Sequence[RoundRecord]) -> Self:
        """Means of at least one round.

        Raises:
            ConfigurationError: for no record, or a score that is off the grid.
        """
        if not records:
            raise ConfigurationError("a window of no rounds has no mean: judge who took part")
        means = {}
        for name in ("size", "anchor", "movement", "replay"):
            values = [getattr(record, name) for record in records]
            if any(on_grid(value) != value for value in values):
                raise ConfigurationError(f"{name} {values}: scores are multiples of 2**-16")
            means[name] = on_grid(sum(values) / len(values))
        return cls(**means)


@dataclass(frozen=True, kw_only=True)
class Level:
    """A cohort's level in one score: median and spread, and the least that passes.

    Attributes:
        reliable: whether the median is high enough to mean something.
    """

    median: float
    spread: float
    reliable: bool
    least: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One contributor's.

    Attributes:
        refund: whether its deposits of the window come back.
        points_wei: its weight in what others forfeit, 0 for who forfeits itself.
        failed: which tests it failed, of size, replay, movement and anchor; also where nothing
            is forfeited because the window does not slash.
        scores: what it was judged by.
    """

    refund: bool
    points_wei: int
    failed: tuple[str, ...]
    scores: WindowScores


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """A window's.

    Attributes:
        by_contributor: sorted by name.
        movement, anchor: the cohort's levels; anchor is None where it does not judge.
        noisy_windows: in a row, this one included.
        slashes: whether failing forfeits.
    """

    by_contributor: Mapping[str, Verdict]
    movement: Level
    anchor: Level | None
    noisy_windows: int
    slashes: bool

    def to_bytes(self) -> bytes:
        """One canonical form: a version byte, then for each contributor, by name: length of its
        name (u16) and name, refund (u8), size, anchor, movement, replay (i64, times 2**16) and
        points (u256), all big-endian."""
        parts = [b"\x01"]
        for name, one in sorted(self.by_contributor.items()):
            raw = name.encode("utf-8")
            scores = one.scores
            parts += [len(raw).to_bytes(2, "big"), raw, bytes([one.refund])]
            parts += [
                fixed(score).to_bytes(8, "big", signed=True)
                for score in (scores.size, scores.anchor, scores.movement, scores.replay)
            ]
            parts.append(one.points_wei.to_bytes(32, "big"))
        return b"".join(parts)

    def digest(self) -> bytes:
        """32 bytes over `to_bytes`."""
        return verdicts_digest(self.to_bytes())


def judge(
    cohort: Mapping[str, WindowScores],
    deposits_wei: Mapping[str, int],
    *,
    anchor_judges: bool,
    noisy_windows: int,
    config: Assessment,
) -> Verdicts:
    """Judges all of a cohort.

    Args:
        cohort: means by contributor: of everybody whose window is known, also of those whose
            deposits are not due, for medians are taken over all.
        deposits_wei: what each has at stake in the window, by the same names.
        anchor_judges: `Assessment.anchor_judges` of the root set.
        noisy_windows: how many noisy ones there were in a row before this one.
        config: the rule's settings.

    | case | result |
    |---|---|
    | nobody | no verdicts |
    | one contributor | it is its own median: movement and anchor pass |
    | median movement below movement_reliable | nobody earns points |
    | the same after noisy_windows of them in a row | all deposits come back |

    Raises:
        ConfigurationError: if the names differ, or a deposit is negative.
    """
    if set(cohort) != set(deposits_wei):
        odd = sorted(set(cohort) ^ set(deposits_wei))
        raise ConfigurationError(f"{odd[0]} has scores or a deposit, not both: give both")
    for name, wei in deposits_wei.items():
        if wei < 0:
            raise ConfigurationError(f"the deposit of {name} is {wei} wei: give 0 or more")
    everybody = list(cohort.values())
    movement = level(
        [one.movement for one in everybody],
        share=config.movement_share,
        reliable=config.movement_reliable,
        floor=config.movement_floor,
        spreads=config.movement_spreads,
        spread_floor=config.spread_floor,
    )
    anchor = None
    if anchor_judges:
        anchor = level(
            [one.anchor for one in everybody],
            share=config.anchor_share,
            reliable=config.anchor_reliable,
            floor=config.anchor_floor,
            spreads=config.anchor_spreads,
            spread_floor=config.spread_floor,
        )
    usual = median([one.replay for one in everybody]) if everybody else 0.0
    most_replay = max(config.replay_ceiling, usual + config.replay_margin)
    noisy = 0 if movement.reliable else noisy_windows + 1
    slashes = noisy <= config.noisy_windows
    verdicts = {}
    for name in sorted(cohort):
        one = cohort[name]
        tests = {
            "size": one.size <= 1,
            "replay": one.replay <= most_replay,
            "movement": one.movement >= movement.least,
            "anchor": anchor is None
            or one.anchor >= anchor.least
            or (movement.reliable and one.movement >= config.movement_acquits * movement.median),
        }
        failed = tuple(test for test, passed in tests.items() if not passed)
        earned = 0
        if not failed and movement.reliable:
            earned = deposits_wei[name] * max(0, fixed(one.anchor)) // SCALE
        verdicts[name] = Verdict(
            refund=not failed or not slashes, points_wei=earned, failed=failed, scores=one
        )
    return Verdicts(
        by_contributor=verdicts,
        movement=movement,
        anchor=anchor,
        noisy_windows=noisy,
        slashes=slashes,
    )


def level(
    scores: Sequence[float],
    *,
    share: float,
    reliable: float,
    floor: float,
    spreads: float,
    spread_floor: float,
) -> Level:
    """A cohort's level: q its median; spread (median of scores >= q, minus q) / 0.6745.

    The spread is taken of the upper half alone: whoever would widen it, to pass, must agree
    with the model. Nobody at all has a level of 0.
    """
    q = median(list(scores)) if scores else 0.0
    upper = [score for score in scores if score >= q]
    spread = max(spread_floor, (median(upper) - q) / _DEVIATIONS if upper else 0.0)
    good = q >= reliable
    return Level(
        median=q,
        spread=spread,
        reliable=good,
        least=share * q if good else min(floor, q - spreads * spread),
    )


def shares_wei(verdicts: Verdicts, pool_wei: int) -> dict[str, int]:
    """How a pool (what is forfeited, and the bounty) is shared: in proportion to points.

    Returns:
        By contributor, rounded down; nothing where nobody has points. The rest stays.
    """
    if pool_wei < 0:
        raise ConfigurationError(f"the pool is {pool_wei} wei: give 0 or more")
    total = sum(one.points_wei for one in verdicts.by_contributor.values())
    return {
        name: pool_wei * one.points_wei // total if total else 0
        for name, one in verdicts.by_contributor.items()
    }


__all__ = [
    "Level",
    "RoundRecord",
    "Verdict",
    "Verdicts",
    "WindowScores",
    "judge",
    "level",
    "shares_wei",
]
