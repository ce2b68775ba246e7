"""DensePerceptron: the twin and the contract, on 1,000 models near the ends of their types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.models.heads import DensePerceptron, Head
from tests.models.heads.support import assert_agree, dense_row, steps, table

# (features, classes): below, at and above a word of weights and of biases.
SHAPES = [(1, 2), (5, 3), (16, 2), (17, 2), (33, 2), (3, 9)]
INT16, INT32 = (-(2**15), 2**15 - 1), (-(2**31), 2**31 - 1)


def _model(weights: Any, bias: Any, rate: int) -> DensePerceptron:
    return DensePerceptron(
        Head(np.array(weights, np.int16), np.array(bias, np.int32)), learning_rate=rate
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[DensePerceptron, Any]:
    features, classes = draw(st.sampled_from(SHAPES))
    weights = draw(table(classes, features, *INT16))
    bias = draw(table(1, classes, *INT32))[0]
    rate = draw(st.one_of(st.sampled_from([1, 255]), st.integers(1, 255)))
    return _model(weights, bias, rate), draw(steps(dense_row(features), classes))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(cases())
def test_twin_and_contract_agree(case: tuple[DensePerceptron, Any]) -> None:
    assert_agree(*case)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_a_mistake_changes_something_and_a_correct_prediction_nothing(
    case: tuple[DensePerceptron, Any],
) -> None:
    twin, taught = case
    for row, class_ in taught:
        before = twin.to_words()
        predicted, changed = twin.update(row, class_ or 0)
        assert changed == (predicted != (class_ or 0)) == (twin.to_words() != before)


@pytest.mark.parametrize("sign", [-1, 1])
def test_weights_and_biases_stop_at_the_ends_of_their_types(sign: int) -> None:
    weights = np.array([[sign * 32_700] * 3, [-sign * 32_700] * 3])
    bias = np.array([2**31 - 2, -(2**31) + 2])
    twin = _model(weights, bias, 255)
    row = np.array([-128, 127, 0], np.int8)
    wrong = 1 - int(twin.predict(row[None])[0])
    assert_agree(twin, [(row, wrong)] * 2)
    head = twin.head
    assert {-(2**15), 2**15 - 1} <= set(head.weights.ravel().tolist())


@pytest.mark.parametrize("bias", [[2**31 - 1, 2**31 - 2], [-(2**31) + 1, -(2**31)]])
def test_biases_stop_at_the_ends_of_int32(bias: list[int]) -> None:
    """Class 0 is predicted; class 1 gains at the top, or class 0 loses at the bottom."""
    twin = _model([[0], [0]], bias, 255)
    assert_agree(twin, [(np.zeros(1, np.int8), 1)])
    step = 255 * 127**2
    top = bias[0] > 0
    expected = [bias[0] - step, 2**31 - 1] if top else [-(2**31), bias[1] + step]
    assert twin.head.bias.tolist() == expected


def test_the_largest_score_is_exact() -> None:
    twin = _model(np.full((2, 4096), -(2**15)), [2**31 - 1, -(2**31)], 1)
    row = np.full(4096, -128, np.int8)
    assert twin.scores(row[None])[0].tolist() == [
        4096 * 2**22 + 2**31 - 1,
        4096 * 2**22 - 2**31,
    ]
    assert_agree(twin, [(row, 1)])


def test_learning_is_the_perceptron_rule_where_nothing_saturates() -> None:
    """Against the rule in floating point, in units of real weights."""
    generator = np.random.default_rng(5)
    twin = _model(np.zeros((3, 6)), np.zeros(3), 2)
    weights, bias = np.zeros((3, 6)), np.zeros(3)
    for _ in range(200):
        row = generator.integers(-127, 128, 6).astype(np.int8)
        x, label = row / 127, int(generator.integers(3))
        chosen = int(np.argmax(weights @ x + bias))
        assert chosen == twin.predict(row[None])[0]
        twin.update(row, label)
        if chosen != label:
            weights[label] += x
            weights[chosen] -= x
            bias[label] += 1
            bias[chosen] -= 1
    # Real weights in units of rate * 127, biases in units of rate * 127^2.
    np.testing.assert_allclose(twin.head.weights / (2 * 127), weights, atol=1e-9)
    np.testing.assert_allclose(twin.head.bias / (2 * 127**2), bias, atol=1e-9)


@pytest.mark.parametrize("rate", [0, 256])
def test_a_learning_rate_out_of_range_is_refused(rate: int) -> None:
    with pytest.raises(ConfigurationError, match=f"parameter {rate}: .* 1 to 255"):
        _model([[1], [2]], [0, 0], rate)
