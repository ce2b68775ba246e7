"""The twin of `contracts/src/classifiers/SparseCounts.sol`: what models that count share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ddcai.errors import ConfigurationError, MalformedError
from ddcai.models.heads.classifier import (
    SPARSE_MAX_FEATURES,
    Classifier,
    Row,
    from_words,
    to_words,
)

MAX_EXAMPLES = 2**31
_PER_WORD = 8


class SparseCounts(Classifier):
    """Numbers of examples a class, and of those with each feature.

    Learns every example until a class has 2^31. Loaded numbers of examples are 1 to 2^31 - 1,
    loaded counts below 2^31.
    """

    dense = False
    max_features = SPARSE_MAX_FEATURES

    def __init__(
        self,
        examples: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        parameter: int = 0,
    ) -> None:
        """Takes integers [classes] and [classes, features].

        Raises:
            ConfigurationError: other shapes, or numbers that the contract refuses.
        """
        good = counts.ndim == 2 and examples.shape == counts.shape[:1]
        if not good or examples.dtype.kind not in "iu" or counts.dtype.kind not in "iu":
            raise ConfigurationError(
                f"{examples.dtype}{list(examples.shape)} examples and {counts.dtype}"
                f"{list(counts.shape)} counts: give integers [classes] and [classes, features]"
            )
        super().__init__(counts.shape[1], counts.shape[0], parameter)
        fault = self._take(examples.astype(np.int64), counts.T.astype(np.int64))
        if fault:
            raise ConfigurationError(fault)

    @property
    def examples(self) -> npt.NDArray[np.int64]:
        """int64[classes], as they stand."""
        return self._examples.copy()

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """int64[classes, features], as they stand."""
        return self._table.T.copy()

    @abstractmethod
    def _measure(self, count: npt.NDArray[np.int64]) -> list[int]:
        """What counts of a class add to the class's sum; exact, so Python's integers."""

    def _most(self, examples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The largest count, int64[classes], that can be loaded."""
        return np.full(len(examples), MAX_EXAMPLES - 1)

    def _take(self, examples: npt.NDArray[np.int64], table: npt.NDArray[np.int64]) -> str | None:
        """Takes over numbers; says what is wrong with them."""
        if (examples < 1).any() or (examples >= MAX_EXAMPLES).any():
            return "each class needs 1 to 2^31 - 1 examples"
        if (table < 0).any() or (table > self._most(examples)).any():
            return "a count is negative, above 2^31 - 1, or above its class's examples"
        self._examples, self._table = examples, table
        self._sums = [sum(self._measure(table[:, c])) for c in range(self.class_limit)]
        return None

    @classmethod
    def _count_words(cls, features: int, classes: int) -> int:
        return -(-classes // _PER_WORD) + -(-features * classes // _PER_WORD)

    def to_words(self) -> list[int]:
        return to_words(self._examples, "<u4") + to_words(self._table.ravel(), "<u4")

    def _load(self, words: Sequence[int]) -> None:
        first = -(-self.class_limit // _PER_WORD)
        examples = from_words(words[:first], "<u4", self.class_limit)
        table = from_words(words[first:], "<u4", self.feature_limit * self.class_limit)
        fault = self._take(
            examples.astype(np.int64), table.astype(np.int64).reshape(-1, self.class_limit)
        )
        if fault:
            raise MalformedError(fault)

    def _learn(self, row: Row, class_: int) -> bool:
        if self._examples[class_] >= MAX_EXAMPLES:
            return False
        before = self._table[row, class_]
        self._sums[class_] += sum(self._measure(before + 1)) - sum(self._measure(before))
        self._table[row, class_] += 1
        self._examples[class_] += 1
        return True
