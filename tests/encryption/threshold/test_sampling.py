"""What is drawn: equal to plain integers, and distributed as it should be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.threshold import sampling

from . import oracle

PRIMES = PARAMETER_SETS["bfv-8192-3x20"].primes
MANY = 200_000
# Degrees of freedom plus six standard deviations of a chi-square: 1 in 10**6 at the most.
SIGMAS = 6.0


def chi_square_is_plausible(counts: np.ndarray, expected: np.ndarray) -> bool:
    statistic = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    return abs(statistic - freedom) < SIGMAS * math.sqrt(2 * freedom) + 6


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=40), st.integers(1, 300))
def test_polynomials_are_those_of_plain_integers(seed: bytes, degree: int) -> None:
    expand = sampling.expander("test", seed)
    n = degree
    assert sampling.ternary(expand, n).tolist() == oracle.ternary(
        oracle.stream(b"test", seed, size=2 * n + 50), n
    )
    assert sampling.centred_binomial(expand, n).tolist() == oracle.binomial(
        oracle.stream(b"test", seed, size=8 * n)
    )
    for prime in PRIMES:
        width = prime.bit_length()
        words = oracle.words_of(oracle.stream(b"test", seed, size=8 * (n + 50)))
        below = [word % 2**width for word in words if word % 2**width < prime]
        assert sampling.uniform(expand, prime, n).tolist() == below[:n]


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=40), st.integers(1, 95), st.integers(1, 60))
def test_smudging_is_that_of_plain_integers(seed: bytes, bits: int, degree: int) -> None:
    found = sampling.smudging(sampling.expander("test", seed), bits, PRIMES, degree)
    noise = oracle.smudging(oracle.stream(b"test", seed, size=12 * degree), bits, degree)
    assert all(-(2**bits) <= one < 2**bits for one in noise)
    for row, prime in zip(found, PRIMES, strict=True):
        assert row.tolist() == [one % prime for one in noise]


def test_smudging_beyond_what_is_drawn() -> None:
    for bits in (0, 96):
        with pytest.raises(ValueError, match="from 1 to 95"):
            sampling.smudging(sampling.expander("test"), bits, PRIMES, 8)


def test_parts_have_their_own_place() -> None:
    streams = [
        sampling.expander("one", b"ab", b"c"),
        sampling.expander("one", b"a", b"bc"),
        sampling.expander("one", b"abc"),
        sampling.expander("one", b"ab", b"c", b""),
        sampling.expander("two", b"ab", b"c"),
    ]
    assert len({expand(32) for expand in streams}) == len(streams)


def test_more_is_drawn_where_much_is_passed_over() -> None:
    """Streams whose start is refused, as no honest one is."""
    refused = 40_000
    assert (
        sampling.ternary(lambda size: (b"\xff" * refused + b"\x00" * size)[:size], 5).tolist()
        == [-1] * 5
    )
    words = sampling.uniform(lambda size: (b"\xff" * refused + b"\x01" * size)[:size], PRIMES[0], 5)
    assert words.tolist() == [0x010101010101] * 5


def test_ternary_is_uniform() -> None:
    drawn = sampling.ternary(sampling.expander("test", b"ternary"), MANY)
    counts = np.bincount(drawn + 1, minlength=3)
    assert chi_square_is_plausible(counts, np.full(3, MANY / 3))
    pairs = np.bincount((drawn[:-1] + 1) * 3 + drawn[1:] + 1, minlength=9)
    assert chi_square_is_plausible(pairs, np.full(9, (MANY - 1) / 9))
    biased = np.where(np.arange(MANY) % 50 == 0, 1, drawn)
    assert not chi_square_is_plausible(np.bincount(biased + 1), np.full(3, MANY / 3))


def test_errors_are_binomial_with_the_variance_of_seal() -> None:
    drawn = sampling.centred_binomial(sampling.expander("test", b"error"), MANY)
    expected = np.array([math.comb(42, k) / 2**42 for k in range(43)]) * MANY
    counts = np.bincount(drawn + 21, minlength=43).astype(float)
    well = expected > 20
    assert chi_square_is_plausible(counts[well], expected[well])
    assert abs(drawn.var() - 10.5) < SIGMAS * 10.5 * math.sqrt(2 / MANY)
    assert not chi_square_is_plausible(
        np.bincount((drawn * 21 // 20) + 22, minlength=45)[1:44][well], expected[well]
    )


@pytest.mark.parametrize("bits", [20, 63, 64, 80])
def test_smudging_is_uniform_and_fresh_for_each_stream(bits: int) -> None:
    rows = [
        np.array(
            [
                oracle.centred(one, math.prod(PRIMES[:3])) / 2**bits
                for one in oracle.crt(
                    sampling.smudging(sampling.expander("test", seed), bits, PRIMES[:3], 20_000),
                    PRIMES[:3],
                )
            ]
        )
        for seed in (b"1", b"2")
    ]
    for row in rows:
        counts, _ = np.histogram(row, 64, (-1, 1))
        assert chi_square_is_plausible(counts, np.full(64, row.size / 64))
    assert abs(np.corrcoef(*rows)[0, 1]) < SIGMAS / math.sqrt(20_000)
