"""The head's contract: the model's last layer, free to read and to ask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.errors import ConfigurationError


class Head:
    """A typed facade on ``IHead``; reads only, since only its federation writes it."""

    def __init__(self, w3: Web3, address: str) -> None:
        self.address = address
        self._contract = Contract(w3, address, artifact.load("PerceptronHead"))
        self._shape: tuple[int, int] | None = None

    def shape(self) -> tuple[int, int]:
        """(dimensions, classes); fixed for the contract's life."""
        if self._shape is None:
            dimensions, classes = self._contract.call_many([("dimensions", []), ("classes", [])])
            self._shape = int(dimensions), int(classes)
        return self._shape

    def words(self) -> tuple[int, ...]:
        """All 256-bit words, in the layout of ``IHead.write``."""
        return tuple(self._contract.call("words"))

    def predict(
        self, features: npt.NDArray[np.int8]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Asks the contract, by free calls.

        Args:
            features: int8[n, dimensions].

        Returns:
            The classes, int64[n], and all scores, int64[n, classes]: exact.

        Raises:
            ConfigurationError: the array has another type or width than the head takes.
        """
        dimensions, classes = self.shape()
        if features.dtype != np.int8 or features.ndim != 2 or features.shape[1] != dimensions:
            raise ConfigurationError(
                f"features are {features.dtype}{list(features.shape)}: the head at "
                f"{self.address} takes int8[n, {dimensions}]"
            )
        chosen = np.zeros(len(features), dtype=np.int64)
        scores = np.zeros((len(features), classes), dtype=np.int64)
        answers = self._contract.call_many([("predict", [row.tobytes()]) for row in features])
        for position, (winner, row_scores) in enumerate(answers):
            chosen[position] = winner
            scores[position] = row_scores
        return chosen, scores
