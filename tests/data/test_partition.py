"""Splits hold each row once, keep the classes' shares, and repeat by seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.data.partition import dirichlet_partition, stratified_split
from ddcai.errors import ConfigurationError

_labels = st.lists(st.integers(0, 3), max_size=60).map(lambda y: np.array(y, np.int64))
_seeds = st.integers(0, 2**32)


@given(_labels, st.floats(0.01, 0.99), _seeds)
def test_a_split_holds_each_row_once_and_keeps_shares(
    y: np.ndarray, share: float, seed: int
) -> None:
    train, test = stratified_split(y, test_share=share, seed=seed)
    assert sorted([*train, *test]) == list(range(len(y)))
    assert train.tolist() == sorted(train)
    for label in np.unique(y):
        count, tested = int((y == label).sum()), int((y[test] == label).sum())
        assert abs(tested - share * count) <= 1
        if count >= 2:
            assert 1 <= tested <= count - 1


@given(_labels, st.integers(1, 6), st.floats(0.05, 100), _seeds)
def test_a_partition_holds_each_row_once(
    y: np.ndarray, sites: int, alpha: float, seed: int
) -> None:
    parts = dirichlet_partition(y, sites=sites, alpha=alpha, seed=seed)
    assert len(parts) == sites
    assert sorted(row for part in parts for row in part) == list(range(len(y)))


def test_seeds_repeat_and_differ() -> None:
    y = np.arange(100) % 2
    first = stratified_split(y, test_share=0.3, seed=1)[1].tolist()
    assert first == stratified_split(y, test_share=0.3, seed=1)[1].tolist()
    assert first != stratified_split(y, test_share=0.3, seed=2)[1].tolist()


def test_a_large_alpha_gives_like_sites_and_a_small_one_unlike() -> None:
    y = np.arange(4000) % 2

    def spread(alpha: float) -> float:
        parts = dirichlet_partition(y, sites=4, alpha=alpha, seed=0)
        return float(np.std([(y[part] == 0).sum() for part in parts]))

    assert spread(1e4) < 20 < 200 < spread(0.1)


@pytest.mark.parametrize("share", [0, 1, -1, float("nan")])
def test_shares_out_of_range(share: float) -> None:
    with pytest.raises(ConfigurationError, match="test_share"):
        stratified_split(np.zeros(3, np.int64), test_share=share, seed=0)


@pytest.mark.parametrize(("sites", "alpha"), [(0, 1.0), (2, 0.0), (2, float("nan"))])
def test_partitions_that_cannot_be(sites: int, alpha: float) -> None:
    with pytest.raises(ConfigurationError, match="alpha"):
        dirichlet_partition(np.zeros(3, np.int64), sites=sites, alpha=alpha, seed=0)
