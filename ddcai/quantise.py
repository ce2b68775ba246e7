"""Float deltas to bounded integers, and the opened sum back to a mean delta.

What is encrypted is a vector of int64: COUNT_DIGITS digits of the contributor's capped
example count, then one integer a coordinate, all within +-value_limit. Sums of up to the
planned number of contributors fit the lanes, so nothing wraps and the sum is exact.

With weighting ``examples``, a clipped delta is scaled by count / max_examples before
rounding, so that the sum of integers over the sum of counts is the weighted mean and no
party sees another's count. With ``uniform``, every count is 1 of 1.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ddcai.configuration import Aggregation
from ddcai.errors import PlanError, RoundError

COUNT_DIGITS = 2
_RANDOM_BITS = 32


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """What `Quantiser.encode` made.

    Attributes:
        values: int64[COUNT_DIGITS + n], to be encrypted.
        clamped_share: share of coordinates outside +-value_range, from 0 to 1.
        norm: L2 norm of the delta before clipping.
        clipped: whether it was longer than clip_norm and scaled down.
    """

    values: NDArray[np.int64]
    clamped_share: float
    norm: float
    clipped: bool


@dataclass(frozen=True)
class Quantiser:
    """Encodes one contributor's delta; decodes a sum of them.

    Attributes:
        aggregation: the federation's setting.
        value_limit: largest magnitude of one contributor's integer
            (`ParameterSet.value_limit` of the planned number of contributors).
    """

    aggregation: Aggregation
    value_limit: int

    def __post_init__(self) -> None:
        if self.value_limit < 1:
            raise PlanError(f"the value limit is {self.value_limit}: plan for fewer contributors")
        if self._largest_count >= self._base**COUNT_DIGITS:
            raise PlanError(
                f"aggregation.max_examples is {self.aggregation.max_examples}: counts up to "
                f"{self._base**COUNT_DIGITS - 1} fit; lower it or encryption.max_contributors"
            )

    @property
    def _base(self) -> int:
        return self.value_limit + 1

    @property
    def _largest_count(self) -> int:
        uniform = self.aggregation.weighting == "uniform"
        return 1 if uniform else self.aggregation.max_examples

    def encode(
        self,
        delta: NDArray[np.floating],
        num_examples: int,
        rng: np.random.Generator | None = None,
    ) -> Encoded:
        """Clips, clamps, weights and rounds one delta.

        Args:
            delta: float[n], local minus base.
            num_examples: the contributor's number of training examples; above max_examples
                it counts as max_examples.
            rng: only for simulations that must repeat; otherwise the rounding is drawn from
                the operating system.

        Guarantees:
            every integer is within +-value_limit;
            without clipping and clamping, its expectation is the weighted coordinate times
            value_limit / value_range, to 2**-32 of a step (stochastic rounding);
            a coordinate that is a whole number of steps is never changed.

        | delta | result |
        |---|---|
        | NaN or infinite | RoundError, with the position |
        | empty, or not a vector | RoundError |
        | num_examples below 1, or no whole number | RoundError |
        | longer than clip_norm | scaled to it; `clipped` says so |
        | some coordinates beyond +-value_range | clamped; `clamped_share` says how many |
        | more than clamped_share_limit of them | RoundError naming aggregation.value_range |
        """
        settings = self.aggregation
        delta = np.asarray(delta)
        if delta.ndim != 1 or delta.size == 0 or not np.issubdtype(delta.dtype, np.floating):
            raise RoundError(f"the delta is {delta.dtype}{delta.shape}: give float[n], n > 0")
        whole = isinstance(num_examples, int | np.integer) and not isinstance(num_examples, bool)
        if not whole or num_examples < 1:
            raise RoundError(
                f"num_examples is {num_examples!r}: a contributor needs at least one example"
            )
        scaled = delta.astype(np.float64)
        finite = np.isfinite(scaled)
        if not finite.all():
            where = int(np.argmin(finite))
            raise RoundError(
                f"coordinate {where} of the delta is {scaled[where]}: training diverged; lower "
                "training.learning_rate or check the data for extreme values"
            )
        # Scaled by the largest magnitude first, so that no square overflows.
        largest = float(np.abs(scaled).max())
        norm = largest * float(np.linalg.norm(scaled / largest)) if largest else 0.0
        clipped = norm > settings.clip_norm
        if clipped:
            scaled *= settings.clip_norm / norm
        clamped_share = np.count_nonzero(np.abs(scaled) > settings.value_range) / scaled.size
        if clamped_share > settings.clamped_share_limit:
            raise RoundError(
                f"{clamped_share:.2%} of the coordinates are beyond aggregation.value_range = "
                f"{settings.value_range} (aggregation.clamped_share_limit allows "
                f"{settings.clamped_share_limit:.2%}): raise the range, or lower "
                "aggregation.clip_norm or training.learning_rate"
            )
        np.clip(scaled, -settings.value_range, settings.value_range, out=scaled)
        count = min(int(num_examples), self._largest_count)
        scaled *= count / self._largest_count * self.value_limit / settings.value_range
        rounded = _round_stochastically(scaled, rng)
        # Multiplication may exceed the limit by one unit in the last place.
        np.clip(rounded, -self.value_limit, self.value_limit, out=rounded)
        values = np.empty(COUNT_DIGITS + delta.size, dtype=np.int64)
        for digit in range(COUNT_DIGITS):
            count, values[digit] = divmod(count, self._base)
        values[COUNT_DIGITS:] = rounded
        return Encoded(values=values, clamped_share=clamped_share, norm=norm, clipped=clipped)

    def total_count(self, total: NDArray[np.int64], least: int, most: int | None = None) -> int:
        """The summed count of an opened sum.

        Args:
            least, most: how many contributors it is of; ``least`` exactly by default.

        Raises:
            RoundError: if it is not from ``least`` to most * max_examples: a contributor
                encrypted something else than a count.
        """
        most = least if most is None else most
        digits = [int(digit) for digit in total[:COUNT_DIGITS]]
        count: int = sum(digit * self._base**place for place, digit in enumerate(digits))
        if not least <= count <= most * self._largest_count:
            who = f"{least}" if least == most else f"{least} to {most}"
            raise RoundError(
                f"the opened sum counts {count} examples of {who} contributors: "
                f"{least} to {most * self._largest_count} are possible; a "
                "contributor sent a forged update, cancel the round"
            )
        return count

    def decode(
        self, total: NDArray[np.int64], least: int, most: int | None = None
    ) -> NDArray[np.float64]:
        """The mean delta float64[n] of an opened sum int64[COUNT_DIGITS + n].

        One exact integer times one factor, itself rounded once from the exact fraction: the
        same bits on every machine. The weights are in the sum: how many contributors it is of
        serves as a check alone.

        Args:
            total: the opened sum.
            least, most: how many contributors it is of; ``least`` exactly by default.

        Raises:
            RoundError: for a sum of another shape, or an impossible count.
        """
        total = np.asarray(total)
        if total.ndim != 1 or total.size <= COUNT_DIGITS or total.dtype != np.int64:
            raise RoundError(
                f"the opened sum is {total.dtype}{total.shape}: it is int64[n + {COUNT_DIGITS}]"
            )
        if least < 1:
            raise RoundError(f"{least} contributors: a sum needs at least one")
        count = self.total_count(total, least, most)
        step = Fraction(self.aggregation.value_range) * self._largest_count
        factor = float(step / (self.value_limit * count))
        mean: NDArray[np.float64] = total[COUNT_DIGITS:].astype(np.float64) * factor
        return mean


def apply(base: NDArray[np.float32], mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """The new state: base float32[n] plus mean float64[n], added in float64, as float32[n].

    Raises:
        RoundError: if the shapes differ or a result is beyond float32.
    """
    if base.shape != mean.shape or base.dtype != np.float32 or mean.dtype != np.float64:
        raise RoundError(
            f"the base is {base.dtype}{base.shape}, the mean {mean.dtype}{mean.shape}: "
            "they are float32[n] and float64[n] of one model"
        )
    with np.errstate(over="ignore"):
        state: NDArray[np.float32] = (base.astype(np.float64) + mean).astype(np.float32)
    if not np.isfinite(state).all():
        raise RoundError("the new state is not finite: the base model diverged")
    return state


def _round_stochastically(
    values: NDArray[np.float64], rng: np.random.Generator | None
) -> NDArray[np.float64]:
    """floor(x + u), u uniform on multiples of 2**-32 in [0, 1): unbiased, whole x unchanged."""
    if rng is None:
        draws = np.frombuffer(os.urandom(values.size * _RANDOM_BITS // 8), dtype=np.uint32)
    else:
        draws = rng.integers(0, 1 << _RANDOM_BITS, values.size, dtype=np.uint32)
    whole = np.floor(values)
    # The fraction is compared, not added: adding could round up to the next whole number.
    whole += draws < (values - whole) * (1 << _RANDOM_BITS)
    return whole


__all__ = ["COUNT_DIGITS", "Encoded", "Quantiser", "apply"]
