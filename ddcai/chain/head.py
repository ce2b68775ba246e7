"""The head's contract: the model's last layer, free to read and to ask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.configuration import FederationConfig
from ddcai.errors import ChainError, ChainUnreachable, ConfigurationError

TEACHABLE = "TeachableHead"


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """How contributions teach a head between its federation's rounds.

    Attributes:
        encoder_every: rounds whose number is a multiple make a new release; none if 0.
        release: how many there were.
        learning_rate: of the Perceptron rule.
        founder: who chooses the teacher, while there is none.
        teacher: who alone teaches, usually a trainer; None for nobody.
    """

    encoder_every: int
    release: int
    learning_rate: int
    founder: str
    teacher: str | None


def teaching(w3: Web3, address: str) -> Teaching | None:
    """What a head says of its teaching; None for one that only its federation writes."""
    contract = Contract(w3, address, artifact.load(TEACHABLE))
    names = ("encoderEvery", "release", "parameter", "founder", "teacher")
    try:
        every, release, rate, founder, teacher = contract.call_many([(n, []) for n in names])
    except ChainUnreachable:
        raise
    except ChainError:  # no such functions
        return None
    return Teaching(
        encoder_every=int(every),
        release=int(release),
        learning_rate=int(rate),
        founder=str(to_checksum_address(founder)),
        teacher=None if int(teacher, 16) == 0 else str(to_checksum_address(teacher)),
    )


def checked_teaching(w3: Web3, address: str, config: FederationConfig) -> Teaching | None:
    """As `teaching`, of a federation's head.

    Raises:
        ConfigurationError: its releases are not those of the configuration.
    """
    found = teaching(w3, address)
    every = config.training.encoder_every
    if found is not None and found.encoder_every != every:
        raise ConfigurationError(
            f"the head {address} makes a release every {found.encoder_every} rounds, but "
            f"training.encoder_every is {every}: do not contribute to it"
        )
    return found


class Head:
    """A typed facade on ``IHead``; reads only, since only its federation writes it.

    Where contributions teach the head, `words` are the federation's, as it last wrote them, and
    `predict` answers from the live ones (`ddcai.chain.classifier.Classifier.twin`).
    """

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
