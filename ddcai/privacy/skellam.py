"""Skellam noise, drawn exactly from the operating system's randomness.

Sk(v) is the difference of two Poisson variables of mean v / 2 each: integers, mean 0, variance v,
and Sk(v) + Sk(w) = Sk(v + w), which is what a sum of contributors' noise needs (Agarwal, Kairouz,
Liu, "The Skellam Mechanism for Differentially Private Federated Learning", NeurIPS 2021,
Definition 3.1). P(k) = exp(-v) I_k(v), I_k the modified Bessel function.

A draw compares a uniform number of 256 bits with a table of the distribution function of |k|, as
integers of 256 bits. No floating point is involved, so nothing leaks through it (Mironov, "On
Significance of the Least Significant Bits for Differential Privacy", CCS 2012). The time a draw
takes follows from the memory that its search touches: see docs/security.md, secrets on the
machine.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ddcai.errors import ConfigurationError

# What lies beyond the table is less likely than 2**-TAIL_BITS on each side.
TAIL_BITS = 200
# A table has 17 standard deviations of entries: 70,000 at most, 0.2 s to make.
MAX_VARIANCE = 2**24
_BITS = 256
_WORD_BITS = 64

Source = Callable[[int], bytes]


def tail(variance: int) -> int:
    """The largest magnitude that is ever drawn: P(|k| > tail) < 2 * 2**-TAIL_BITS.

    By Chernoff's bound, P(k >= t) <= exp(v (cosh x - 1) - x t), least at x = asinh(t / v).

    Raises:
        ConfigurationError: the variance is not from 1 to MAX_VARIANCE.
    """
    if not 1 <= variance <= MAX_VARIANCE:
        raise ConfigurationError(f"a noise's variance is {variance}: from 1 to {MAX_VARIANCE}")
    wanted = TAIL_BITS * math.log(2)
    low, high = 0, 64 * math.isqrt(variance) + 256
    while high - low > 1:  # the bound holds at high, and not at low
        t = (low + high) // 2
        # sqrt(v*v + t*t) - v, without the cancellation
        rise = t * t / (math.hypot(variance, t) + variance)
        low, high = (low, t) if t * math.asinh(t / variance) - rise >= wanted else (t, high)
    return high


def sample(variance: int, size: int, source: Source = os.urandom) -> NDArray[np.int64]:
    """Independent draws of Sk(variance), int64[size], each within +-tail(variance).

    Args:
        variance: 1 to MAX_VARIANCE.
        size: how many.
        source: gives so many random bytes; `numpy.random.Generator.bytes` for simulations that
            must repeat, never for a real update.

    Guarantees:
        the distance (total variation) of a draw from Sk(variance) is below 2**-198: the tail that
        is cut off, and 2**-230 of rounding of the table.
    """
    bounds, heads = _table(variance)
    words = np.frombuffer(source(8 * size), dtype="<u8")
    magnitudes = np.searchsorted(heads, words, side="left").astype(np.int64)
    # Where the first word does not tell, the rest of the number is drawn.
    for place in np.flatnonzero(np.searchsorted(heads, words, side="right") != magnitudes):
        rest = int.from_bytes(source((_BITS - _WORD_BITS) // 8), "little")
        number = int(words[place]) << (_BITS - _WORD_BITS) | rest
        magnitudes[place] = bisect_right(bounds, number)
    signs = np.unpackbits(np.frombuffer(source(-(-size // 8)), dtype=np.uint8), count=size)
    signed: NDArray[np.int64] = np.where(signs == 1, -magnitudes, magnitudes)
    return signed


@lru_cache(maxsize=8)
def _table(variance: int) -> tuple[list[int], NDArray[np.uint64]]:
    """2**256 P(|k| <= m) for m from 0 to tail - 1, and the first words of these.

    I_(k-1) = I_(k+1) + (2k / v) I_k, downwards from where it is negligible (Miller's algorithm;
    Gautschi, SIAM Review 1967), normalised by I_0 + 2 (I_1 + I_2 + ...) = exp(v).
    """
    last = tail(variance)
    start = 2 * last
    above, here = 0, 1 << _BITS
    values = [0] * (start + 1)
    for k in range(start, 0, -1):
        values[k] = here
        above, here = here, above + 2 * k * here // variance
    values[0] = here
    total = here + 2 * sum(values[1:])
    bounds, reached = [], here
    for m in range(last):
        bounds.append((reached << _BITS) // total)
        reached += 2 * values[m + 1]
    heads = np.array([bound >> (_BITS - _WORD_BITS) for bound in bounds], dtype=np.uint64)
    return bounds, heads


__all__ = ["MAX_VARIANCE", "Source", "TAIL_BITS", "sample", "tail"]
