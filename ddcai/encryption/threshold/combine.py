"""Partial openings put together: the opened sum, for whoever has one of every piece.

Whoever combines reads what is opened. Where a contributor forged its ciphertext, that is the key:
(0, q/t) opens to the secret's own coefficients. So the key holders combine among themselves, and
give out what `open_sum` returns, never a partial opening.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ddcai.encryption import _ring, _seal
from ddcai.encryption.lanes import IntArray, split_lanes, unpack_lanes
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.scalars import Vectors
from ddcai.encryption.threshold._checks import check_words
from ddcai.encryption.threshold.pieces import check_ciphertexts
from ddcai.encryption.threshold.products import Products, check_asked, check_weights, products
from ddcai.encryption.threshold.smudging import MOST_NOISE
from ddcai.encryption.words import WordArray
from ddcai.errors import ForgedUpdate, MalformedError


def open_sum(
    total_words: WordArray,
    partials: Sequence[WordArray],
    values: int,
    parameters: ParameterSet,
    limit: int,
) -> IntArray:
    """The values of a sum: int64[values].

    Args:
        total_words: the sum, uint64[c, 2, data primes, n].
        partials: `KeyPiece.partial` of every piece, once each: uint64[c, data primes, n].
        values: how many the sum has.
        parameters: the federation's set.
        limit: largest magnitude of a sum of honest values.

    | what is combined | result |
    |---|---|
    | words of another shape, or not below their prime | MalformedError |
    | a piece missing, twice, shifted or of another sum | ForgedUpdate |
    | noise beyond what contributors and smudging have, a reserved coefficient or the rest of \
the last ciphertext that is not zero, a value beyond the limit | ForgedUpdate |

    ForgedUpdate tells nothing of the values.
    """
    p = parameters
    check_ciphertexts(total_words, p)
    if values < 1 or len(total_words) != p.ciphertexts(values):
        raise MalformedError(f"{len(total_words)} ciphertexts of {p.id} for {values} values")
    shape = (len(total_words), len(p.data_primes), p.poly_modulus_degree)
    primes = np.array(p.data_primes, np.uint64)[:, None]
    rows = total_words[:, 0].copy()
    for number, partial in enumerate(partials):
        check_words(partial, shape, p.data_primes, f"partial opening {number}")
        rows = (rows + partial) % primes
    slots = np.array([_slots(row, p) for row in rows], dtype=np.int64)
    opened = unpack_lanes(slots, len(rows) * p.values_per_ciphertext, p)
    if opened[values:].any() or int(np.abs(opened).max()) > limit:
        raise ForgedUpdate(
            "the sum opens to what honest updates do not add up to: a contributor encrypted "
            "something else than an update, or a partial opening is another; cancel the round"
        )
    return opened[:values]


def open_products(
    ciphertexts: WordArray,
    partials: Sequence[Products],
    vectors: Vectors,
    parameters: ParameterSet,
) -> IntArray:
    """Inner products of one update with vectors: int64[k], in the vectors' lane.

    Args:
        ciphertexts: the update, uint64[c, 2, data primes, n].
        partials: `KeyPiece.partial_products` of every piece, once each.
        vectors: the same as there.
        parameters: an assessable set.

    With two lanes, the vector's product with the other one comes along, and is dropped.

    | what is combined | result |
    |---|---|
    | words of another shape, or not below their prime | MalformedError |
    | vectors that the set does not open | RoundError |
    | a piece missing, twice, shifted or of another update | ForgedUpdate |
    | reserved coefficients that are not zero, noise beyond smudging | ForgedUpdate |

    ForgedUpdate tells nothing of the scalars.
    """
    p = parameters
    check_ciphertexts(ciphertexts, p)
    check_asked(vectors, len(ciphertexts), p)
    known = products(ciphertexts[:, 0], vectors, check_weights(ciphertexts, p), p)
    columns = np.concatenate([known.scalars, known.checks]).T
    primes = np.array(p.data_primes, np.uint64)[:, None]
    for number, partial in enumerate(partials):
        both = []
        for part, expected in ((partial.scalars, known.scalars), (partial.checks, known.checks)):
            residues = part.T if isinstance(part, np.ndarray) else part
            check_words(residues, expected.T.shape, p.data_primes, f"partial opening {number}")
            both.append(residues)
        columns = (columns + np.concatenate(both, axis=1)) % primes
    message, noise = _ring.rounded_message(columns, p)
    if (np.abs(noise) > MOST_NOISE).any() or message[len(known.scalars) :].any():
        raise ForgedUpdate(
            "an update is no honest encryption: its contributor forged it, or a partial opening "
            "is another; nothing of it is opened"
        )
    in_lanes = split_lanes(message[None, : len(known.scalars)], p)
    in_that_lane: IntArray = in_lanes[0, vectors.lane]
    return in_that_lane


def _slots(rows: WordArray, parameters: ParameterSet) -> IntArray | list[int]:
    """Of c0 + c1 s, uint64[data primes, n], the slots: int64[n]."""
    message = _ring.checked_message(rows, parameters, MOST_NOISE)
    if parameters.assessable:
        return message
    # SEAL has the decoder: it decrypts (rows, 0) with any key.
    words = np.stack([rows, np.zeros_like(rows)])
    return _seal.decrypt_slots(_any_key(parameters), words, parameters)


@lru_cache(maxsize=4)
def _any_key(parameters: ParameterSet) -> Any:
    """A context that decrypts with s = 1."""
    shape = (len(parameters.primes), parameters.poly_modulus_degree)
    return _seal.secret_context(np.ones(shape, np.uint64), parameters)
