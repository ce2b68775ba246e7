"""NearestCentroid: the twin and the contract, on 1,000 models with sums near their bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.models.heads import NearestCentroid
from tests.models.heads.support import assert_agree, dense_row, steps, table

SHAPES = [(1, 2), (5, 3), (8, 2), (9, 2), (2, 9)]
MOST = 2**24 - 1


@st.composite
def cases(draw: st.DrawFn) -> tuple[NearestCentroid, Any]:
    """Sums drawn as parts of what they may be, since that depends on the examples."""
    features, classes = draw(st.sampled_from(SHAPES))
    examples = draw(table(1, classes, 1, MOST))[0]
    parts = draw(table(classes, features, -(2**20), 2**20))
    sums = (parts * (128 * examples[:, None])) >> 20
    return NearestCentroid(examples, sums), draw(steps(dense_row(features), classes))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(cases())
def test_twin_and_contract_agree(case: tuple[NearestCentroid, Any]) -> None:
    assert_agree(*case)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_class_with_the_most_examples_learns_no_more(sign: int) -> None:
    twin = NearestCentroid(
        np.array([MOST - 1, 1]), np.array([[sign * 127 * (MOST - 1)] * 3, [0, 1, 2]])
    )
    row = np.full(3, sign * 127, np.int8)
    assert_agree(twin, [(row, 0)] * 3)
    assert twin.examples.tolist() == [MOST, 1]
    assert twin.sums[0].tolist() == [sign * 127 * MOST] * 3


def test_the_largest_squares_and_scores() -> None:
    """4,096 features, every one -128 every time."""
    sums = np.full((2, 4096), -128 * MOST)
    sums[1] = 0
    twin = NearestCentroid(np.array([MOST, MOST]), sums)
    row = np.full(4096, -128, np.int8)
    assert twin.scores(row[None])[0].tolist() == [4096 * 2**14 * 2**16, 0]
    assert_agree(twin, [(row, 1)])


def test_scores_are_cut_towards_zero() -> None:
    """-1 / 9 in units of 2^-16 is -7281.7..."""
    twin = NearestCentroid(np.array([3, 1]), np.array([[1], [1]]))
    row = np.zeros(1, np.int8)
    assert twin.scores(row[None])[0].tolist() == [-7281, -65536]
    assert_agree(twin, [(row, 0)])


@settings(max_examples=200, deadline=None)
@given(cases())
def test_a_higher_score_is_a_nearer_mean(case: tuple[NearestCentroid, Any]) -> None:
    twin, taught = case
    means = twin.sums / twin.examples[:, None]
    for row, _ in taught:
        x = row.astype(np.float64)
        distances = ((x - means) ** 2).sum(axis=1)
        found = (x @ x) - twin.scores(row[None])[0] / 2**16
        np.testing.assert_allclose(found, distances, rtol=1e-9, atol=2**-15)


@pytest.mark.parametrize(
    ("examples", "sums", "says"),
    [
        ([0, 1], [[0], [0]], "1 to 2\\^24 - 1 examples"),
        ([2**24, 1], [[0], [0]], "1 to 2\\^24 - 1 examples"),
        ([1, 1], [[129], [0]], "128 times"),
        ([1, 1], [[-129], [0]], "128 times"),
        ([1, 1], [[0.5], [0]], "float64"),
        ([1, 1, 1], [[0], [0]], r"\[classes, features\]"),
    ],
)
def test_numbers_that_the_contract_refuses_are_refused(
    examples: list[int], sums: list[list[int]], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        NearestCentroid(np.array(examples), np.array(sums))
