"""Randomness: the public polynomial, secrets and errors.

SHAKE-256 under a constant tag gives a key of 32 bytes, and AES-256-CTR with that key the words:
0.25 ns a byte here, where SHAKE-256 takes 4.

* The public polynomial is the same for everybody, and so is its AES key. FrodoKEM generates its
  matrix in the same way (AES128 from a public seed) and argues in the ideal cipher model; with
  SHAKE-256 to the end it would be the random oracle model. Nothing about it is secret.
* Secret and errors come from a seed of os.urandom: AES as a stream cipher.
"""

from __future__ import annotations

import hashlib

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ddcai.digests import RoundContext, tag
from ddcai.encryption.compact.limbs import IntArray, WordArray
from ddcai.encryption.compact.shapes import BINOMIAL_PAIRS, CompactShape

SEED_BYTES = 32
_AES_BLOCK = 16
# A sample is the number of ones among 168 bits, less 84: three words, the last without 24 bits.
_WORDS_A_SAMPLE = 3
_BITS_LEFT_OUT = 3 * 64 - 2 * BINOMIAL_PAIRS
# So many blocks' bits stay in a core's cache.
_BLOCKS_AT_ONCE = 2
_ZEROS = bytes(1 << 18)

_PUBLIC = tag("compact-public-polynomial")
_SECRET = tag("compact-secret")
_ERRORS = tag("compact-errors")


class PublicPolynomials:
    """The public polynomials of a round, block after block; everybody can compute them.

    Args:
        context: chain, contract and round, which they follow from.
        shape: of the federation.
    """

    def __init__(self, context: RoundContext, shape: CompactShape) -> None:
        number = shape.number.to_bytes(32, "big")
        self._words = _Stream(hashlib.shake_256(_PUBLIC + context.words() + number).digest(32))
        self._shape = shape

    def take(self, blocks: int) -> WordArray:
        """The next ones, uniform words uint64[limbs, blocks, n], valid until the next call.

        A block has its low limbs first in the stream.
        """
        shape = self._shape
        words = self._words.take(blocks * shape.limbs * shape.n)
        return words.reshape(blocks, shape.limbs, shape.n).swapaxes(0, 1)


class Errors:
    """The errors that go with a secret's seed, block after block.

    Args:
        seed: of the secret, 32 bytes.
        shape: of the federation.
    """

    def __init__(self, seed: bytes, shape: CompactShape) -> None:
        self._words = _Stream(_secret_key(_ERRORS, seed, shape))
        self._shape = shape

    def __reduce__(self) -> str:
        raise TypeError("errors are as secret as their secret: never pickled")

    def take(self, blocks: int) -> IntArray:
        """The next ones: int64[blocks, n], centred binomial, -84 to 84."""
        n = self._shape.n
        samples = np.empty((blocks, n), dtype=np.int64)
        for first in range(0, blocks, _BLOCKS_AT_ONCE):
            some = samples[first : first + _BLOCKS_AT_ONCE]
            words = self._words.take(len(some) * _WORDS_A_SAMPLE * n)
            some[:] = _binomial(words.reshape(len(some), -1, n))
        return samples


def secret_polynomial(seed: bytes, shape: CompactShape) -> IntArray:
    """The secret of a seed of 32 bytes: int64[n], each coefficient centred binomial, -84 to 84."""
    words = _Stream(_secret_key(_SECRET, seed, shape)).take(_WORDS_A_SAMPLE * shape.n)
    return _binomial(words.reshape(1, -1, shape.n)).reshape(-1)


def _secret_key(kind: bytes, seed: bytes, shape: CompactShape) -> bytes:
    return hashlib.shake_256(kind + bytes([shape.number]) + seed).digest(32)


def _binomial(words: WordArray) -> IntArray:
    """Uniform words uint64[b, 3, n], which it spoils, to centred binomials int64[b, n]."""
    words[:, 2] >>= np.uint64(_BITS_LEFT_OUT)
    ones = np.bitwise_count(words)
    sums = ones[:, 0] + ones[:, 1] + ones[:, 2]  # at most 168: they fit a byte
    samples: IntArray = np.subtract(sums, BINOMIAL_PAIRS, dtype=np.int64)
    return samples


class _Stream:
    """The words of AES-256-CTR under a key, from counter 0 on."""

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES256(key), modes.CTR(bytes(_AES_BLOCK))).encryptor()
        self._buffer = bytearray()

    def take(self, count: int) -> WordArray:
        """The next words, an even number; they stay until the next call."""
        size = 8 * count
        if len(self._buffer) != size + _AES_BLOCK:
            self._buffer = bytearray(size + _AES_BLOCK)
        rest, zeros = memoryview(self._buffer), memoryview(_ZEROS)
        for start in range(0, size, len(_ZEROS)):
            self._encryptor.update_into(zeros[: size - start], rest[start:])
        return np.frombuffer(self._buffer, dtype="<u8", count=count).astype(np.uint64, copy=False)
