"""SparseNearestCentroid: the twin and the contract, on 1,000 models near their bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.models.heads import SparseNearestCentroid
from tests.models.heads.support import assert_agree, sparse_row, steps, table

SHAPES = [(1, 2), (7, 3), (9, 2), (2, 9)]
MOST = 2**31 - 1


@st.composite
def cases(draw: st.DrawFn) -> tuple[SparseNearestCentroid, Any]:
    features, classes = draw(st.sampled_from(SHAPES))
    examples = draw(table(1, classes, 1, MOST))[0]
    parts = draw(table(classes, features, 0, 2**20))
    counts = (parts * examples[:, None]) >> 20
    return SparseNearestCentroid(examples, counts), draw(steps(sparse_row(features), classes))


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(cases())
def test_twin_and_contract_agree(case: tuple[SparseNearestCentroid, Any]) -> None:
    assert_agree(*case)


def test_a_class_with_2_to_the_31_examples_learns_no_more() -> None:
    twin = SparseNearestCentroid(np.array([MOST, 5]), np.array([[MOST, 3], [0, 1]]))
    row = np.array([0])
    assert_agree(twin, [(row, 0)] * 3)
    assert twin.examples.tolist() == [2**31, 5]
    assert twin.counts.tolist() == [[2**31, 3], [0, 1]]


@settings(max_examples=200, deadline=None)
@given(cases())
def test_a_higher_score_is_a_nearer_mean(case: tuple[SparseNearestCentroid, Any]) -> None:
    twin, taught = case
    means = twin.counts / twin.examples[:, None]
    for row, _ in taught:
        x = np.zeros(twin.feature_limit)
        x[row] = 1
        distances = ((x - means) ** 2).sum(axis=1)
        found = len(row) - twin.scores([row])[0] / 2**32
        np.testing.assert_allclose(found, distances, rtol=1e-9, atol=2**-31)


@pytest.mark.parametrize(
    ("counts", "says"),
    [([[2], [0]], "above its class's examples"), ([[-1], [0]], "negative")],
)
def test_counts_that_the_contract_refuses_are_refused(counts: list[list[int]], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        SparseNearestCentroid(np.array([1, 1]), np.array(counts))
