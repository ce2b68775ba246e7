"""Encrypting one update: b = a s + e + 2**error_bits * m, block by block.

Two updates under one s would tell their difference to everybody. A `RoundSecret` is therefore drawn
from the operating system for one update, encrypts once, and cannot be asked again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Lock
from typing import Any

import numpy as np

from ddcai.digests import RoundContext
from ddcai.encryption.compact import sampling
from ddcai.encryption.compact.limbs import IntArray, WordArray, add_shifted
from ddcai.encryption.compact.ring import SmallPolynomial
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.errors import RoundError

# Blocks that are worked on together, so that numpy's calls are few and their arrays stay in a
# core's cache.
BATCH = 8


class RoundSecret:
    """One contributor's secret s of one round. Only that contributor has it; the key holders get
    pieces of it (`ddcai.encryption.compact.shares`), and only the sum over a round is ever opened.

    Args:
        shape: of the federation.
    """

    def __init__(self, shape: CompactShape) -> None:
        self._shape = shape
        self._seed = os.urandom(sampling.SEED_BYTES)
        self._polynomial = sampling.secret_polynomial(self._seed, shape)
        self._lock, self._used = Lock(), False

    def __repr__(self) -> str:
        return f"RoundSecret({self._shape.id}, ****)"

    def __reduce__(self) -> Any:
        raise TypeError("a round's secret is never pickled: it serves one update")

    @property
    def shape(self) -> CompactShape:
        """The shape."""
        return self._shape

    def polynomial(self) -> IntArray:
        """s itself, int64[n], -84 to 84: to be shared out, never to be sent or stored."""
        return self._polynomial.copy()

    def encrypt(self, values: IntArray, context: RoundContext, head: bytes = b"") -> bytes:
        """Encrypts one update, once.

        Args:
            values: int64[v], v at least 1, each within +-lane_max.
            context: chain, contract and round: what the public polynomials follow from.
            head: what stands before the words (`ddcai.encryption.compact.keys`).

        Returns:
            the head, then the words.

        Raises:
            RoundError: for values that do not fit (the secret then stays unused), or when it
                has encrypted before.
        """
        shape = self._shape
        values = _checked(values, shape)
        with self._lock:
            if self._used:
                raise RoundError(
                    "this round's secret has encrypted an update before: two would tell their "
                    "difference; draw a new one"
                )
            self._used = True
        count = shape.words(values.size)
        secret = SmallPolynomial(self._polynomial)
        public = sampling.PublicPolynomials(context, shape)
        noise = sampling.Errors(self._seed, shape)
        body: list[list[WordArray]] = [[] for _ in range(shape.limbs)]
        for blocks, here in batches(count, shape):
            products = secret.multiply(public.take(blocks))
            add_shifted(products, noise.take(blocks), 0)
            words = products.reshape(shape.limbs, -1)[:, : here.stop - here.start]
            for lane in range(shape.lanes):
                # Lanes without a value stay zero.
                some = values[shape.in_lane(lane, values.size)][here]
                add_shifted(words[:, : some.size], some, shape.lane_shift(lane))
            for parts, limb in zip(body, words, strict=True):
                parts.append(limb.astype("<u8", copy=False))
        return b"".join([head, *(part.data for parts in body for part in parts)])


def batches(words: int, shape: CompactShape) -> Iterator[tuple[int, slice]]:
    """So many words, about as many blocks at a time: how many blocks, and which words."""
    blocks = -(-words // shape.n)
    step = shape.n * -(-blocks // -(-blocks // BATCH))
    for start in range(0, words, step):
        here = slice(start, min(start + step, words))
        yield -(-(here.stop - start) // shape.n), here


def _checked(values: IntArray, shape: CompactShape) -> IntArray:
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0 or values.dtype != np.int64:
        raise RoundError(f"values are {values.dtype}{values.shape}: give int64[n], at least one")
    low, high = int(values.min()), int(values.max())
    if low < -shape.lane_max or high > shape.lane_max:
        raise RoundError(
            f"values reach from {low} to {high}: a lane of {shape.id} holds +-{shape.lane_max}; "
            "quantise with a smaller value limit"
        )
    return values
