"""The twin of `contracts/src/classifiers/SparsePerceptron.sol`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ddcai.errors import ConfigurationError
from ddcai.models.heads.classifier import (
    SPARSE_MAX_FEATURES,
    Classifier,
    Row,
    from_words,
    to_words,
)

_INT16 = np.iinfo(np.int16)
_PER_WORD = 16


class SparsePerceptron(Classifier):
    """int16 weights of binary features; learns on a mistake only.

    Two classes share one row of weights, their difference, and score (0, s); more classes have a
    row each. The first column is the bias: a feature that is always present. The learning rate
    is added to the class's weights and taken from the predicted class's, within int16.
    """

    kind = "SparsePerceptron"
    dense = False
    max_features = SPARSE_MAX_FEATURES
    max_parameter = 2**15 - 1

    def __init__(
        self,
        weights: npt.NDArray[np.int16],
        bias: npt.NDArray[np.int16],
        learning_rate: int,
    ) -> None:
        """Takes int16[rows, features] and int16[rows]; one row for two classes."""
        good = weights.ndim == 2 and bias.shape == weights.shape[:1] and len(weights) != 2
        if not good or weights.dtype != np.int16 or bias.dtype != np.int16:
            raise ConfigurationError(
                f"{weights.dtype}{list(weights.shape)} weights and {bias.dtype}"
                f"{list(bias.shape)} biases: give int16[rows, features] and int16[rows], one row "
                "for two classes and one a class for more"
            )
        rows = len(weights)
        super().__init__(weights.shape[1], 2 if rows == 1 else rows, learning_rate)
        self._table = np.concatenate([bias[None], weights.T]).astype(np.int64)

    @property
    def weights(self) -> npt.NDArray[np.int16]:
        """int16[rows, features], as they stand."""
        weights: npt.NDArray[np.int16] = self._table[1:].T.astype(np.int16)
        return weights

    @property
    def bias(self) -> npt.NDArray[np.int16]:
        """int16[rows], as they stand."""
        bias: npt.NDArray[np.int16] = self._table[0].astype(np.int16)
        return bias

    @classmethod
    def _rows(cls, classes: int) -> int:
        return 1 if classes == 2 else classes

    @classmethod
    def _count_words(cls, features: int, classes: int) -> int:
        return -(-(features + 1) * cls._rows(classes) // _PER_WORD)

    def to_words(self) -> list[int]:
        return to_words(self._table.ravel(), "<i2")

    def _load(self, words: Sequence[int]) -> None:
        rows = self._rows(self.class_limit)
        numbers = from_words(words, "<i2", (self.feature_limit + 1) * rows)
        self._table = numbers.astype(np.int64).reshape(-1, rows)

    def _scores(self, row: Row) -> npt.NDArray[np.int64]:
        sums: npt.NDArray[np.int64] = self._table[0] + self._table[1 + row].sum(axis=0)
        return np.array([0, sums[0]]) if len(sums) == 1 else sums

    def _learn(self, row: Row, class_: int) -> bool:
        predicted = int(np.argmax(self._scores(row)))
        if predicted == class_:
            return False
        step = np.zeros(self._table.shape[1], np.int64)
        if len(step) == 1:
            step[0] = self.parameter if class_ else -self.parameter
        else:
            step[class_], step[predicted] = self.parameter, -self.parameter
        touched = np.concatenate([[0], 1 + row])
        before = self._table[touched]
        after = (before + step).clip(_INT16.min, _INT16.max)
        self._table[touched] = after
        return bool((before != after).any())
