"""Exact inner products of words modulo 2**64 or 2**128, by float64 matrices.

Words are split into digits of 16 bits. A product of two digits is below 2**32, and a sum of fewer
than 2**21 of them an integer that float64 has exactly, in whatever order it is added up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ddcai.encryption.compact.limbs import WordArray

_DIGIT_BITS = 16
_DIGITS_A_LIMB = 4
_EXACT = 2.0**53
_Floats = NDArray[np.float64]


class FixedVectors:
    """Vectors of words of which inner products with many others are taken.

    Args:
        vectors: uint64[limbs, k, n], n below 2**21.
    """

    def __init__(self, vectors: WordArray) -> None:
        self._limbs, self._count, n = vectors.shape
        assert n * 2.0 ** (2 * _DIGIT_BITS) <= _EXACT
        self._digits = _digits(vectors).reshape(-1, n)

    def dot(self, words: WordArray) -> list[int]:
        """Inner products with words uint64[limbs, n]: k integers modulo 2**(64 * limbs)."""
        products = _digits(words) @ self._digits.T
        size = len(products)
        by_pair = products.reshape(size, size, self._count).astype(np.int64)
        # Pairs of digits beyond the modulus are left out.
        sums = [sum(by_pair[one, place - one] for one in range(place + 1)) for place in range(size)]
        return _joined(np.array(sums), self._limbs)


def small_dot(words: WordArray, rows: NDArray[np.int8]) -> list[int]:
    """Inner products of words uint64[limbs, m] with vectors of small integers int8[k, m].

    Returns:
        k integers modulo 2**(64 * limbs). Exact for m below 2**30.
    """
    sums = _digits(words) @ rows.astype(np.float64).T
    return _joined(sums.astype(np.int64), len(words))


def _digits(words: WordArray) -> _Floats:
    """uint64[limbs, ..., n] to float64[4 limbs, ..., n], the lowest digits first."""
    shifts = range(0, _DIGIT_BITS * _DIGITS_A_LIMB, _DIGIT_BITS)
    mask = np.uint64((1 << _DIGIT_BITS) - 1)
    parts = [limb >> np.uint64(shift) & mask for limb in words for shift in shifts]
    return np.array(parts).astype(np.float64)


def _joined(sums: NDArray[np.int64], limbs: int) -> list[int]:
    """Sums by digit int64[4 limbs, k] as k integers."""
    modulus = 1 << (64 * limbs)
    return [
        sum(part << (_DIGIT_BITS * place) for place, part in enumerate(column)) % modulus
        for column in sums.T.tolist()
    ]
