"""The integer head against naive Python integers, and the words that the contract shares.

vectors/heads.json holds heads with their shape, words, digest, features, scores and classes;
the tests of the chain run the contract on the same file. It is written by
``python -m tests.models.head_vectors``.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ddcai.configuration import Feature, FederationConfig, Model, Task
from ddcai.errors import ConfigurationError, MalformedError, RoundError
from ddcai.models import encoder, heads
from ddcai.models.heads import Head
from tests.models import head_vectors


@st.composite
def _heads(draw: st.DrawFn, max_dimensions: int = 40) -> Head:
    classes, dimensions = draw(st.integers(2, 10)), draw(st.integers(1, max_dimensions))
    weights = draw(hnp.arrays(np.int16, (classes, dimensions)))
    return Head(weights, draw(hnp.arrays(np.int32, classes)))


def _naive_scores(head: Head, row: list[int]) -> list[int]:
    return [
        int(bias) + sum(int(w) * f for w, f in zip(weights, row, strict=True))
        for weights, bias in zip(head.weights.tolist(), head.bias.tolist(), strict=True)
    ]


@given(_heads(), st.data())
def test_scores_and_classes_are_those_of_naive_integers(head: Head, data: st.DataObject) -> None:
    features = data.draw(hnp.arrays(np.int8, (data.draw(st.integers(0, 4)), head.dimensions)))
    scores, classes = head.scores(features), head.predict(features)
    assert scores.dtype == classes.dtype == np.int64
    for row, found, predicted in zip(features.tolist(), scores.tolist(), classes, strict=True):
        naive = _naive_scores(head, row)
        assert found == naive
        assert predicted == naive.index(max(naive))


def test_the_extreme_scores_are_exact() -> None:
    """All weights and features at their ends, at the most features: no sum is rounded."""
    dimensions = heads.MAX_DIMENSIONS
    for weight, feature in ((-(2**15), -(2**7)), (2**15 - 1, -(2**7)), (2**15 - 1, 2**7 - 1)):
        weights = np.full((2, dimensions), weight, np.int16)
        weights[1, -1] += 1 if weight < 0 else -1
        head = Head(weights, np.array([2**31 - 1, -(2**31)], np.int32))
        features = np.full((1, dimensions), feature, np.int8)
        assert head.scores(features).tolist() == [_naive_scores(head, features[0].tolist())]


def test_the_lowest_class_wins_a_tie() -> None:
    head = Head(np.array([[1], [2], [2]], np.int16), np.zeros(3, np.int32))
    features = np.array([[1], [0], [-1]], np.int8)
    assert head.predict(features).tolist() == [1, 0, 0]


@given(_heads())
def test_words_round_trip(head: Head) -> None:
    words = head.to_words()
    assert len(words) == heads.word_count(head.dimensions, head.classes)
    assert Head.from_words(words, head.dimensions, head.classes) == head


@given(_heads())
def test_words_lie_as_the_interface_says(head: Head) -> None:
    """Bit by bit from IHead.sol's text, with two's complement done by hand."""
    expected = []
    for row in head.weights.tolist():
        for start in range(0, head.dimensions, 16):
            block = row[start : start + 16]
            expected.append(sum((w % 2**16) << (16 * j) for j, w in enumerate(block)))
    for start in range(0, head.classes, 8):
        block = head.bias.tolist()[start : start + 8]
        expected.append(sum((b % 2**32) << (32 * j) for j, b in enumerate(block)))
    assert head.to_words() == expected


@given(_heads(max_dimensions=20), st.data())
def test_every_bit_of_the_words_counts(head: Head, data: st.DataObject) -> None:
    """A flipped bit is another head, or is padding and refused."""
    words = head.to_words()
    place, bit = data.draw(st.integers(0, len(words) - 1)), data.draw(st.integers(0, 255))
    words[place] ^= 1 << bit
    words_a_class = -(-head.dimensions // 16)
    if place < words_a_class * head.classes:
        padding = place % words_a_class * 16 + bit // 16 >= head.dimensions
    else:
        padding = (place - words_a_class * head.classes) * 8 + bit // 32 >= head.classes
    if padding:
        with pytest.raises(MalformedError, match="padding"):
            Head.from_words(words, head.dimensions, head.classes)
        return
    other = Head.from_words(words, head.dimensions, head.classes)
    assert other != head
    assert other.digest() != head.digest()


@pytest.mark.parametrize(
    ("words", "says"),
    [([0], "1 words"), ([0] * 4, "4 words"), ([0, 0, 2**256], "256"), ([0, -1, 0], "256")],
)
def test_wrong_words_are_refused(words: list[int], says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        Head.from_words(words, 3, 2)


def test_shared_vectors() -> None:
    document = json.loads(head_vectors.PATH.read_text())
    assert document == head_vectors.make()
    for case in document["cases"]:
        head = Head.from_words(
            [int(word, 16) for word in case["words"]], case["dimensions"], case["classes"]
        )
        assert head.weights.tolist() == case["weights"]
        assert head.bias.tolist() == case["bias"]
        assert head.digest().hex() == case["digest"].removeprefix("0x")
        for sample in case["samples"]:
            row = np.frombuffer(bytes.fromhex(sample["features"].removeprefix("0x")), np.int8)
            assert head.scores(row[None]).tolist() == [sample["scores"]]
            assert head.predict(row[None]).tolist() == [sample["class"]]


@given(
    hnp.arrays(np.float32, (2, 3), elements=st.floats(-30, 30, width=32)),
    hnp.arrays(np.float32, 2, elements=st.floats(-30, 30, width=32)),
)
def test_rounding_is_half_to_even_of_the_exact_product(
    weight: np.ndarray, bias: np.ndarray
) -> None:
    head = Head.from_linear(weight, bias, 1024)
    # Python's round of a fraction is exact and half to even.
    from fractions import Fraction

    for found, value in zip(head.weights.ravel(), weight.ravel(), strict=True):
        assert int(found) == round(Fraction(float(value)) * 1024)
    for found, value in zip(head.bias, bias, strict=True):
        assert int(found) == round(Fraction(float(value)) * 1024 * 127)


def test_halves_go_to_even() -> None:
    weight = np.array([[0.5, 1.5, 2.5, -0.5, -1.5]] * 2, np.float32)
    assert Head.from_linear(weight, np.zeros(2, np.float32), 1).weights[0].tolist() == [
        0, 2, 2, 0, -2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("weight", "bias", "good"),
    [
        (32767 / 1024, 0, True),
        (-32, 0, True),
        (32768 / 1024, 0, False),
        (-32769 / 1024, 0, False),
        (0, 16000, True),
        (0, 17000, False),
        (0, -17000, False),
    ],
)
def test_what_does_not_fit_is_refused(weight: float, bias: float, good: bool) -> None:
    weights = np.full((2, 1), weight, np.float32)
    biases = np.full(2, bias, np.float32)
    if good:
        Head.from_linear(weights, biases, 1024)
        return
    with pytest.raises(ConfigurationError, match=r"model\.head_scale 1024: lower"):
        Head.from_linear(weights, biases, 1024)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_head_that_is_not_finite_is_refused(value: float) -> None:
    good = np.zeros((2, 1), np.float32)
    with pytest.raises(RoundError, match="learning_rate"):
        Head.from_linear(np.full((2, 1), value, np.float32), np.zeros(2, np.float32), 1)
    with pytest.raises(RoundError, match="learning_rate"):
        Head.from_linear(good, np.full(2, value, np.float32), 1)


@pytest.mark.parametrize(
    ("weights", "bias"),
    [
        (np.zeros((1, 1), np.int16), np.zeros(1, np.int32)),
        (np.zeros((2, 0), np.int16), np.zeros(2, np.int32)),
        (np.zeros((2, 1), np.int32), np.zeros(2, np.int32)),
        (np.zeros((2, 1), np.int16), np.zeros(3, np.int32)),
        (np.zeros(2, np.int16), np.zeros(2, np.int32)),
    ],
)
def test_other_shapes_are_no_head(weights: np.ndarray, bias: np.ndarray) -> None:
    with pytest.raises(ConfigurationError, match="a head of"):
        Head(weights, bias)


def test_wrong_features_are_refused() -> None:
    head = Head(np.zeros((2, 3), np.int16), np.zeros(2, np.int32))
    for features in (np.zeros((1, 4), np.int8), np.zeros((1, 3), np.int16), np.zeros(3, np.int8)):
        with pytest.raises(ConfigurationError, match=r"int8\[n, 3\]"):
            head.scores(features)


@given(hnp.arrays(np.float32, (3, 2), elements=st.floats(-1, 1, width=32)))
def test_features_are_the_nearest_of_127(encoding: np.ndarray) -> None:
    features = heads.features_of(encoding)
    assert np.abs(features.astype(int)).max() <= 127
    assert np.abs(features / 127 - encoding).max() <= 0.5 / 127 + 1e-9


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_integer_scores_stand_for_the_logits(seed: int) -> None:
    """Within the rounding of features (1/254), weights and bias (1/2048)."""
    features = (Feature(name="a", kind="numeric", low=-1, high=1),)
    task = Task(label="y", classes=("a", "b"), features=features)
    model = Model(hidden=(8,), seed=seed, head_scale=1024)
    config = FederationConfig(name="x", task=task, model=model)
    module = encoder.build(config)
    x = np.random.default_rng(seed).uniform(-1, 1, (20, 2)).astype(np.float32)
    encoding = encoder.encode(module, x)
    state = encoder.state_of(module)
    head = heads.head_of(state, config)
    assert head == heads.head_of_module(module, 1024)
    logits = encoding @ state["head.weight"].T + state["head.bias"]
    found = head.scores(heads.features(module, x)) / (127 * 1024)
    bound = np.abs(state["head.weight"]).sum(axis=1).max() / 254 + 8 / 2048 + 1e-5
    assert np.abs(found - logits).max() <= bound


def test_a_state_without_a_head_is_refused() -> None:
    task = Task(label="y", classes=("a", "b"), dataset="a:b")
    with pytest.raises(ConfigurationError, match="head"):
        heads.head_of({}, FederationConfig(name="x", task=task))
