"""SparsePerceptron: the twin and the contract, on 1,000 models near the ends of int16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.models.heads import SparsePerceptron
from tests.models.heads.support import assert_agree, near, sparse_row, steps, table

# (features, classes): one row for two classes, rows that divide a word and rows that do not.
SHAPES = [(1, 2), (15, 2), (16, 2), (40, 2), (11, 3), (7, 4), (2, 17)]
INT16 = (-(2**15), 2**15 - 1)


def _model(weights: Any, bias: Any, rate: int) -> SparsePerceptron:
    return SparsePerceptron(np.array(weights, np.int16), np.array(bias, np.int16), rate)


@st.composite
def cases(draw: st.DrawFn) -> tuple[SparsePerceptron, Any]:
    features, classes = draw(st.sampled_from(SHAPES))
    rows = 1 if classes == 2 else classes
    weights = draw(table(rows, features, *INT16))
    bias = draw(table(1, rows, *INT16))[0]
    rate = draw(st.one_of(near(1, 2**15 - 1), st.integers(1, 20)))
    return _model(weights, bias, rate), draw(steps(sparse_row(features), classes))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(cases())
def test_twin_and_contract_agree(case: tuple[SparsePerceptron, Any]) -> None:
    assert_agree(*case)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_a_mistake_changes_something_and_a_correct_prediction_nothing(
    case: tuple[SparsePerceptron, Any],
) -> None:
    twin, taught = case
    for row, class_ in taught:
        before = twin.to_words()
        predicted, changed = twin.update(row, class_ or 0)
        assert changed == (predicted != (class_ or 0)) == (twin.to_words() != before)


@pytest.mark.parametrize(("class_", "end"), [(1, 2**15 - 1), (0, -(2**15))])
def test_weights_stop_at_the_ends_of_int16(class_: int, end: int) -> None:
    sign = 1 if class_ else -1
    twin = _model([[sign * 32_760, -sign * 32_766]], [-sign * 32_766], 2**15 - 1)
    row = np.array([0, 1])
    assert twin.predict([row])[0] == 1 - class_
    assert_agree(twin, [(row, class_)])
    assert twin.weights[0, 0] == end


def test_a_word_is_shared_by_neighbours_and_the_bias() -> None:
    """Five rows of sixteen weights a word: an example's weights straddle words."""
    twin = _model(np.arange(35).reshape(5, 7), [5, 4, 3, 2, 1], 7)
    rows = [np.arange(7), np.array([0, 3]), np.array([], np.int64)]
    assert_agree(twin, [(row, class_) for row in rows for class_ in (0, 4)])


def test_the_largest_shape_answers_for_its_last_feature() -> None:
    twin = _model(np.full((1, 2**16), -(2**15)), [-(2**15)], 1)
    assert twin.scores([np.arange(2**16)])[0].tolist() == [0, -(2**31) - 2**15]
    assert twin.row_bytes(np.array([2**16 - 1])) == b"\xff\xff"


@pytest.mark.parametrize("classes", [2, 4])
def test_learning_is_the_perceptron_rule_where_nothing_saturates(classes: int) -> None:
    """Against the rule in floating point; for two classes on the difference of two rows."""
    generator = np.random.default_rng(6)
    rows, rate = 1 if classes == 2 else classes, 3
    twin = _model(np.zeros((rows, 12)), np.zeros(rows), rate)
    # The row of class 0 stays zero where two classes share one.
    weights, bias = np.zeros((classes, 12)), np.zeros(classes)
    for _ in range(300):
        row = np.flatnonzero(generator.integers(0, 2, 12))
        label = int(generator.integers(classes))
        chosen = int(np.argmax(weights[:, row].sum(axis=1) + bias))
        assert chosen == twin.predict([row])[0]
        twin.update(row, label)
        if chosen == label:
            continue
        for class_, step in ((label, 1), (chosen, -1)):
            if classes > 2 or class_ == 1:
                weights[class_, row] += step
                bias[class_] += step
    first = 0 if classes > 2 else 1
    np.testing.assert_array_equal(twin.weights, rate * weights[first:])
    np.testing.assert_array_equal(twin.bias, rate * bias[first:])


@pytest.mark.parametrize(
    ("weights", "bias"),
    [
        (np.zeros((2, 3), np.int16), np.zeros(2, np.int16)),
        (np.zeros((1, 3), np.int32), np.zeros(1, np.int16)),
        (np.zeros((1, 3), np.int16), np.zeros(2, np.int16)),
        (np.zeros(3, np.int16), np.zeros(1, np.int16)),
    ],
)
def test_arrays_of_another_form_are_refused(weights: Any, bias: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"int16\[rows, features\]"):
        SparsePerceptron(weights, bias, 1)


@pytest.mark.parametrize("rate", [0, 2**15])
def test_a_learning_rate_out_of_range_is_refused(rate: int) -> None:
    with pytest.raises(ConfigurationError, match=f"parameter {rate}"):
        _model([[1]], [0], rate)
