"""The twin of `contracts/src/TeachableHead.sol`: a federation's head that contributions teach."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ddcai.errors import ConfigurationError
from ddcai.models.heads.dense_perceptron import DensePerceptron
from ddcai.models.heads.perceptron_head import Head


class TeachableHead(DensePerceptron):
    """Answers and learns as a `DensePerceptron`, and takes in what a federation writes.

    Attributes:
        written: the head as the federation last wrote it.
        encoder_every: rounds whose number is a multiple replace the live head; none if 0.
        release: how many times that has happened.
    """

    def __init__(self, head: Head, learning_rate: int, encoder_every: int) -> None:
        super().__init__(head, learning_rate)
        self.written, self.encoder_every, self.release = head, encoder_every, 0

    def write(self, head: Head, round_: int) -> None:
        """Takes in a round's head.

        A round that trains the encoder replaces the live head. Any other adds what the written
        one moved, number by number; a sum stops at the ends of its type.

        Raises:
            ConfigurationError: a head of another shape.
        """
        if head.weights.shape != self.written.weights.shape:
            raise ConfigurationError(
                f"a head of {head.weights.shape} weights is no round's of "
                f"{self.written.weights.shape}"
            )
        if self.encoder_every and round_ % self.encoder_every == 0:
            self.release += 1
            self._weights, self._bias = head.weights.astype(np.int64), head.bias.astype(np.int64)
        else:
            self._weights = _moved(self._weights, self.written.weights, head.weights)
            self._bias = _moved(self._bias, self.written.bias, head.bias)
        self.written = head


def _moved(
    live: npt.NDArray[np.int64], last: npt.NDArray[Any], now: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    ends = np.iinfo(now.dtype)
    moved: npt.NDArray[np.int64] = live + now.astype(np.int64) - last.astype(np.int64)
    return moved.clip(ends.min, ends.max)
