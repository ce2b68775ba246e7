"""Gaussian noise on opened scalars, the same whenever they are opened again.

Fresh noise could be averaged away by asking again. So it follows from a seed that the key holder
alone can make, of what is opened. It blurs; it is no differential privacy.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_WORD = 8


def gaussian(seed: bytes, deviations: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers, normally distributed before they were rounded: int64[k].

    Args:
        seed: 32 secret bytes, of nothing else.
        deviations: standard deviations, float64[k].

    SHAKE-256 of the seed gives uniform numbers of 53 bits; Box and Muller, Annals of Mathematical
    Statistics 29 (1958), two of them to a normal one.
    """
    size = deviations.size
    drawn = hashlib.shake_256(seed).digest(2 * _WORD * size)
    words = np.frombuffer(drawn, "<u8").reshape(2, size) >> np.uint64(11)
    first, second = (words.astype(np.float64) + 0.5) * 2.0**-53
    normal = np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)
    rounded: NDArray[np.int64] = np.rint(normal * deviations).astype(np.int64)
    return rounded
