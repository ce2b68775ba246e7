"""The rules of `contracts/src/incentives/Points.sol`: points and badges, no money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from ddcai.errors import ConfigurationError

MAX_BADGES = 8


@dataclass(frozen=True, kw_only=True)
class PointsRules:
    """The rules of one release, fixed when its incentive is deployed.

    Attributes:
        refund_wait_s: seconds from a contribution until its point can be had, from 1.
        daily_limit: contributions of an account in a day of UTC, from 1.
        badge_thresholds: numbers of points that bring a badge, ascending, at most eight.

    Raises:
        ConfigurationError: the contract would refuse them.
    """

    refund_wait_s: int
    daily_limit: int
    badge_thresholds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for field in ("refund_wait_s", "daily_limit"):
            value = getattr(self, field)
            if not 0 < value < 2**32:
                raise ConfigurationError(f"{field} is {value}: give 1 to 2^32 - 1")
        badges = self.badge_thresholds
        ascending = all(low < high for low, high in zip((0, *badges), badges, strict=False))
        if len(badges) > MAX_BADGES or not ascending or (badges and badges[-1] >= 2**32):
            raise ConfigurationError(
                f"badge_thresholds is {list(badges)}: give at most {MAX_BADGES} numbers of points, "
                "each above the one before"
            )

    def to_abi(self) -> tuple[Any, ...]:
        """The fields in the order of ``Points.Rules``."""
        return (self.refund_wait_s, self.daily_limit, list(self.badge_thresholds))

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Self:
        """Rules from the fields in the contract's order."""
        refund_wait, limit, badges = values
        return cls(refund_wait_s=refund_wait, daily_limit=limit, badge_thresholds=tuple(badges))
