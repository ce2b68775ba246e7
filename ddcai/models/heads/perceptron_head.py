"""The head in integers: the Python twin of `contracts/src/PerceptronHead.sol`, bit for bit.

score_c = bias_c + sum_j weight_cj * feature_j, with int16 weights, int32 biases and int8
features; the class with the highest score wins, the lowest such class on a tie. Scores are
exact: |score| <= 2^31 + 2^16 * 2^15 * 2^7 < 2^39 fits int64 with room.

Fixed point: feature = rint(127 * encoding), weight = rint(w * head_scale), bias =
rint(b * head_scale * 127), each half to even; so score / (127 * head_scale) is the logit up
to rounding. Word layout: `contracts/src/interfaces/IHead.sol`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ddcai.configuration import FederationConfig
from ddcai.digests import head_digest
from ddcai.errors import ConfigurationError, MalformedError, RoundError

if TYPE_CHECKING:
    from torch import nn

FEATURE_SCALE = 127
MAX_DIMENSIONS = 65_536
_WEIGHTS_PER_WORD, _BIASES_PER_WORD = 16, 8
_WORD_BYTES = 32
_PREDICT_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Head:
    """A Perceptron head in fixed point.

    Attributes:
        weights: int16[c, d].
        bias: int32[c].
    """

    weights: npt.NDArray[np.int16]
    bias: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        good = self.weights.ndim == 2 and self.weights.dtype == np.int16
        good = good and self.bias.dtype == np.int32 and self.bias.shape == self.weights.shape[:1]
        if not good or self.classes < 2 or not 1 <= self.dimensions <= MAX_DIMENSIONS:
            raise ConfigurationError(
                f"a head of {self.weights.dtype}{self.weights.shape} weights and {self.bias.dtype}"
                f"{self.bias.shape} biases: give int16[c, d] and int32[c], at least 2 classes, 1 "
                f"to {MAX_DIMENSIONS} features"
            )

    @property
    def classes(self) -> int:
        """Number of classes, c."""
        return len(self.weights)

    @property
    def dimensions(self) -> int:
        """Number of int8 features, d."""
        return int(self.weights.shape[1])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Head)
            and np.array_equal(self.weights, other.weights)
            and np.array_equal(self.bias, other.bias)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can be written to

    @classmethod
    def from_linear(
        cls,
        weight: npt.NDArray[np.float32],
        bias: npt.NDArray[np.float32],
        head_scale: int,
    ) -> Head:
        """Rounds a linear layer, float32[c, d] and float32[c], half to even.

        Raises:
            RoundError: for NaN or infinity.
            ConfigurationError: if a weight or bias does not fit, naming model.head_scale.
        """
        weights = _fixed(weight, head_scale, np.iinfo(np.int16), "weight", head_scale)
        scale = head_scale * FEATURE_SCALE
        biases = _fixed(bias, scale, np.iinfo(np.int32), "bias", head_scale)
        return cls(weights.astype(np.int16), biases.astype(np.int32))

    def to_words(self) -> list[int]:
        """The head as 256-bit words, in the contract's order."""
        columns = -self.dimensions % _WEIGHTS_PER_WORD
        weights = np.pad(self.weights, ((0, 0), (0, columns))).astype("<i2").tobytes()
        biases = np.pad(self.bias, (0, -self.classes % _BIASES_PER_WORD)).astype("<i4").tobytes()
        raw = weights + biases
        return [
            int.from_bytes(raw[start : start + _WORD_BYTES], "little")
            for start in range(0, len(raw), _WORD_BYTES)
        ]

    @classmethod
    def from_words(cls, words: Sequence[int], dimensions: int, classes: int) -> Head:
        """Reads the contract's words, strictly.

        Raises:
            MalformedError: for a wrong number of words, a word that is not 256 bits, or
                padding that is not zero.
            ConfigurationError: for a shape out of range.
        """
        if not (1 <= dimensions <= MAX_DIMENSIONS and classes >= 2):
            raise ConfigurationError(f"a head of {dimensions} features and {classes} classes")
        expected = word_count(dimensions, classes)
        if len(words) != expected:
            raise MalformedError(f"{len(words)} words, not the {expected} of this head")
        try:
            raw = b"".join(int(word).to_bytes(_WORD_BYTES, "little") for word in words)
        except OverflowError as error:
            raise MalformedError("a head's word is not an unsigned 256-bit number") from error
        padded = dimensions + -dimensions % _WEIGHTS_PER_WORD
        split_at = 2 * padded * classes
        weights = np.frombuffer(raw[:split_at], "<i2").reshape(classes, padded)
        biases = np.frombuffer(raw[split_at:], "<i4")
        if weights[:, dimensions:].any() or biases[classes:].any():
            raise MalformedError("the padding of a head's words is not zero")
        return cls(weights[:, :dimensions].astype(np.int16), biases[:classes].astype(np.int32))

    def digest(self) -> bytes:
        """The head's digest, 32 bytes, as the contract computes it."""
        return head_digest(self.to_words())

    def scores(self, features: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
        """Exact scores, int64[n, c], of int8[n, d].

        Raises:
            ConfigurationError: for another dtype or shape.
        """
        if features.dtype != np.int8 or features.shape[1:] != (self.dimensions,):
            raise ConfigurationError(
                f"features {features.dtype}{list(features.shape)}: this head takes "
                f"int8[n, {self.dimensions}]"
            )
        # Every product and partial sum is an integer below 2^53, so float64 is exact in any
        # order of addition, and numpy multiplies float matrices far faster than integer ones.
        weights = self.weights.astype(np.float64).T
        out = np.empty((len(features), self.classes), np.int64)
        for start in range(0, len(features), _PREDICT_ROWS):
            block = slice(start, start + _PREDICT_ROWS)
            out[block] = (features[block].astype(np.float64) @ weights).astype(np.int64)
        return out + self.bias.astype(np.int64)

    def predict(self, features: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
        """Classes, int64[n]; the lowest of those that tie."""
        classes: npt.NDArray[np.int64] = np.argmax(self.scores(features), axis=1)
        return classes


def word_count(dimensions: int, classes: int) -> int:
    """Number of 256-bit words of a head."""
    return classes * -(-dimensions // _WEIGHTS_PER_WORD) + -(-classes // _BIASES_PER_WORD)


def features_of(encoding: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """int8 features of an encoding in [-1, 1] (`ddcai.models.encoder.encode`)."""
    return np.rint(encoding.astype(np.float64) * FEATURE_SCALE).astype(np.int8)


def features(module: nn.Module, x: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """What a user sends to the contract for inputs float32[n, ...]: int8[n, d]."""
    from ddcai.models.encoder import encode  # torch takes a second and a half to load

    return features_of(encode(module, x))


def head_of(state: Mapping[str, npt.NDArray[np.float32]], config: FederationConfig) -> Head:
    """The on-chain head of a model's state: its last layer.

    Raises:
        ConfigurationError: if the state has no such layer (`head_names`), or it does not fit
            model.head_scale.
    """
    weight, bias = head_names(state)
    return Head.from_linear(state[weight], state[bias], config.model.head_scale)


def head_names(state: Mapping[str, npt.NDArray[np.float32]]) -> tuple[str, str]:
    """The names of the last layer's weight and bias in a model's state.

    They are ``head.weight`` and ``head.bias``, or, in an app that names its layers otherwise,
    those of the last two arrays, if these are float32[c, d] and float32[c].

    Raises:
        ConfigurationError: the state has no such layer.
    """
    own = "head.weight", "head.bias"
    names = list(own if all(name in state for name in own) else state)[-2:]
    shapes = [state[name].shape for name in names]
    if len(names) != 2 or len(shapes[0]) != 2 or shapes[1] != shapes[0][:1]:
        raise ConfigurationError(
            f"the state ends in {list(state)[-2:]}, which is no linear layer with a bias: name "
            "the last layer `head`, or make it the last of the module"
        )
    return names[0], names[1]


def head_of_module(module: nn.Module, head_scale: int) -> Head:
    """The on-chain head of a network."""
    from ddcai.models.encoder import split

    _, head = split(module)
    return Head.from_linear(head.weight.detach().numpy(), head.bias.detach().numpy(), head_scale)


def _fixed(
    values: npt.NDArray[np.float32], scale: int, limits: np.iinfo, what: str, head_scale: int
) -> npt.NDArray[np.float64]:
    scaled = np.rint(values.astype(np.float64) * scale)
    if not np.isfinite(scaled).all():
        raise RoundError(
            f"the head holds a {what} that is NaN or infinite: lower training.learning_rate"
        )
    if scaled.size and (scaled.max() > limits.max or scaled.min() < limits.min):
        largest = float(np.abs(values).max())
        raise ConfigurationError(
            f"a head {what} of {largest:g} does not fit at model.head_scale {head_scale}: lower "
            "model.head_scale, or training.learning_rate"
        )
    return scaled
