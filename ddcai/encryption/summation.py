"""Adding ciphertexts without a key: words modulo the primes.

Addition is exact and commutative, so whoever adds the same ciphertexts gets the same
bytes: coordinator, key holder and auditors each compute the sum for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.wire import Blob, open_blob, to_blob
from ddcai.encryption.words import WordArray
from ddcai.errors import MalformedError, PlanError, RoundError


class SumAccumulator:
    """Adds blobs one at a time, with memory for one sum (about 11 bytes a value).

    The first blob fixes parameter set and number of values if they are not given. A blob
    that is refused leaves the sum as it was.

    Attributes:
        count: blobs added.
    """

    def __init__(self, parameters: ParameterSet | None = None, values: int | None = None) -> None:
        self.count = 0
        self._parameters = parameters
        self._values = values
        self._words: WordArray | None = None

    def add(self, blob: Blob) -> None:
        """Adds one blob.

        Raises:
            MalformedError: if it is malformed, or of another set or size than the first.
            PlanError: if the set's noise allows no more.
        """
        ciphertexts = open_blob(blob, self._parameters, self._values)
        p = ciphertexts.parameters
        if self.count >= p.max_contributors:
            raise PlanError(
                f"{self.count + 1} updates: {p.id} adds at most {p.max_contributors}; "
                "choose another encryption.parameter_set"
            )
        if self._words is None:
            shape = (len(ciphertexts), 2, len(p.data_primes), p.poly_modulus_degree)
            total: WordArray = np.zeros(shape, dtype=np.uint64)
        else:
            total = self._words
        added = 0
        try:
            for block in ciphertexts.blocks():
                # At most 48-bit words and 2**14 of them: no reduction before the end.
                total[added] += block
                added += 1
        except MalformedError:
            for index, block in zip(range(added), ciphertexts.blocks(), strict=False):
                total[index] -= block
            raise
        self._parameters, self._values, self._words = p, ciphertexts.values, total
        self.count += 1

    def blocks(self) -> Iterator[WordArray]:
        """The sum, reduced, a ciphertext at a time: uint64[2, data primes, n].

        Raises:
            RoundError: if nothing was added.
        """
        if self._words is None or self._parameters is None:
            raise RoundError("no update was added: a sum needs at least one")
        width = np.uint64(self._parameters.word_bits)
        primes = np.array(self._parameters.data_primes, dtype=np.uint64)[:, None]
        for total in self._words:
            # A prime p is 2**w - d with d below 2**19, and the sum of 2**k of them is below
            # 2**(w + k): taking (sum >> w) * p away leaves less than 2**w + 2**(k + 19) < 2p, as
            # k + 19 < w. A wrapped difference is the larger one, so that the minimum subtracts p
            # only where it must.
            rest = total - (total >> width) * primes
            yield np.minimum(rest, rest - primes)

    def to_blob(self) -> bytes:
        """The sum in the wire form, which takes as much memory again as the sum's bytes.

        Raises:
            RoundError: if nothing was added, or the updates cancel so that c1 = 0.
        """
        reduced = self.blocks()
        first = next(reduced)  # refuses an empty sum
        assert self._parameters is not None
        assert self._values is not None
        checked = map(_readable_by_nobody, chain([first], reduced))
        return to_blob(checked, self._values, self._parameters)


def _readable_by_nobody(block: WordArray) -> WordArray:
    if not block[1].max(axis=1).all():
        raise RoundError("the sum has c1 = 0 and would be readable: an update was forged")
    return block


def add(blobs: Iterable[Blob], parameters: ParameterSet | None = None) -> bytes:
    """The sum of blobs as a blob; see `SumAccumulator`."""
    accumulator = SumAccumulator(parameters)
    for blob in blobs:
        accumulator.add(blob)
    return accumulator.to_blob()
