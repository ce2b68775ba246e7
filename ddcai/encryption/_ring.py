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
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from ddcai.encryption import _seal
from ddcai.encryption.lanes import IntArray
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.words import WordArray
from ddcai.errors import DdcaiError, ForgedUpdate

_HALF = np.uint64(24)
# Of a step q/t.
MOST_NOISE = 2.0**-24
# Polynomials that SEAL is given at once, at most 16.
_AT_ONCE = 8
# 1 modulo 16384 and in no parameter set: SEAL sets the last prime aside.
_SPARE_PRIME = 576460752303439873
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


def inner_products(rows: WordArray, vectors: IntArray, parameters: ParameterSet) -> WordArray:
    """Inner products of words with small vectors, modulo each prime: uint64[k, data primes].

    Args:
        rows: uint64[data primes, m], below their primes.
        vectors: int64[k, m], the sum of each one's magnitudes below 2**28.

    Exact: halves of 24 bits, and sums below 2**52, in float64.
    """
    small = vectors.astype(np.float64)
    primes = np.array(parameters.data_primes, np.int64)
    halves = ((rows & _LOW).astype(np.float64), (rows >> _HALF).astype(np.float64))
    low, high = ((small @ half.T).astype(np.int64) % primes for half in halves)
    words = primes.astype(np.uint64)
    above = multiply(high.astype(np.uint64), np.array((1 << 24) % words, np.uint64), words)
    found: WordArray = (low.astype(np.uint64) + above) % words
    return found


def decrypt_coefficients(words: WordArray, secret: WordArray, parameters: ParameterSet) -> IntArray:
    """All coefficients of a ciphertext's message, int64[n], signed.

    Raises:
        ForgedUpdate: as `checked_message`.
    """
    return checked_message(noisy_message(words, secret, parameters), parameters)


def checked_message(
    rows: WordArray, parameters: ParameterSet, most_noise: float = MOST_NOISE
) -> IntArray:
    """The message of c0 + c1 s, uint64[data primes, n]: int64[n], signed.

    Refuses what no honest ciphertext, and no sum of them, can be:

    * a reserved coefficient that is not zero. (0, q/t) is a valid encryption of the key itself,
      whose coefficients are small. Whoever forges one without knowing the key must have it zero
      in all reserved places: each is so with a chance of a third.
    * noise of more than ``most_noise`` of a step q/t. Honest noise is below 2**-60 of it. Else
      c0 could be put half a step beside each message, so that a small multiple of the key
      decides the rounding where the forger wants to know it, and nowhere else.

    Raises:
        ForgedUpdate: nothing of the message is told.
    """
    message, noise = rounded_message(rows, parameters)
    if (np.abs(noise) > most_noise).any() or message[: parameters.reserved].any():
        raise ForgedUpdate(
            "a ciphertext is no honest encryption of an update: a contributor forged it, or "
            "encrypted under another key; cancel the round"
        )
    return message


def rounded_message(
    rows: WordArray, parameters: ParameterSet
) -> tuple[IntArray, NDArray[np.float64]]:
    """BFV's rounding of c0 + c1 s, uint64[data primes, m], and how far it went.

    Returns:
        round(t x / q) modulo t, int64[m], signed; and t x / q less that, in steps, -1/2 to 1/2.

    With y_i = x (q / p_i)**-1 modulo p_i, t x / q is the sum of t y_i / p_i, modulo t. Each has
    its remainder from `multiply`; its quotient is below t < 2**62, so that it is an exact
    division modulo 2**64. Only the fractions are added in float64: good to 2**-50 of a step.
    """
    t, q = parameters.plain_modulus, math.prod(parameters.data_primes)
    whole = np.zeros(rows.shape[1], np.uint64)
    fraction = np.zeros(rows.shape[1])
    for row, prime in zip(rows, parameters.data_primes, strict=True):
        p = np.array(prime, np.uint64)
        share = multiply(row, np.array(pow(q // prime, -1, prime), np.uint64), p)
        rest = multiply(share, np.array(t % prime, np.uint64), p)
        whole += (share * np.uint64(t) - rest) * np.uint64(pow(prime, -1, 1 << 64))
        fraction += rest.astype(np.float64) / prime
    nearest = np.floor(fraction + 0.5)
    message = ((whole + nearest.astype(np.uint64)) % np.uint64(t)).astype(np.int64)
    message -= np.where(message > t // 2, t, 0)
    return message, fraction - nearest


def products(polynomials: WordArray, factor: WordArray, parameters: ParameterSet) -> WordArray:
    """Products of polynomials uint64[m, data primes, n] with one uint64[data primes, n] in NTT
    form, neither of them zero: as many, in coefficient form."""
    context, evaluator = _engine(parameters)
    plain = sealapi.Plaintext()
    with _file(_seal.plaintext_stream(factor, parameters)) as path:
        plain.load(context, path)
    found = np.empty_like(polynomials)
    for start in range(0, len(polynomials), _AT_ONCE):
        some = polynomials[start : start + _AT_ONCE]
        ciphertext = _loaded(_padded(some), parameters, is_ntt=False)
        evaluator.transform_to_ntt_inplace(ciphertext)
        evaluator.multiply_plain_inplace(ciphertext, plain)
        evaluator.transform_from_ntt_inplace(ciphertext)
        words = _saved(ciphertext, parameters, is_ntt=False)
        found[start : start + _AT_ONCE] = words[-len(some) :]
    return found


def to_ntt(polynomials: WordArray, parameters: ParameterSet) -> WordArray:
    """Polynomials uint64[m, data primes, n], 2 to 16 of them, to NTT form."""
    return _transform(polynomials, parameters, to_ntt=True)


def key_level(parameters: ParameterSet) -> ParameterSet:
    """The set as if its special prime were one of the data: for products of keys."""
    return replace(parameters, primes=(*parameters.primes, _SPARE_PRIME))


def _padded(polynomials: WordArray) -> WordArray:
    """SEAL takes two at least, of which the second is not zero."""
    if len(polynomials) > 1:
        return polynomials
    return np.concatenate([polynomials, polynomials])


@lru_cache(maxsize=8)
def _engine(parameters: ParameterSet) -> tuple[Any, Any]:
    settings = sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.BFV)
    with _file(_seal.parameters_stream(parameters)) as path:
        settings.load(path)
    # Of ring products alone: at key level, more primes than SEAL's table allows a ciphertext.
    context = sealapi.SEALContext(settings, True, sealapi.SEC_LEVEL_TYPE.NONE)
    return context, sealapi.Evaluator(context)


def _transform(words: WordArray, parameters: ParameterSet, *, to_ntt: bool) -> WordArray:
    """All polynomials of a ciphertext, to NTT form or back, by SEAL."""
    _, evaluator = _engine(parameters)
    ciphertext = _loaded(words, parameters, is_ntt=not to_ntt)
    step: Callable[[Any], None] = (
        evaluator.transform_to_ntt_inplace if to_ntt else evaluator.transform_from_ntt_inplace
    )
    step(ciphertext)
    return _saved(ciphertext, parameters, is_ntt=to_ntt)


def _loaded(words: WordArray, parameters: ParameterSet, *, is_ntt: bool) -> Any:
    context, _ = _engine(parameters)
    ciphertext = sealapi.Ciphertext()
    with _file(_seal.ciphertext_stream(words, parameters, is_ntt=is_ntt)) as path:
        ciphertext.load(context, path)
    return ciphertext


def _saved(ciphertext: Any, parameters: ParameterSet, *, is_ntt: bool) -> WordArray:
    with _file(b"") as path:
        ciphertext.save(path)
        stream = Path(path).read_bytes()
    size = ciphertext.size()
    return _seal.ciphertext_words(stream, parameters, is_ntt=is_ntt, polynomials=size)


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
