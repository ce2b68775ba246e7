"""Adding updates without a key: words modulo 2**64 or 2**128.

Whoever adds the same updates, in any order, gets the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ddcai.encryption.compact import wire
from ddcai.encryption.compact.limbs import WordArray, add_words
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.encryption.compact.shares import PieceWords, to_bytes
from ddcai.encryption.compact.update import batches
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.errors import RoundError


class SumAccumulator:
    """Adds updates one at a time, with memory for one sum.

    The first update fixes shape and number of values if they are not given. A blob that is
    refused leaves the sum as it was.

    Attributes:
        count: updates added.
    """

    def __init__(self, shape: CompactShape | None = None, values: int | None = None) -> None:
        self.count = 0
        self._shape = shape
        self._values = values
        self._words: WordArray | None = None
        self._masked: PieceWords | None = None
        self._sharing: Sharing | None = None

    def add(self, blob: wire.Blob) -> None:
        """Adds one update.

        Raises:
            MalformedError: if it is malformed, or of another shape, size or number of key holders
                than the first.
            PlanError: if the shape can add no more.
        """
        update = wire.parse(blob, wire.UPDATE, self._shape, self._values, self._sharing)
        update.shape.check(self.count + 1)
        if self._words is None or self._masked is None:
            self._shape, self._values = update.shape, update.values
            self._sharing, self._masked = update.sharing, update.masked
            self._words = update.words.copy()
        else:
            add_words(self._masked, update.masked)
            for _, here in batches(self._words.shape[1], update.shape):
                add_words(self._words[:, here], update.words[:, here])
        self.count += 1

    def to_blob(self) -> bytes:
        """The sum in the wire form.

        Raises:
            RoundError: if nothing was added.
        """
        if self._words is None or self._masked is None:
            raise RoundError("no update was added: a sum needs at least one")
        assert self._shape is not None  # add() saw to it
        assert self._sharing is not None
        assert self._values is not None
        head = wire.header(wire.SUM, self._shape, self._sharing, self._values, self.count)
        words = np.ascontiguousarray(self._words, dtype="<u8").data.cast("B")
        return b"".join([head, to_bytes(self._masked), words])


def add(blobs: Iterable[wire.Blob], shape: CompactShape | None = None) -> bytes:
    """The sum of updates as a blob; see `SumAccumulator`."""
    accumulator = SumAccumulator(shape)
    for blob in blobs:
        accumulator.add(blob)
    return accumulator.to_blob()
