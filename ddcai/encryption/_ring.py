"""Values as coefficients of the plaintext polynomial, and the ring products that they need.

TenSEAL encodes into batching slots alone. A coefficient message is added to an encryption of
zero here, as SEAL scales it; c0 + c1 s is computed with SEAL's transforms, and rounded as BFV
does. Tests hold both against SEAL's own encryption and decryption.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tenseal import sealapi

from ddcai.encryption import _seal
from ddcai.encryption.lanes import IntArray
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.words import WordArray
from ddcai.errors import DdcaiError, ForgedUpdate

_HALF = np.uint64(24)
_NOISE_BITS = 24
_LOW = np.uint64((1 << 24) - 1)


def add_message(words: WordArray, message: IntArray, parameters: ParameterSet) -> WordArray:
    """A ciphertext of zero, uint64[2, data primes, n], to one of a message int64[n].

    c0 gains round(q m / t), as SEAL's multiply_add_plain_with_scaling_variant: with q = D t + r
    and m in [0, t), D m + floor((r m + floor((t + 1) / 2)) / t).
    """
    t, q = parameters.plain_modulus, math.prod(parameters.data_primes)
    whole, rest = divmod(q, t)
    lifted = message.astype(object) % t
    fixed = (lifted * rest + (t + 1) // 2) // t
    added = words.copy()
    for row, prime in enumerate(parameters.data_primes):
        scaled = (lifted * (whole % prime) + fixed) % prime
        # Both are below a prime of 48 bits.
        added[0, row] = (added[0, row] + scaled.astype(np.uint64)) % np.uint64(prime)
    return added


def noisy_message(words: WordArray, secret: WordArray, parameters: ParameterSet) -> WordArray:
    """c0 + c1 s modulo each data prime, uint64[data primes, n].

    Args:
        words: a ciphertext, uint64[2, data primes, n].
        secret: the secret key in NTT form, uint64[primes, n].

    It is the message scaled by q / t, with noise: as secret as the message.
    """
    transformed = _transform(words, parameters, to_ntt=True)
    primes = np.array(parameters.data_primes, np.uint64)[:, None]
    product = multiply(transformed[1], secret[: len(primes)], primes)
    transformed[0] = (transformed[0] + product) % primes
    message: WordArray = _transform(transformed, parameters, to_ntt=False)[0]
    return message


def multiply(left: WordArray, right: WordArray, primes: WordArray) -> WordArray:
    """Products modulo primes below 2**50, element by element; factors are below their prime.

    The quotient is estimated in float64: an error of at most 1, since 2**50 * 2**-52 < 1. The
    remainder, computed modulo 2**64, then lies within (-p, 2 p), and is put right.
    """
    estimate = left.astype(np.float64) * right.astype(np.float64) / primes.astype(np.float64)
    quotient = np.floor(estimate).astype(np.uint64)
    rest = (left * right - quotient * primes).view(np.int64)
    signed = primes.view(np.int64)
    rest += np.where(rest < 0, signed, 0)
    rest -= np.where(rest >= signed, signed, 0)
    product: WordArray = rest.view(np.uint64)
    return product


def inner_products(rows: WordArray, vectors: IntArray, parameters: ParameterSet) -> list[int]:
    """Inner products of words with small vectors, as integers modulo q.

    Args:
        rows: uint64[data primes, m], below their primes.
        vectors: int8 or int64[k, m], magnitudes up to 127, m up to 2**20.

    Exact: halves of 24 bits, and sums below 2**53, in float64.
    """
    small = vectors.astype(np.float64)
    low, high = (rows & _LOW).astype(np.float64), (rows >> _HALF).astype(np.float64)
    lows, highs = (small @ part.T for part in (low, high))
    q = math.prod(parameters.data_primes)
    found = []
    for low_row, high_row in zip(lows.tolist(), highs.tolist(), strict=True):
        total = 0
        for prime, a, b in zip(parameters.data_primes, low_row, high_row, strict=True):
            cofactor = q // prime
            residue = (int(a) + (int(b) << 24)) * pow(cofactor, -1, prime) % prime
            total += residue * cofactor
        found.append(total % q)
    return found


def rounded(value: int, parameters: ParameterSet) -> int:
    """round(t value / q) modulo t, in (-t / 2, t / 2]: BFV's decryption of one coefficient."""
    t, q = parameters.plain_modulus, math.prod(parameters.data_primes)
    message = (2 * t * value + q) // (2 * q) % t
    return message - t if message > t // 2 else message


def decrypt_coefficients(words: WordArray, secret: WordArray, parameters: ParameterSet) -> IntArray:
    """All coefficients of a ciphertext's message, int64[n], signed.

    Raises:
        ForgedUpdate: as `checked_message`.
    """
    return checked_message(noisy_message(words, secret, parameters), parameters)


def checked_message(rows: WordArray, parameters: ParameterSet) -> IntArray:
    """The message of c0 + c1 s, uint64[data primes, n]: int64[n], signed.

    Refuses what no honest ciphertext, and no sum of them, can be:

    * a reserved coefficient that is not zero. (0, q/t) is a valid encryption of the key itself,
      whose coefficients are small. Whoever forges one without knowing the key must have it zero
      in all reserved places: each is so with a chance of a third.
    * noise of more than 2**-24 of a step q/t. Honest noise is below 2**-60 of it. Else c0 could
      be put half a step beside each message, so that a small multiple of the key decides the
      rounding where the forger wants to know it, and nowhere else.

    Raises:
        ForgedUpdate: nothing of the message is told.
    """
    t, q = parameters.plain_modulus, math.prod(parameters.data_primes)
    total: Any = 0
    for row, prime in zip(rows, parameters.data_primes, strict=True):
        cofactor = q // prime
        total = total + row.astype(object) * (pow(cofactor, -1, prime) * cofactor % q)
    scaled = t * (total % q)
    message = (2 * scaled + q) // (2 * q)
    noise = np.abs(scaled - message * q)  # t times the distance from the message's own place
    if (noise > q >> _NOISE_BITS).any() or (message[: parameters.reserved] % t).any():
        raise ForgedUpdate(
            "a ciphertext is no honest encryption of an update: a contributor forged it, or "
            "encrypted under another key; cancel the round"
        )
    message = message % t
    signed: IntArray = np.where(message > t // 2, message - t, message).astype(np.int64)
    return signed


@lru_cache(maxsize=4)
def _engine(parameters: ParameterSet) -> tuple[Any, Any]:
    settings = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
    with _file(_seal.parameters_stream(parameters)) as path:
        settings.load(path)
    context = sealapi.SEALContext(settings, True, sealapi.SEC_LEVEL_TYPE.TC128)
    return context, sealapi.Evaluator(context)


def _transform(words: WordArray, parameters: ParameterSet, *, to_ntt: bool) -> WordArray:
    """Both polynomials of a ciphertext, to NTT form or back, by SEAL."""
    context, evaluator = _engine(parameters)
    ciphertext = sealapi.Ciphertext()
    stream = _seal.ciphertext_stream(words, parameters, is_ntt=not to_ntt)
    with _file(stream) as path:
        ciphertext.load(context, path)
    step: Callable[[Any], None] = (
        evaluator.transform_to_ntt_inplace if to_ntt else evaluator.transform_from_ntt_inplace
    )
    step(ciphertext)
    with _file(b"") as path:
        ciphertext.save(path)
        return _seal.ciphertext_words(Path(path).read_bytes(), parameters, is_ntt=to_ntt)


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path for SEAL, which reads and writes files alone: of memory, since what it is given
    here can be read.

    Raises:
        DdcaiError: the system has no such files.
    """
    if not hasattr(os, "memfd_create"):
        raise DdcaiError(
            f"values of this parameter set are opened on Linux alone, not on {sys.platform}: run "
            "the key holder there"
        )
    descriptor = os.memfd_create("ddcai")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
