"""The noise: its distribution against independent computations, its ends, its randomness."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from scipy import stats

from ddcai.errors import ConfigurationError
from ddcai.privacy import skellam
from ddcai.privacy.skellam import MAX_VARIANCE, TAIL_BITS, sample, tail


def seeded(seed: int) -> Callable[[int], bytes]:
    return np.random.default_rng(seed).bytes


@pytest.mark.parametrize("variance", [1, 7, 300])
def test_the_table_is_the_distribution_to_two_hundred_bits(variance: int) -> None:
    """Against mpmath's Bessel function at 100 digits."""
    bounds, _ = skellam._table(variance)
    with mpmath.workdps(100):
        scale = mpmath.exp(-variance)
        reached = scale * mpmath.besseli(0, variance)
        for m, bound in enumerate(bounds[:12]):
            assert abs(mpmath.mpf(bound) / 2**256 - reached) < mpmath.mpf(2) ** -TAIL_BITS
            reached += 2 * scale * mpmath.besseli(m + 1, variance)
    assert bounds == sorted(bounds)
    assert len(bounds) == tail(variance)


@pytest.mark.parametrize("variance", [1, 7, 300, 2000])
def test_beyond_the_tail_is_less_than_two_to_the_minus_two_hundred(variance: int) -> None:
    """By mpmath's Bessel function; and the end is no idle one: at four fifths of it is more."""
    end, most = tail(variance), mpmath.mpf(2) ** -TAIL_BITS
    with mpmath.workdps(100):

        def chance(k: int) -> mpmath.mpf:
            return mpmath.exp(-variance) * mpmath.besseli(k, variance)

        assert chance(end + 2) < 0.9 * chance(end + 1)  # so that all beyond is below 10 times it
        assert 10 * chance(end + 1) < most < chance(end * 4 // 5)


@pytest.mark.parametrize("variance", [2, 50])
def test_draws_follow_the_distribution(variance: int) -> None:
    """Chi-square against scipy's probabilities, and the same test refuses a twentieth more."""
    draws = sample(variance, 200_000, seeded(variance))
    edge = round(2.5 * math.sqrt(variance))
    inner = np.arange(-edge, edge + 1)
    observed = [(draws == k).sum() for k in inner]
    observed += [(draws < -edge).sum(), (draws > edge).sum()]

    def p_value(v: float) -> float:
        law = stats.skellam(v / 2, v / 2)
        chances = [*law.pmf(inner), law.cdf(-edge - 1), law.sf(edge)]
        return float(stats.chisquare(observed, 200_000 * np.array(chances) / sum(chances)).pvalue)

    assert p_value(variance) > 1e-4
    assert p_value(1.05 * variance) < 1e-9


def test_sums_of_noise_are_noise_of_the_summed_variance() -> None:
    total = sum(sample(20, 100_000, seeded(seed)) for seed in range(5))
    law = stats.skellam(50, 50)
    edges = np.arange(-30, 31, 5)
    observed, _ = np.histogram(total, [-1000, *edges, 1000])
    cumulative = [0, *law.cdf(edges - 1), 1]
    assert stats.chisquare(observed, 100_000 * np.diff(cumulative)).pvalue > 1e-4


def test_draws_come_from_the_operating_system_and_never_twice() -> None:
    assert (sample(10**4, 1000) != sample(10**4, 1000)).any()
    repeated = [sample(10**4, 1000, seeded(3)) for _ in range(2)]
    assert (repeated[0] == repeated[1]).all()


def test_a_first_word_that_does_not_tell_is_drawn_further() -> None:
    """On both sides of the bound that shares its first word."""
    bounds, heads = skellam._table(50)
    place = 3
    bound = bounds[place]
    assert bounds[place - 1] >> 192 != heads[place] != bounds[place + 1] >> 192
    for number, magnitude in ((bound - 1, place), (bound, place + 1)):
        head = (number >> 192).to_bytes(8, "little")
        rest = (number & (2**192 - 1)).to_bytes(24, "little")
        parts = itertools.chain([head, rest, b"\0"])
        assert sample(50, 1, lambda size, parts=parts: next(parts)).tolist() == [magnitude]


def test_the_ends_of_the_range() -> None:
    def constant(byte: bytes) -> Callable[[int], bytes]:
        return lambda size: byte * size

    assert sample(50, 4, constant(b"\0")).tolist() == [0] * 4
    assert sample(50, 4, constant(b"\xff")).tolist() == [-tail(50)] * 4
    assert sample(1, 0).size == 0
    for variance in (0, MAX_VARIANCE + 1):
        with pytest.raises(ConfigurationError, match=f"variance is {variance}"):
            sample(variance, 1)
