"""The Skellam mechanism on quantised updates: how an update is bounded, and what noise it gets.

Everything is in integers, so that the sensitivity is exact: after quantisation an update's L2
norm is at most ``sensitivity``, checked as an integer, whatever the rounding did.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ddcai.errors import PlanError
from ddcai.privacy.configuration import Privacy
from ddcai.privacy.skellam import MAX_VARIANCE, Source, sample, tail

# Rounding adds at most a quarter a coordinate to the squared norm. From here on that is at most a
# sixteenth of the sensitivity's square, and costs a long update 3 % of its length.
STEPS_PER_ROOT_DIMENSION = 2
_LEAST_SENSITIVITY = 16
_ATTEMPTS = 64
_CHUNK = 2**16


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """What each contributor of a federation does to its update.

    Attributes:
        signal_limit: largest magnitude of a quantised coordinate.
        sensitivity: largest L2 norm of a quantised update: clip_norm in steps, rounded down.
        variance: of the noise that one contributor adds to each coordinate.
        bearing: noise-bearing contributors that are reckoned with: bearing * variance is at
            least (noise_multiplier * sensitivity)**2.
        reach: largest magnitude of a coordinate with its noise, within the contributor's share
            of the lane: no sum of the planned number of contributors runs over. There is no
            clamping: the noise's own tail ends there (`ddcai.privacy.skellam.tail`).
    """

    signal_limit: int
    sensitivity: int
    variance: int
    bearing: int
    reach: int

    @classmethod
    def plan(
        cls, privacy: Privacy, *, lane_limit: int, clip_norm: float, value_range: float
    ) -> Self:
        """The finest steps at which an update and its noise fit a contributor's share of a lane.

        Args:
            privacy: the federation's setting.
            lane_limit: largest magnitude of one contributor's integer
                (`ddcai.encryption.parameters.ParameterSet.value_limit`).
            clip_norm, value_range: of `ddcai.configuration.Aggregation`.

        Raises:
            PlanError: there is no room for noise, with the settings to change.
        """

        def made(signal: int) -> Self | None:
            sensitivity = math.floor(signal * (clip_norm / value_range))
            bearing = privacy.noise_bearing
            target = (privacy.noise_multiplier * sensitivity) ** 2
            variance = max(1, math.ceil(target / bearing)) if target < 2**60 else MAX_VARIANCE + 1
            if variance > MAX_VARIANCE or sensitivity > 2**30:
                return None
            reach = signal + tail(variance)
            if reach > lane_limit:
                return None
            return cls(
                signal_limit=signal,
                sensitivity=sensitivity,
                variance=variance,
                bearing=bearing,
                reach=reach,
            )

        low, high = 0, lane_limit + 1  # the widest signal that fits is from low to below high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if made(middle) else (low, middle)
        found = made(low) if low else None
        if found is None or found.sensitivity < _LEAST_SENSITIVITY:
            raise PlanError(
                f"privacy.noise_multiplier is {privacy.noise_multiplier}: of the lane's "
                f"{lane_limit} steps a contributor, its noise leaves an update of "
                f"{0 if found is None else found.sensitivity}, and {_LEAST_SENSITIVITY} are the "
                "least; lower it or encryption.max_contributors, raise privacy.min_contributors, "
                "or take a parameter set with wider lanes"
            )
        return found

    def require_resolution(self, dimension: int) -> None:
        """Refuses a model for whose parameters the steps are too coarse.

        Raises:
            PlanError: rounding would take the place of the update.
        """
        least = STEPS_PER_ROOT_DIMENSION * math.sqrt(dimension)
        if self.sensitivity < least:
            raise PlanError(
                f"an update of {dimension} parameters may be {self.sensitivity} steps long, and "
                f"takes {math.ceil(least)}: lower privacy.noise_multiplier, "
                "encryption.max_contributors or the model's size, or take a parameter set with "
                "wider lanes"
            )

    def protect(self, values: NDArray[np.int64], source: Source = os.urandom) -> NDArray[np.int64]:
        """An update with noise, int64[n], from a quantised one within +-signal_limit.

        Args:
            source: as `ddcai.privacy.skellam.sample` takes it.

        Guarantees:
            the L2 norm before the noise is at most ``sensitivity``, exactly;
            every integer is within +-reach.
        """
        noise = sample(self.variance, values.size, source)
        return self.bounded(values, source) + noise

    def bounded(self, values: NDArray[np.int64], source: Source = os.urandom) -> NDArray[np.int64]:
        """The update at most ``sensitivity`` long; one that is too long by rounding is scaled
        down and rounded at random again, a little shorter each time.

        Raises:
            ValueError: a coordinate is beyond signal_limit: it was not quantised for this.
        """
        if np.abs(values).max(initial=0) > self.signal_limit:
            raise ValueError(f"a coordinate is beyond +-{self.signal_limit}")
        most, bounded = self.sensitivity**2, values
        for attempt in range(_ATTEMPTS):
            length = squared_length(bounded)
            if length <= most:
                return bounded
            scaled = values * (self.sensitivity / math.sqrt(squared_length(values)))
            scaled *= 1 - attempt / _ATTEMPTS
            draws = np.frombuffer(source(4 * values.size), dtype="<u4")
            bounded = np.floor(scaled).astype(np.int64)
            bounded += draws < (scaled - bounded) * 2**32
        return np.zeros_like(values)  # unheard of: at one step's length rounding alone is longer


def squared_length(values: NDArray[np.int64]) -> int:
    """The exact sum of squares of integers below 2**23 in magnitude."""
    return sum(
        int(np.dot(part, part))
        for part in (values[i : i + _CHUNK] for i in range(0, values.size, _CHUNK))
    )


__all__ = ["Mechanism", "squared_length"]
