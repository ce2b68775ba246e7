"""The twin of `contracts/src/classifiers/NaiveBayes.sol`: multinomial, on binary features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ddcai.models.heads.classifier import Row
from ddcai.models.heads.counts import SparseCounts
from ddcai.models.heads.fixed_log import DIGITS, log2_fixed

SMOOTHING_UNIT = 256
_CUT_AT, _CUT_BITS = 1 << 192, 64


class NaiveBayes(SparseCounts):
    """score = log2(examples) + sum log2(256 count + s) - n log2(256 total + s features), 2^-40.

    `parameter` is s, the smoothing in units of 1/256. A score is off by less than n + 3 units,
    n the number of features present.
    """

    kind = "NaiveBayes"
    max_parameter = 2**16 - 1

    def _measure(self, count: npt.NDArray[np.int64]) -> list[int]:
        return count.tolist()  # type: ignore[no-any-return]

    def _scores(self, row: Row) -> list[int]:
        return [self._score(self._table[row, c].tolist(), c) for c in range(self.class_limit)]

    def _score(self, counts: list[int], class_: int) -> int:
        product, exponent = int(self._examples[class_]), 0
        for count in counts:
            product *= SMOOTHING_UNIT * count + self.parameter
            if product >= _CUT_AT:
                product >>= _CUT_BITS
                exponent += _CUT_BITS
        total = SMOOTHING_UNIT * self._sums[class_] + self.parameter * self.feature_limit
        return log2_fixed(product) + (exponent << DIGITS) - len(counts) * log2_fixed(total)
