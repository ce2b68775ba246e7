"""The twin of `contracts/src/classifiers/NearestCentroid.sol`, over int8 features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ddcai.errors import ConfigurationError, MalformedError
from ddcai.models.heads.classifier import Classifier, Row, from_words, to_words
from ddcai.models.heads.sparse_centroid import cut

UNIT = 2**16
MAX_EXAMPLES = 2**24 - 1
LARGEST_FEATURE = 128
_PER_WORD = 8


class NearestCentroid(Classifier):
    """The nearest mean: score = 2 x m - |m|^2 in units of 2^-16, cut towards zero.

    A mean is sums / examples. Learns every example, until a class has 2^24 - 1.
    """

    kind = "NearestCentroid"
    dense = True
    max_features = 4096
    max_parameter = 0

    def __init__(self, examples: npt.NDArray[np.int64], sums: npt.NDArray[np.int64]) -> None:
        """Takes integers [classes] (1 to 2^24 - 1) and [classes, features].

        Raises:
            ConfigurationError: other shapes, or numbers that the contract refuses.
        """
        good = sums.ndim == 2 and examples.shape == sums.shape[:1]
        if not good or examples.dtype.kind not in "iu" or sums.dtype.kind not in "iu":
            raise ConfigurationError(
                f"{examples.dtype}{list(examples.shape)} examples and {sums.dtype}"
                f"{list(sums.shape)} sums: give integers [classes] and [classes, features]"
            )
        super().__init__(sums.shape[1], sums.shape[0], 0)
        fault = self._take(examples.astype(np.int64), sums.astype(np.int64))
        if fault:
            raise ConfigurationError(fault)

    @property
    def examples(self) -> npt.NDArray[np.int64]:
        """int64[classes], as they stand."""
        return self._examples.copy()

    @property
    def sums(self) -> npt.NDArray[np.int64]:
        """int64[classes, features], as they stand."""
        return self._sums.copy()

    def _take(self, examples: npt.NDArray[np.int64], sums: npt.NDArray[np.int64]) -> str | None:
        if (examples < 1).any() or (examples > MAX_EXAMPLES).any():
            return "each class needs 1 to 2^24 - 1 examples"
        if (np.abs(sums) > LARGEST_FEATURE * examples[:, None]).any():
            return "a sum is larger than 128 times its class's examples"
        self._examples, self._sums = examples, sums
        self._squares = [sum(one * one for one in row.tolist()) for row in sums]
        return None

    @classmethod
    def _count_words(cls, features: int, classes: int) -> int:
        return -(-classes // _PER_WORD) + classes * -(-features // _PER_WORD)

    def to_words(self) -> list[int]:
        words = to_words(self._examples, "<u4")
        for row in self._sums:
            words += to_words(row, "<i4")
        return words

    def _load(self, words: Sequence[int]) -> None:
        first, row = -(-self.class_limit // _PER_WORD), -(-self.feature_limit // _PER_WORD)
        examples = from_words(words[:first], "<u4", self.class_limit).astype(np.int64)
        sums = np.stack(
            [
                from_words(words[start : start + row], "<i4", self.feature_limit)
                for start in range(first, len(words), row)
            ]
        ).astype(np.int64)
        fault = self._take(examples, sums)
        if fault:
            raise MalformedError(fault)

    def _scores(self, row: Row) -> list[int]:
        dots = (self._sums @ row.astype(np.int64)).tolist()
        return [
            cut((2 * number * dot - square) * UNIT, number * number)
            for number, dot, square in zip(
                self._examples.tolist(), dots, self._squares, strict=True
            )
        ]

    def _learn(self, row: Row, class_: int) -> bool:
        if self._examples[class_] >= MAX_EXAMPLES:
            return False
        x = row.astype(np.int64)
        self._squares[class_] += 2 * int(self._sums[class_] @ x) + int(x @ x)
        self._sums[class_] += x
        self._examples[class_] += 1
        return True
