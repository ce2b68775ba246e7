"""A classifier's contract: free to ask, read as its integer twin, taught by its owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from eth_utils.address import is_address, to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.node.connection import request
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import ChainError, ChainUnreachable, ConfigurationError
from ddcai.models.heads import TWINS
from ddcai.models.heads import Classifier as Twin
from ddcai.models.heads.classifier import Row, Rows

# A free call may cost what a node allows, 50M gas by default: a word costs about 3,000.
WORDS_A_CALL = 4096
_READS = 5


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What never changes: the contract's kind, features, classes and parameter."""

    kind: str
    features: int
    classes: int
    parameter: int


class Classifier:
    """A typed facade on ``IClassifier``.

    Attributes:
        address: checksum address.
        shape: fixed for the contract's life.
        sender: who pays for writes; None for a facade that only reads.
    """

    def __init__(self, w3: Web3, address: str, sender: Sender | None = None) -> None:
        """Asks the contract what it is.

        Raises:
            ConfigurationError: no address, or no classifier there.
        """
        if not is_address(address):
            raise ConfigurationError(f"address is {address!r}: give 0x and 40 hex digits")
        self.address: str = to_checksum_address(address)
        self.sender = sender
        self._w3 = w3
        # Any classifier's ABI has what all of them share.
        self._contract = Contract(w3, self.address, artifact.load("SparsePerceptron"))
        names = ("kind", "featureLimit", "classLimit", "parameter")
        try:
            kind, features, classes, parameter = self._contract.call_many([(n, []) for n in names])
        except ChainUnreachable:
            raise
        except ChainError as error:
            raise ConfigurationError(
                f"{self.address} is no classifier: check the address and the chain ({error})"
            ) from error
        if kind not in TWINS:
            raise ConfigurationError(
                f"{self.address} is a {kind!r}: this release knows {', '.join(sorted(TWINS))}"
            )
        self.shape = Shape(kind=kind, features=features, classes=classes, parameter=parameter)
        self._twin: type[Twin] = TWINS[kind]

    def state(self) -> tuple[bool, int, int, str]:
        """Whether it is sealed, words loaded, words in all, and the owner's address."""
        names = ("isSealed", "loadedCount", "wordCount", "owner")
        is_sealed, loaded, count, owner = self._contract.call_many([(name, []) for name in names])
        return bool(is_sealed), int(loaded), int(count), str(to_checksum_address(owner))

    def words(self, count: int | None = None) -> list[int]:
        """The first `count` 256-bit words as they stand (all by default), of one moment.

        Raises:
            ChainError: the model changed each time that it was read.
        """
        if count is None:
            count = int(self._contract.call("wordCount"))
        parts = [
            (start, min(WORDS_A_CALL, count - start)) for start in range(0, count, WORDS_A_CALL)
        ]
        for _ in range(_READS):
            before = request(self._w3, "eth_blockNumber", [])
            answers = self._contract.call_many([("words", list(part)) for part in parts])
            # One call is of one block; several are, if no block came between.
            if len(parts) <= 1 or request(self._w3, "eth_blockNumber", []) == before:
                return [word for answer in answers for word in answer]
        raise ChainError(f"{self.address} changed while its words were read: try again")

    def twin(self) -> Twin:
        """The model as it stands, to ask without a chain."""
        shape = self.shape
        return self._twin.from_words(self.words(), shape.features, shape.classes, shape.parameter)

    def predict(self, rows: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Asks the contract, by free calls.

        Args:
            rows: int8[n, features] for a dense model; else integer arrays, each the strictly
                ascending indices of the features that are present.

        Returns:
            The classes, int64[n], and all scores, int64[n, classes]: exact.

        Raises:
            ConfigurationError: rows of another type, width or order.
            ContractReverted: the model is not sealed.
        """
        given = [self._bytes(row) for row in rows]
        chosen = np.zeros(len(given), dtype=np.int64)
        scores = np.zeros((len(given), self.shape.classes), dtype=np.int64)
        answers = self._contract.call_many([("predict", [one]) for one in given])
        for position, (winner, row_scores) in enumerate(answers):
            chosen[position] = winner
            scores[position] = row_scores
        return chosen, scores

    def update(self, row: Row, class_: int) -> Receipt:
        """Teaches one example; owner only.

        Raises:
            ConfigurationError: a row of another type, width or order; no sender.
            ContractReverted: a class that does not exist; not the owner; not sealed.
        """
        return self._send("update", self._bytes(row), class_)

    def load(self, offset: int, words: Sequence[int]) -> Receipt:
        """Writes the next words; owner only, before `seal`."""
        return self._send("load", offset, list(words))

    def seal(self) -> Receipt:
        """Ends loading, for ever; owner only."""
        return self._send("seal")

    def transfer_ownership(self, new_owner: str) -> Receipt:
        """Hands the model to another owner, such as a trainer; owner only."""
        if not is_address(new_owner):
            raise ConfigurationError(f"owner is {new_owner!r}: give 0x and 40 hex digits")
        return self._send("transferOwnership", to_checksum_address(new_owner))

    def sealed_digest(self, first: int, last: int | None = None) -> bytes | None:
        """The digest that the contract emitted when it was sealed; None if it was not.

        Args:
            first: the block to look from.
            last: the block to look to; the latest by default.
        """
        if last is None:
            last = int(request(self._w3, "eth_blockNumber", []), 16)
        for log in self._contract.logs(first, last):
            decoded = self._contract.decode_log(log)
            if decoded is not None and decoded[0] == "ModelSealed":
                return bytes(decoded[1]["modelDigest"])
        return None

    def _bytes(self, row: Row) -> bytes:
        return self._twin.bytes_of(row, self.shape.features)

    def _send(self, name: str, *arguments: object) -> Receipt:
        if self.sender is None:
            raise ConfigurationError(f"{name} of {self.address} needs an account: give a sender")
        return self.sender.send(self.address, self._contract.encode(name, arguments))
