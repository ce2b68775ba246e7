"""Polynomials drawn from a seed by SHAKE-256 (FIPS 202), each kind under a tag of its own.

Key holders who hold the same seed draw the same. Distributions are those of SEAL's keys: a ternary
secret, and centred binomial errors of 42 bits (standard deviation sqrt(10.5)).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from ddcai.digests import tag
from ddcai.encryption._ring import multiply
from ddcai.encryption.lanes import IntArray
from ddcai.encryption.words import WordArray

Expander = Callable[[int], bytes]
"""Its first so many bytes, of one stream."""

MOST_SMUDGING_BITS = 95
_ERROR_HALF = np.uint64((1 << 21) - 1)
# Three times 85: below it, a byte modulo 3 is uniform.
_TERNARY_BYTES = 255


def expander(kind: str, *parts: bytes) -> Expander:
    """A stream that depends on each part, and on where one ends and the next begins."""
    absorbed = tag(kind) + b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return hashlib.shake_256(absorbed).digest


def digest(words: WordArray) -> bytes:
    """32 bytes that name words, for a part of a stream."""
    return hashlib.blake2b(words.astype("<u8").tobytes(), digest_size=32).digest()


def ternary(expand: Expander, degree: int) -> IntArray:
    """Uniform in -1, 0, 1: int64[degree]. Bytes of 255 are passed over."""
    drawn = degree + degree // 64 + 128
    while True:
        some = np.frombuffer(expand(drawn), np.uint8)
        fair = some[some < _TERNARY_BYTES]
        if fair.size >= degree:
            values: IntArray = fair[:degree].astype(np.int64) % 3 - 1
            return values
        drawn *= 2


def centred_binomial(expand: Expander, degree: int) -> IntArray:
    """Ones of 21 bits less those of 21 others: int64[degree], -21 to 21, variance 10.5."""
    words = _words(expand, degree)
    ones: IntArray = np.bitwise_count(words & _ERROR_HALF).astype(np.int64)
    ones -= np.bitwise_count(words >> np.uint64(21) & _ERROR_HALF)
    return ones


def uniform(expand: Expander, prime: int, degree: int) -> WordArray:
    """Uniform below a prime: uint64[degree]. Words of its width that are not are passed over."""
    mask = np.uint64((1 << prime.bit_length()) - 1)
    drawn = degree + 128
    while True:
        words = _words(expand, drawn) & mask
        fair = words[words < prime]
        if fair.size >= degree:
            return fair[:degree].copy()
        drawn *= 2


def smudging(expand: Expander, bits: int, primes: tuple[int, ...], degree: int) -> WordArray:
    """Uniform from -2**bits to 2**bits - 1, modulo each prime: uint64[primes, degree].

    Args:
        expand: a stream that is used for nothing else.
        bits: 1 to 95.
        primes: of 33 to 50 bits.
    """
    if not 1 <= bits <= MOST_SMUDGING_BITS:
        raise ValueError(f"smudging of {bits} bits: from 1 to {MOST_SMUDGING_BITS} can be drawn")
    low_bits = min(bits + 1, 64)
    drawn = expand(12 * degree)
    low = np.frombuffer(drawn, "<u8", degree) >> np.uint64(64 - low_bits)
    high = np.frombuffer(drawn, "<u4", degree, 8 * degree).astype(np.uint64)
    high >>= np.uint64(32 - (bits + 1 - low_bits))
    noise: WordArray = np.empty((len(primes), degree), np.uint64)
    for row, prime in zip(noise, primes, strict=True):
        p = np.array(prime, np.uint64)
        above = multiply(high, np.array((1 << 64) % prime, np.uint64), p)
        row[:] = (low % p + above + np.uint64(-(1 << bits) % prime)) % p
    return noise


def residues(values: IntArray, primes: tuple[int, ...]) -> WordArray:
    """Small signed integers int64[m] modulo each prime: uint64[primes, m]."""
    return np.stack([values % prime for prime in primes]).astype(np.uint64)


def _words(expand: Expander, count: int) -> WordArray:
    return np.frombuffer(expand(8 * count), "<u8")
