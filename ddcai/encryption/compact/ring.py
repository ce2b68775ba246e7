"""Exact products in Z_q[X]/(X**n + 1), q a power of two, of words with a small polynomial.

Each 64-bit limb of the words is split into parts of 22, 22 and 20 bits, and each part is multiplied
by complex FFTs of n / 2 points in float64. X**n + 1 has the factor X**(n/2) - i: of a real
polynomial x, the n / 2 numbers x_j + i x_(j + n/2) are its residue, and with X = w Y,
w = exp(i pi / n), the ring becomes that of cyclic convolutions (right-angle convolution: Crandall
and Fagin, "Discrete weighted transforms and large-integer arithmetic", Math. Comp. 1994).

Arrays have the coefficients in the order 0, n/2, 1, n/2 + 1, ...: two neighbours are one of the
complex numbers above. It is the order of everything in this package, on the wire too.

Error: Brent, Percival and Zimmermann, "Error bounds on complex floating-point multiplication",
Math. Comp. 2007, theorem 5.1: the cyclic convolution of x and y in N = 2**k points is wrong by less
than |x| |y| ((1 + u)**(3k) (1 + u sqrt 5)**(3k + 1) (1 + t)**(3k) - 1) in each coordinate, |.|
the Euclidean norm, u = 2**-53 and t the relative error of the roots of unity, at most u here.
Weighting the two and the product takes three more factors (1 + u sqrt 5)(1 + t). The theorem
is for radix 2; pocketfft's larger radices round less often. `error_bound` computes it,
and `SmallPolynomial` refuses a polynomial for which it is not below a quarter: the nearest
integer is then the product, whatever the words are.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ddcai.encryption.compact.limbs import IntArray, WordArray, add_shifted, limbs_of
from ddcai.errors import RoundError

_PART_BITS = 22
_WORST = 0.25
_UNIT = 2.0**-53
# Adding 1.5 * 2**52 leaves the nearest integer in a float's lowest bits (below 2**51).
_MAGIC = 1.5 * 2.0**52
_MAGIC_BITS = int(np.float64(_MAGIC).view(np.int64))


def error_bound(n: int, squared_norm: int) -> float:
    """Largest error of a coefficient of a product before rounding.

    Args:
        n: degree of the ring.
        squared_norm: of the small polynomial, the sum of its coefficients' squares.
    """
    k = (n // 2).bit_length() - 1
    words = 2.0**_PART_BITS * math.sqrt(n)
    exponent = 3 * k + (3 * k + 4) * math.sqrt(5) + (3 * k + 3)
    return words * math.sqrt(squared_norm) * math.expm1(exponent * _UNIT)


@lru_cache(maxsize=4)
def _weights(n: int) -> NDArray[np.complex128]:
    """w**j for j below n / 2."""
    angle = np.arange(n // 2, dtype=np.float64) * (math.pi / n)
    return np.cos(angle) + 1j * np.sin(angle)


class SmallPolynomial:
    """A polynomial with small coefficients, ready to be multiplied with many.

    Args:
        coefficients: int64[n], n a power of two, at least 4.

    Raises:
        RoundError: its norm is so large that products would not be exact.
    """

    def __init__(self, coefficients: IntArray) -> None:
        n = coefficients.size
        floats = coefficients.astype(np.float64)
        squared = float(np.square(floats).sum())
        bound = error_bound(n, math.ceil(min(squared, 2.0**100)))
        if not bound < _WORST:
            raise RoundError(
                f"a polynomial of norm {math.sqrt(squared):.0f} cannot be multiplied exactly in "
                f"float64: the error may reach {bound:.2g}"
            )
        self._n = n
        self._weights, self._back = _weights(n), _weights(n).conj()
        # The inverse transform's 1 / (n/2), a power of two, is taken in here.
        self._transform = np.fft.fft(floats.view(np.complex128) * self._weights) / (n // 2)
        self._floats = np.empty((0, 0, n), dtype=np.float64)
        self._bits = np.empty((0, n), dtype=np.uint64)

    def __repr__(self) -> str:
        return f"SmallPolynomial(n={self._n})"  # it may be a secret

    def __reduce__(self) -> str:
        raise TypeError("a polynomial that may be a secret is never pickled")

    def multiply(self, words: WordArray) -> WordArray:
        """Products with blocks of words, uint64[limbs, blocks, n], modulo 2**(64 * limbs).

        A call for several blocks is faster than one a block, while they stay in a core's cache.
        Not for several threads at once: it works in arrays of its own.
        """
        limbs, blocks, n = words.shape
        if self._floats.shape[:2] != (3 * limbs, blocks):
            self._floats = np.empty((3 * limbs, blocks, n), dtype=np.float64)
            self._bits = np.empty((blocks, n), dtype=np.uint64)
        floats, bits = self._floats, self._bits
        numbers = floats.view(np.complex128)
        width, mask = np.uint64(_PART_BITS), np.uint64((1 << _PART_BITS) - 1)
        for limb, three, complex_ in zip(
            words, np.split(floats, limbs), np.split(numbers, limbs), strict=True
        ):
            # Integers below 2**44 convert faster when they are signed.
            three[0] = np.bitwise_and(limb, mask, out=bits).view(np.int64)
            complex_[0] *= self._weights
            three[1] = np.bitwise_and(limb, mask << width, out=bits).view(np.int64)
            complex_[1] *= self._weights * 2.0**-_PART_BITS  # it was masked out where it stands
            three[2] = np.right_shift(limb, width + width, out=bits).view(np.int64)
            complex_[2] *= self._weights
        np.fft.fft(numbers, out=numbers)
        numbers *= self._transform
        np.fft.ifft(numbers, norm="forward", out=numbers)
        numbers *= self._back
        floats += _MAGIC
        products = np.empty(words.shape, dtype=np.uint64)
        products[:] = limbs_of(_less_magic(limbs), limbs)[:, None, None]
        for part, integers in enumerate(floats.view(np.int64)):
            add_shifted(products, integers, part // 3 * 64 + part % 3 * _PART_BITS, spoil=True)
        return products


def _less_magic(limbs: int) -> int:
    """What takes the bits of 1.5 * 2**52 away again that every part of a product brings along."""
    shifts = (64 * limb + part * _PART_BITS for limb in range(limbs) for part in range(3))
    return -sum(_MAGIC_BITS << shift for shift in shifts)
