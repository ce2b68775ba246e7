"""The twin of `contracts/src/classifiers/SparseNearestCentroid.sol`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ddcai.models.heads.classifier import Row
from ddcai.models.heads.counts import SparseCounts

UNIT = 2**32


class SparseNearestCentroid(SparseCounts):
    """The nearest mean: score = 2 x m - |m|^2 in units of 2^-32, cut towards zero.

    A mean is counts / examples; a count is at most its class's number of examples.
    """

    kind = "SparseNearestCentroid"
    max_parameter = 0

    def _measure(self, count: npt.NDArray[np.int64]) -> list[int]:
        return [one * one for one in count.tolist()]

    def _most(self, examples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return examples

    def _scores(self, row: Row) -> list[int]:
        scores = []
        for class_, number in enumerate(self._examples.tolist()):
            dot = sum(self._table[row, class_].tolist())
            scores.append(cut((2 * number * dot - self._sums[class_]) * UNIT, number * number))
        return scores


def cut(dividend: int, divisor: int) -> int:
    """Division towards zero, as in Solidity; the divisor is positive."""
    quotient = abs(dividend) // divisor
    return quotient if dividend >= 0 else -quotient
