"""Who keeps updates, and what is ever learned of them: inner products and sums.

`Twin` does it on integers, at scale. `Encrypted` does the same on ciphertexts, by what a federation
runs: the public key, a key holder's `ScalarOpener` with its journals, sums of ciphertexts. Both
give the same numbers, so a simulation is the same by either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ddcai.assessment.derivation import Block, Int8s
from ddcai.assessment.scores import inner_products
from ddcai.digests import RoundContext, update_digest
from ddcai.encryption import bfv, summation
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.scalars import Committed, ScalarOpener, Vectors
from ddcai.quantise import COUNT_DIGITS

Integers = NDArray[np.int64]

PARAMETERS = PARAMETER_SETS["bfv-8192-2x30"]
# What one contributor may send at most, however many take part.
VALUE_LIMIT = PARAMETERS.value_limit(1)
# A round's block is drawn from one lane of this many, which alternate over the coordinates.
LANES = PARAMETERS.lanes


def lane_coordinates(lane: int, dimension: int) -> Block:
    """Coordinates of an update that stand in a lane: int64[k], ascending."""
    places = np.arange(dimension, dtype=np.int64)
    inside: Block = places[(places + COUNT_DIGITS) % LANES == lane]
    return inside


class Custody(Protocol):
    """Keeps the updates of a round under a handle of its own."""

    def commit(self, round_: int, values: Integers) -> Any:
        """Takes the updates of a round, int64[n, D], in their order."""

    def open(self, handle: Any, purpose: str, block: Block, vectors: Int8s) -> Integers:
        """Inner products over a block: int64[n, k]; once for a round and purpose."""

    def total(self, handle: Any, rows: NDArray[np.bool_]) -> Integers:
        """The sum of at least one chosen update: int64[D]."""


class Twin:
    """The integers themselves."""

    def commit(self, round_: int, values: Integers) -> Any:
        return values.astype(np.int32)

    def open(self, handle: Any, purpose: str, block: Block, vectors: Int8s) -> Integers:
        return inner_products(vectors, handle[:, block].astype(np.int64))

    def total(self, handle: Any, rows: NDArray[np.bool_]) -> Integers:
        summed: Integers = handle[rows].sum(axis=0, dtype=np.int64)
        return summed


@dataclass(frozen=True)
class Noisy:
    """Another custody whose scalars carry Gaussian noise.

    Attributes:
        inner: the other.
        deviation: of the noise on a scalar, for each unit of its vector's length.
        rng: of the noise.
    """

    inner: Custody
    deviation: float
    rng: np.random.Generator

    def commit(self, round_: int, values: Integers) -> Any:
        return self.inner.commit(round_, values)

    def open(self, handle: Any, purpose: str, block: Block, vectors: Int8s) -> Integers:
        exact = self.inner.open(handle, purpose, block, vectors)
        norms = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
        noise = self.rng.normal(0, 1, exact.shape) * (self.deviation * norms)
        blurred: Integers = exact + np.rint(noise).astype(np.int64)
        return blurred

    def total(self, handle: Any, rows: NDArray[np.bool_]) -> Integers:
        return self.inner.total(handle, rows)


class Encrypted:
    """Ciphertexts of the assessable parameter set under a key made for this run.

    Args:
        folder: for the key holder's journals, one for each purpose.
    """

    def __init__(self, folder: Path) -> None:
        self._secret, self._public = bfv.generate(PARAMETERS)
        self._folder = folder
        self._blobs: dict[bytes, bytes] = {}
        self._openers: dict[str, ScalarOpener] = {}

    def commit(self, round_: int, values: Integers) -> Any:
        context = RoundContext(chain_id=1, contract="0x" + "11" * 20, round=round_)
        updates = []
        for place, row in enumerate(values):
            count = np.zeros(COUNT_DIGITS, np.int64)
            count[0] = 1
            blob = self._public.encrypt(np.concatenate([count, row]))
            address = f"0x{place + 1:040x}"
            digest = update_digest(context, address, blob)
            self._blobs[digest] = blob
            updates.append((address, digest))
        return Committed(
            context=context,
            updates=tuple(updates),
            values=COUNT_DIGITS + values.shape[1],
            encryption_key_digest=self._public.digest(),
        )

    def open(self, handle: Any, purpose: str, block: Block, vectors: Int8s) -> Integers:
        positions = block + COUNT_DIGITS
        lane = int(positions[0]) % LANES
        wanted = Vectors(lane=lane, positions=positions, rows=vectors)
        found = self._opener(purpose).open(handle, wanted)
        # A product that no honest update can have is not given out: it scores as nothing.
        nothing = (0,) * len(vectors)
        return np.array([found[address] or nothing for address, _ in handle.updates], np.int64)

    def total(self, handle: Any, rows: NDArray[np.bool_]) -> Integers:
        chosen: Sequence[bytes] = [
            self._blobs[digest]
            for (_, digest), taken in zip(handle.updates, rows, strict=True)
            if taken
        ]
        summed = self._secret.decrypt(summation.add(chosen, PARAMETERS))
        return summed[COUNT_DIGITS:]

    def _opener(self, purpose: str) -> ScalarOpener:
        if purpose not in self._openers:
            self._openers[purpose] = ScalarOpener(
                self._secret,
                self._folder / purpose,
                self._blobs.__getitem__,
                value_limit=VALUE_LIMIT,
                budget=2**31,
            )
        return self._openers[purpose]


__all__ = [
    "Custody",
    "Encrypted",
    "Integers",
    "LANES",
    "Noisy",
    "Twin",
    "VALUE_LIMIT",
    "lane_coordinates",
]
