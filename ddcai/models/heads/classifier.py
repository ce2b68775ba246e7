"""What the twins of all classifiers share: shape, words, rows and their byte form.

The rules are those of `contracts/src/interfaces/IClassifier.sol`. Rows of a dense model are
int8[n, d]; rows of a sparse one are a sequence of integer arrays, each the strictly ascending
indices of the features that are present.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from eth_abi import abi
from eth_utils.crypto import keccak

from ddcai.errors import ConfigurationError, MalformedError

WORD_BYTES = 32
MAX_WORDS = 2**16
MAX_CLASSES = 256
SPARSE_MAX_FEATURES = 2**16
_TAG = keccak(text="ddcai.v1.classifier")

Row = npt.NDArray[Any]
Rows = npt.NDArray[Any] | Sequence[Row]


class Classifier(ABC):
    """A model that predicts and learns in integers, as its contract does.

    Attributes:
        kind: the contract's name.
        dense: whether rows are int8 vectors; otherwise they are indices.
        feature_limit: number of features.
        class_limit: number of classes.
        parameter: learning rate or smoothing; 0 for models that have none.
    """

    kind: ClassVar[str]
    dense: ClassVar[bool]
    max_features: ClassVar[int]
    max_parameter: ClassVar[int]

    def __init__(self, feature_limit: int, class_limit: int, parameter: int) -> None:
        good = 1 <= feature_limit <= self.max_features and 2 <= class_limit <= MAX_CLASSES
        least = min(1, self.max_parameter)
        good = good and least <= parameter <= self.max_parameter
        if not good or self._count_words(feature_limit, class_limit) > MAX_WORDS:
            raise ConfigurationError(
                f"a {self.kind} of {feature_limit} features, {class_limit} classes and parameter "
                f"{parameter}: give 1 to {self.max_features} features, 2 to {MAX_CLASSES} classes, "
                f"a parameter of {least} to {self.max_parameter}, and at most {MAX_WORDS} words"
            )
        self.feature_limit = feature_limit
        self.class_limit = class_limit
        self.parameter = parameter

    @classmethod
    @abstractmethod
    def _count_words(cls, features: int, classes: int) -> int:
        """Number of words of a model of this shape."""

    @abstractmethod
    def to_words(self) -> list[int]:
        """The model as 256-bit words, as the contract's ``load`` takes them."""

    @abstractmethod
    def _load(self, words: Sequence[int]) -> None:
        """Takes over words of the right number; MalformedError for one out of range."""

    @abstractmethod
    def _scores(self, row: Row) -> Sequence[int] | npt.NDArray[np.int64]:
        """Scores of one checked row."""

    @abstractmethod
    def _learn(self, row: Row, class_: int) -> bool:
        """Learns one checked row; whether the model changed."""

    @classmethod
    def from_words(
        cls, words: Sequence[int], feature_limit: int, class_limit: int, parameter: int = 0
    ) -> Self:
        """Reads the contract's words, strictly.

        Raises:
            MalformedError: a wrong number of words, or a word that the contract refuses.
            ConfigurationError: a shape or parameter out of range.
        """
        model = cls.__new__(cls)
        Classifier.__init__(model, feature_limit, class_limit, parameter)
        if len(words) != model.word_count:
            raise MalformedError(f"{len(words)} words, not the {model.word_count} of this model")
        if any(not 0 <= word < 1 << 256 for word in words):
            raise MalformedError("a model's word is not an unsigned 256-bit number")
        model._load(words)
        return model

    @property
    def word_count(self) -> int:
        """Number of 256-bit words of the model."""
        return self._count_words(self.feature_limit, self.class_limit)

    def digest(self) -> bytes:
        """The digest, 32 bytes, that the contract would emit for these words when sealed."""
        return classifier_digest(
            self.kind, self.feature_limit, self.class_limit, self.parameter, self.to_words()
        )

    def scores(self, rows: Rows) -> npt.NDArray[np.int64]:
        """The contract's scores, int64[n, classes].

        Raises:
            ConfigurationError: rows of another type, width or order.
        """
        out = np.zeros((len(rows), self.class_limit), np.int64)
        for place, row in enumerate(rows):
            out[place] = self._scores(self._checked(row))
        return out

    def predict(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Classes, int64[n]; the lowest of those that tie."""
        classes: npt.NDArray[np.int64] = np.argmax(self.scores(rows), axis=1)
        return classes

    def update(self, row: Row, class_: int) -> tuple[int, bool]:
        """Learns one example; what the model said before, and whether it changed.

        Raises:
            ConfigurationError: a class that does not exist, or as `scores`.
        """
        if not 0 <= class_ < self.class_limit:
            raise ConfigurationError(
                f"class is {class_}: this model has classes 0 to {self.class_limit - 1}"
            )
        checked = self._checked(row)
        predicted = int(np.argmax(self._scores(checked)))
        return predicted, self._learn(checked, int(class_))

    def row_bytes(self, row: Row) -> bytes:
        """A row as the contract takes it.

        Raises:
            ConfigurationError: as `scores`.
        """
        return self.bytes_of(row, self.feature_limit)

    @classmethod
    def bytes_of(cls, row: Row, feature_limit: int) -> bytes:
        """As `row_bytes`, for any model of this kind and this number of features."""
        checked = cls._check(row, feature_limit)
        return checked.tobytes() if cls.dense else checked.astype(">u2").tobytes()

    def row_of(self, data: bytes) -> Row:
        """The row that these bytes stand for: int8[d], or int64 indices.

        Raises:
            MalformedError: bytes that the contract refuses.
        """
        if not self.dense and len(data) % 2:
            raise MalformedError(f"{len(data)} bytes of features: indices take two bytes each")
        row: Row = np.frombuffer(data, np.int8 if self.dense else ">u2")
        try:
            return self._checked(row if self.dense else row.astype(np.int64))
        except ConfigurationError as error:
            raise MalformedError(str(error)) from error

    def _checked(self, row: Row) -> Row:
        return self._check(row, self.feature_limit)

    @classmethod
    def _check(cls, row: Row, limit: int) -> Row:
        row = np.asarray(row)
        if cls.dense:
            if row.dtype != np.int8 or row.shape != (limit,):
                raise ConfigurationError(
                    f"features {row.dtype}{list(row.shape)}: this model takes int8[{limit}]"
                )
            return row
        if row.ndim != 1 or (row.size and row.dtype.kind not in "iu"):
            raise ConfigurationError(
                f"features {row.dtype}{list(row.shape)}: this model takes integer indices"
            )
        row = row.astype(np.int64)
        if row.size and (row[0] < 0 or row[-1] >= limit or (np.diff(row) < 1).any()):
            raise ConfigurationError(
                f"feature indices must ascend strictly, from 0 to {limit - 1} at most"
            )
        return row


def classifier_digest(
    kind: str, features: int, classes: int, parameter: int, words: Sequence[int]
) -> bytes:
    """The digest of what was loaded into a classifier, 32 bytes (``IClassifier.ModelSealed``)."""
    types = ["bytes32", "string", "uint256", "uint256", "uint256"]
    digest = keccak(abi.encode(types, [_TAG, kind, features, classes, parameter]))
    for word in words:
        digest = keccak(digest + word.to_bytes(WORD_BYTES, "big"))
    return digest


def to_words(lanes: npt.NDArray[Any], dtype: str) -> list[int]:
    """Numbers to words, the first one lowest; zero after the last.

    Args:
        lanes: the numbers, one after the other.
        dtype: little-endian type that they have in a word, such as ``<i2``.
    """
    raw = lanes.astype(dtype).tobytes()
    raw += bytes(-len(raw) % WORD_BYTES)
    return [
        int.from_bytes(raw[start : start + WORD_BYTES], "little")
        for start in range(0, len(raw), WORD_BYTES)
    ]


def from_words(words: Sequence[int], dtype: str, count: int) -> npt.NDArray[Any]:
    """The first `count` numbers of words.

    Raises:
        MalformedError: a number after them is not zero.
    """
    raw = b"".join(int(word).to_bytes(WORD_BYTES, "little") for word in words)
    lanes = np.frombuffer(raw, dtype)
    if lanes[count:].any():
        raise MalformedError("the padding of a model's words is not zero")
    return lanes[:count]
