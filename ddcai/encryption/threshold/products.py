"""What is opened of a single update by pieces: inner products, and what shows a forgery.

An inner product is linear in c0 + s c1, and so in s_A c1: a piece gives one number a product, no
coefficient. That the update is one at all is seen by its reserved coefficients, which an honest
one leaves zero, and (0, q/t), an encryption of the key, does not. One by one they would show too
little here: smudging hides noise of up to a quarter of a step, and a forger that adds a hundredth
of (0, q/t) would have the product of the key with a vector, in hundredths. So they are opened in
64 random combinations, whose weights follow from the ciphertexts: nobody can fit the ciphertexts
to them. Each lets pass a multiple of the key of 2**-14, which is too small to be seen in a product,
in less than every second case, and one of half a step in every second: 2**-64 in all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddcai.encryption import _ring
from ddcai.encryption.lanes import IntArray, check_vectors, slots_of
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.scalars import Vectors
from ddcai.encryption.threshold import sampling
from ddcai.encryption.words import WordArray
from ddcai.errors import RoundError

CHECKS = 64
WEIGHT_BITS = 10


@dataclass(frozen=True, eq=False)
class Products:
    """Linear functions of polynomials, modulo each data prime.

    Attributes:
        scalars: with each vector, uint64[k, data primes].
        checks: combinations of reserved coefficients, uint64[64, data primes].
    """

    scalars: WordArray
    checks: WordArray


def check_asked(vectors: Vectors, ciphertexts: int, parameters: ParameterSet) -> None:
    """Refuses vectors whose products with an update of so many ciphertexts are not opened.

    Raises:
        RoundError: of another lane, beyond the update, too heavy, or a set that opens none.
    """
    p, positions = parameters, vectors.positions
    check_vectors(vectors.lane, positions, vectors.rows, p)
    room = ciphertexts * p.values_per_ciphertext
    if positions.size and int(positions[-1]) >= room:
        raise RoundError(f"a vector reaches to value {positions[-1]}: the update has {room}")


def products(
    polynomials: WordArray, vectors: Vectors, weights: IntArray, parameters: ParameterSet
) -> Products:
    """Products of an update's c0, or c1 times a piece, uint64[c, data primes, n]."""
    p = parameters
    primes = np.array(p.data_primes, np.uint64)
    scalars: WordArray = np.zeros((len(vectors.rows), primes.size), np.uint64)
    checks: WordArray = np.zeros((CHECKS, primes.size), np.uint64)
    block_of, slot_of = slots_of(vectors.positions, p)
    for block, rows in enumerate(polynomials):
        here = block_of == block
        small = vectors.rows[:, here].astype(np.int64)
        scalars = (scalars + _ring.inner_products(rows[:, slot_of[here]], small, p)) % primes
        one = _ring.inner_products(rows[:, : p.reserved], weights[block], p)
        checks = (checks + one) % primes
    return Products(scalars, checks)


def check_weights(words: WordArray, parameters: ParameterSet) -> IntArray:
    """Of reserved coefficients, int64[c, 64, reserved], uniform from -2**10 to 2**10 - 1.

    Args:
        words: the update, uint64[c, 2, data primes, n], on all of which they depend.
        parameters: an assessable set.
    """
    shape = (len(words), CHECKS, parameters.reserved)
    number = bytes([parameters.number])
    expand = sampling.expander("threshold-checks", number, sampling.digest(words))
    drawn = np.frombuffer(expand(2 * len(words) * CHECKS * parameters.reserved), "<u2")
    centred = (drawn >> (15 - WEIGHT_BITS)).astype(np.int64) - (1 << WEIGHT_BITS)
    return centred.reshape(shape)
