"""NaiveBayes: the twin and the contract, on 1,000 models with counts near their bounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.models.heads import NaiveBayes
from tests.models.heads.support import assert_agree, near, sparse_row, steps, table

# Nine classes, in two words, are dear to ask: one case in six.
SHAPES = [(1, 2), (4, 2), (7, 3), (9, 2), (16, 2), (2, 9)]
MOST = 2**31 - 1


@st.composite
def cases(draw: st.DrawFn) -> tuple[NaiveBayes, Any]:
    features, classes = draw(st.sampled_from(SHAPES))
    examples = draw(table(1, classes, 1, MOST))[0]
    counts = draw(table(classes, features, 0, MOST))
    smoothing = draw(st.one_of(st.just(256), near(1, 2**16 - 1)))
    return NaiveBayes(examples, counts, smoothing), draw(steps(sparse_row(features), classes))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(cases())
def test_twin_and_contract_agree(case: tuple[NaiveBayes, Any]) -> None:
    assert_agree(*case)


def test_a_class_with_2_to_the_31_examples_learns_no_more() -> None:
    twin = NaiveBayes(np.array([MOST, 5]), np.array([[MOST, 3], [0, 1]]), 256)
    row = np.array([0])
    assert_agree(twin, [(row, 0)] * 3)
    assert twin.examples.tolist() == [2**31, 5]
    assert twin.counts.tolist() == [[2**31, 3], [0, 1]]


def test_a_long_row_underflows_nowhere() -> None:
    """The product of these probabilities is below 2^-6000, the smallest double 2^-1074."""
    features = 300
    counts = np.zeros((2, features), np.int64)
    counts[1, 0] = 2**31 - 1
    twin = NaiveBayes(np.array([1, MOST]), counts, 1)
    row = np.arange(1, features)
    scores = twin.scores([row])[0]
    assert scores[1] < -6000 * 2**40
    assert_agree(twin, [(row, 1)])


@settings(max_examples=200, deadline=None)
@given(cases())
def test_scores_are_the_logarithms_of_the_probabilities(case: tuple[NaiveBayes, Any]) -> None:
    """Within n + 3 units of 2^-40, and what double precision leaves open."""
    twin, taught = case
    smooth = twin.parameter / 256
    totals = twin.counts.sum(axis=1) + smooth * twin.feature_limit
    for row, _ in taught:
        exact = [
            math.log2(twin.examples[c])
            + sum(math.log2(256 * (count + smooth)) for count in twin.counts[c, row].tolist())
            - len(row) * math.log2(256 * totals[c])
            for c in range(twin.class_limit)
        ]
        found = twin.scores([row])[0] / 2**40
        slack = (len(row) + 3) / 2**40 + 1e-12 * (1 + len(row))
        assert np.abs(found - exact).max() <= slack


def test_nothing_present_leaves_the_classes_shares() -> None:
    twin = NaiveBayes(np.array([1, 4]), np.zeros((2, 3), np.int64), 256)
    assert twin.scores([np.array([], np.int64)])[0].tolist() == [0, 2 << 40]


@pytest.mark.parametrize(
    ("examples", "counts", "says"),
    [
        ([0, 1], [[0], [0]], "1 to 2\\^31 - 1 examples"),
        ([2**31, 1], [[0], [0]], "1 to 2\\^31 - 1 examples"),
        ([1, 1], [[0], [-1]], "negative"),
        ([1, 1], [[0], [2**31]], "above 2\\^31 - 1"),
        ([1], [[0], [0]], r"\[classes, features\]"),
        ([1.0, 1.0], [[0], [0]], "float64"),
    ],
)
def test_numbers_that_the_contract_refuses_are_refused(
    examples: list[int], counts: list[list[int]], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        NaiveBayes(np.array(examples), np.array(counts), 256)
