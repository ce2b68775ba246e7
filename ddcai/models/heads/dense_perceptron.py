"""The twin of `contracts/src/classifiers/DensePerceptron.sol`: a `Head` that learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ddcai.models.heads.classifier import Classifier, Row, Rows
from ddcai.models.heads.perceptron_head import FEATURE_SCALE, Head, word_count

_INT16, _INT32 = np.iinfo(np.int16), np.iinfo(np.int32)


class DensePerceptron(Classifier):
    """int16 weights, int32 biases, int8 features; learns on a mistake only.

    With learning rate r, r * feature is added to the class's weights and taken from the predicted
    class's, and biases move by r * 127^2; all stop at the ends of their types.
    """

    kind = "DensePerceptron"
    dense = True
    max_features = 4096
    max_parameter = 255

    def __init__(self, head: Head, learning_rate: int) -> None:
        super().__init__(head.dimensions, head.classes, learning_rate)
        self._weights = head.weights.astype(np.int64)
        self._bias = head.bias.astype(np.int64)

    @property
    def head(self) -> Head:
        """The model as it stands."""
        return Head(self._weights.astype(np.int16), self._bias.astype(np.int32))

    @classmethod
    def _count_words(cls, features: int, classes: int) -> int:
        return word_count(features, classes)

    def to_words(self) -> list[int]:
        return self.head.to_words()

    def _load(self, words: Sequence[int]) -> None:
        head = Head.from_words(words, self.feature_limit, self.class_limit)
        self._weights = head.weights.astype(np.int64)
        self._bias = head.bias.astype(np.int64)

    def scores(self, rows: Rows) -> npt.NDArray[np.int64]:
        return self.head.scores(np.asarray(rows))

    def _scores(self, row: Row) -> npt.NDArray[np.int64]:
        scores: npt.NDArray[np.int64] = self._weights @ row.astype(np.int64) + self._bias
        return scores

    def _learn(self, row: Row, class_: int) -> bool:
        predicted = int(np.argmax(self._scores(row)))
        if predicted == class_:
            return False
        changed = False
        for which, rate in ((class_, self.parameter), (predicted, -self.parameter)):
            weights = self._weights[which] + rate * row.astype(np.int64)
            weights = weights.clip(_INT16.min, _INT16.max)
            bias = int(self._bias[which]) + rate * FEATURE_SCALE**2
            bias = min(max(bias, _INT32.min), _INT32.max)
            changed |= bool((weights != self._weights[which]).any()) or bias != self._bias[which]
            self._weights[which], self._bias[which] = weights, bias
        return changed
