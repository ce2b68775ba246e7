"""How much noise, and how much may be learned in all: a section of the federation's document."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddcai.errors import ConfigurationError

# Of every three contributors one may leave its noise out, or tell it to who wants to subtract it.
BEARING_NUMERATOR, BEARING_DENOMINATOR = 2, 3
LEAST_DELTA = 1e-12
MOST_EPSILON = 50.0


def _require(condition: bool, name: str, value: object, remedy: str) -> None:
    if not condition:
        raise ConfigurationError(f"privacy.{name} is {value!r}: {remedy}")


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """(epsilon, delta)-differential privacy of a contributor's updates, against who sees the
    opened sums and the models.

    Neighbouring: the same rounds with the same contributors, one of whose updates are all zero
    (Kairouz, Liu, Steinke, ICML 2021, "zero-out"). Who takes part, and when, is public anyway.

    Attributes:
        noise_multiplier: standard deviation of a coordinate's noise in the sum, over the L2
            sensitivity; reached while at most a third of a round's contributors leave theirs out.
        delta: of the guarantee, over all rounds; far below 1 / contributors.
        epsilon_budget: no round is run that brings epsilon above it.
        min_contributors: every sum is of at least so many; the contract's ``minContributors``
            must be no lower. With more the sum carries more noise than is accounted for.
    """

    noise_multiplier: float
    delta: float
    epsilon_budget: float
    min_contributors: int = 3

    def __post_init__(self) -> None:
        good = math.isfinite(self.noise_multiplier) and 0.01 <= self.noise_multiplier <= 1000
        _require(good, "noise_multiplier", self.noise_multiplier, "from 0.01 to 1000")
        good = LEAST_DELTA <= self.delta <= 0.01
        _require(good, "delta", self.delta, f"from {LEAST_DELTA:g} to 0.01")
        good = 0 < self.epsilon_budget <= MOST_EPSILON
        _require(good, "epsilon_budget", self.epsilon_budget, f"above 0, at most {MOST_EPSILON:g}")
        good = 2 <= self.min_contributors <= 1024
        _require(good, "min_contributors", self.min_contributors, "from 2 to 1024")

    @property
    def noise_bearing(self) -> int:
        """Contributors of a sum that carry their noise, at least: ceil(2/3 min_contributors).

        Of n >= min_contributors at most floor(n / 3) leave theirs out, so that n - floor(n / 3)
        = ceil(2n / 3), which is no less, carry it.
        """
        return -(-self.min_contributors * BEARING_NUMERATOR // BEARING_DENOMINATOR)


__all__ = ["LEAST_DELTA", "MOST_EPSILON", "Privacy"]
