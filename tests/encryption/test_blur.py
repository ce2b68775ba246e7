"""Noise that follows from a seed: normal, and the same again."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ddcai.encryption.blur import gaussian


def test_it_is_normal_and_follows_from_the_seed() -> None:
    wide = np.full(20_000, 1e6)
    drawn = gaussian(b"s" * 32, wide)
    assert drawn.dtype == np.int64
    assert (drawn == gaussian(b"s" * 32, wide)).all()
    assert abs(np.corrcoef(drawn, gaussian(b"t" * 32, wide))[0, 1]) < 0.05
    assert stats.kstest(drawn / 1e6, "norm").pvalue > 0.01  # the seed is fixed, and so is this


def test_each_has_its_own_deviation() -> None:
    deviations = np.repeat([0.0, 3.0, 1e9], 5000)
    none, small, large = gaussian(b"u" * 32, deviations).reshape(3, 5000)
    assert not none.any()
    assert 2.9 < small.std() < 3.1
    assert 0.97e9 < large.std() < 1.03e9
    assert gaussian(b"u" * 32, np.zeros(0)).shape == (0,)
