"""What all twins share with their contracts: byte forms, loading, and what both refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError, MalformedError
from ddcai.models.heads import TWINS, Classifier
from tests.models.heads.evm import Reverted
from tests.models.heads.support import fresh, load

KINDS = sorted(TWINS)
SHAPES = [(5, 2), (16, 3), (9, 9)]


def _parameter(kind: str) -> int:
    return min(3, TWINS[kind].max_parameter)


def _words(kind: str, features: int, classes: int) -> list[int]:
    """The smallest model of a kind: zeros, but one example a class where examples are counted."""
    twin = TWINS[kind]
    words = [0] * twin._count_words(features, classes)
    if twin.max_parameter == 0 or kind == "NaiveBayes":
        for class_ in range(classes):
            words[class_ // 8] |= 1 << (32 * (class_ % 8))
    return words


def _twin(kind: str, features: int, classes: int) -> Classifier:
    words = _words(kind, features, classes)
    return TWINS[kind].from_words(words, features, classes, _parameter(kind))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SHAPES), st.binary(max_size=20), st.integers(0, 10))
def test_both_refuse_the_same_features_and_classes(
    kind: str, shape: tuple[int, int], data: bytes, class_: int
) -> None:
    twin = _twin(kind, *shape)
    if not twin.dense:  # mostly indices within the limit
        data = bytes(b % (shape[0] + 1) if i % 2 else 0 for i, b in enumerate(data))
    elif len(data) > 3:
        data = (data * 2)[: shape[0] + len(data) % 2]
    with fresh(kind, *shape, _parameter(kind)) as contract:
        load(contract, twin.to_words())
        try:
            row = twin.row_of(data)
        except MalformedError:
            for call in (("predict", data), ("update", data, 0)):
                with pytest.raises(Reverted, match="WrongFeature"):
                    contract(*call)
            return
        assert twin.row_bytes(row) == data
        assert contract("predict", data)[0] == twin.predict([row])[0]
        if class_ < shape[1]:
            assert contract("update", data, class_) == twin.update(row, class_)
        else:
            with pytest.raises(Reverted) as refused:
                contract("update", data, class_)
            assert (refused.value.name, refused.value.values) == (
                "UnknownClass",
                (class_, shape[1]),
            )
            with pytest.raises(ConfigurationError, match=f"class is {class_}"):
                twin.update(row, class_)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(SHAPES))
def test_both_refuse_the_same_words(kind: str, data: st.DataObject, shape: tuple[int, int]) -> None:
    """One lane of a good model replaced by a number near a bound, in padding too."""
    words = _words(kind, *shape)
    place = data.draw(st.integers(0, len(words) - 1))
    width = data.draw(st.sampled_from([16, 32]))
    lane = data.draw(st.integers(0, 256 // width - 1))
    bounds = [0, 1, 2, 128, 129, 2**15, 2**16 - 1, 2**24 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
    number = data.draw(st.sampled_from(bounds)) % 2**width
    mask = (2**width - 1) << (width * lane)
    words[place] = words[place] & ~mask | number << (width * lane)
    with fresh(kind, *shape, _parameter(kind)) as contract:
        try:
            twin = TWINS[kind].from_words(words, *shape, _parameter(kind))
        except MalformedError:
            with pytest.raises(Reverted) as refused:
                contract("load", 0, words)
            assert refused.value.name == "WrongWord"
            assert contract("loadedCount") == 0
            return
        assert twin.to_words() == words
        assert load(contract, words) == twin.digest()


@pytest.mark.parametrize("kind", KINDS)
def test_any_chunks_give_the_same_digest(kind: str) -> None:
    twin = _twin(kind, 40, 9)
    for chunk in (1, 2, 7, twin.word_count):
        with fresh(kind, 40, 9, twin.parameter) as contract:
            assert load(contract, twin.to_words(), chunk) == twin.digest()
            assert list(contract("words", 1, 2)) == twin.to_words()[1:3]


@pytest.mark.parametrize("kind", KINDS)
def test_loading_has_an_order_and_an_end(kind: str) -> None:
    words = _words(kind, 40, 9)
    row = bytes(40) if TWINS[kind].dense else b"\0\1"

    def refused(*call: Any) -> tuple[Any, ...]:
        with pytest.raises(Reverted) as caught:
            contract(*call)
        return caught.value.name, *caught.value.values

    with fresh(kind, 40, 9, _parameter(kind)) as contract:
        assert contract("kind") == kind
        assert contract("release") == 0
        assert refused("predict", row) == ("WrongLoadState", False)
        assert refused("update", row, 0) == ("WrongLoadState", False)
        assert refused("load", 1, words[1:]) == ("WrongChunk", 1, 0)
        contract("load", 0, words[:2])
        assert refused("load", 0, words[:2]) == ("WrongChunk", 0, 2)
        assert refused("load", 3, words[3:]) == ("WrongChunk", 3, 2)
        assert refused("load", 2, [*words[2:], 0]) == ("WrongChunk", 2, 2)
        assert refused("seal") == ("Incomplete", 2, len(words))
        assert contract("loadedCount") == 2
        contract("load", 2, words[2:])
        contract("seal")
        assert refused("seal") == ("WrongLoadState", True)
        assert refused("load", len(words), []) == ("WrongLoadState", True)
        assert refused("words", 0, len(words) + 1)[0] == "WrongChunk"


@pytest.mark.parametrize("kind", KINDS)
def test_both_refuse_the_same_shapes(kind: str) -> None:
    twin = TWINS[kind]
    parameter = _parameter(kind)
    shapes = [
        (0, 2, parameter),
        (1, 1, parameter),
        (1, 257, parameter),
        (twin.max_features + 1, 2, parameter),
        (1, 2, twin.max_parameter + 1),
        (twin.max_features, 256, parameter),
    ]
    if twin.max_parameter:
        shapes.append((1, 2, 0))
    for shape in shapes:
        if not twin.max_parameter and shape[2]:
            continue
        fits = 1 <= shape[0] <= twin.max_features and twin._count_words(*shape[:2]) <= 2**16
        if fits and 2 <= shape[1] <= 256 and shape[2] == parameter:
            continue
        with pytest.raises(ConfigurationError, match=f"a {kind} of {shape[0]} features"):
            twin.from_words([], *shape)
        with pytest.raises(Reverted, match="WrongShape"), fresh(kind, *shape):
            pass


@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_words_of_another_form_are_refused(kind: str) -> None:
    twin = _twin(kind, 5, 2)
    bad: list[Any] = (
        [np.zeros(4, np.int8), np.zeros(5), np.zeros((1, 5), np.int8)]
        if twin.dense
        else [np.array([5]), np.array([-1]), np.array([1, 1]), np.array([2, 1]), np.array([0.5])]
    )
    for row in bad:
        with pytest.raises(ConfigurationError, match="feature"):
            twin.row_bytes(row)
    for words in (twin.to_words()[1:], [*twin.to_words(), 0]):
        with pytest.raises(MalformedError, match="words, not the"):
            type(twin).from_words(words, 5, 2, twin.parameter)
    with pytest.raises(MalformedError, match="256-bit"):
        type(twin).from_words([-1, *twin.to_words()[1:]], 5, 2, twin.parameter)
