from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ddcai.configuration import Aggregation
from ddcai.errors import PlanError, RoundError
from ddcai.quantise import COUNT_DIGITS, Quantiser, apply

LIMITS = st.sampled_from([4095, 65535, 131071])


def aggregation(**changes: object) -> Aggregation:
    settled = {"clip_norm": 1e6, "value_range": 0.5, "clamped_share_limit": 1.0}
    return Aggregation(**(settled | changes))


@settings(deadline=None)
@given(LIMITS, st.integers(1, 6), st.integers(1, 300), st.integers(0, 2**32), st.booleans())
def test_the_decoded_sum_is_the_integer_aggregation(limit, contributors, size, seed, uniform):
    """Bit for bit: FedAvg over the same integers, in exact fractions, rounded once a step."""
    rng = np.random.default_rng(seed)
    weighting = "uniform" if uniform else "examples"
    config = aggregation(weighting=weighting)
    quantiser = Quantiser(config, limit)
    examples = rng.integers(1, 1500, contributors)
    encoded = [quantiser.encode(rng.normal(0, 0.2, size), int(count)) for count in examples]
    total = sum(each.values for each in encoded)
    counts = [1 if uniform else min(int(count), config.max_examples) for count in examples]
    assert quantiser.total_count(total, contributors) == sum(counts)
    top = 1 if uniform else config.max_examples
    factor = float(Fraction(config.value_range) * top / (limit * sum(counts)))
    expected = [
        float(sum(int(each.values[COUNT_DIGITS + i]) for each in encoded)) * factor
        for i in range(size)
    ]
    assert quantiser.decode(total, contributors).tolist() == expected


@settings(deadline=None)
@given(LIMITS, st.integers(1, 8), st.integers(0, 2**32))
def test_the_mean_is_within_a_step_of_float_fedavg(limit, contributors, seed):
    rng = np.random.default_rng(seed)
    quantiser = Quantiser(aggregation(), limit)
    examples = rng.integers(1, 1000, contributors, endpoint=True)
    deltas = rng.uniform(-0.5, 0.5, (contributors, 50))
    total = sum(
        quantiser.encode(delta, int(count)).values
        for delta, count in zip(deltas, examples, strict=True)
    )
    plain = (deltas * examples[:, None]).sum(axis=0) / examples.sum()
    # Each contributor's rounding is off by less than one integer.
    bound = contributors * 0.5 / limit * 1000 / examples.sum()
    assert np.abs(quantiser.decode(total, contributors) - plain).max() <= bound * (1 + 1e-9)


@settings(deadline=None)
@given(
    LIMITS,
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        st.integers(1, 40),
        elements=st.floats(-(2.0**99), 2.0**99, width=32),
    ),
    st.integers(1, 2**40),
    st.floats(1e-6, 1e6),
    st.floats(1e-6, 1e6),
)
def test_values_never_leave_their_limit(limit, delta, examples, clip_norm, value_range):
    config = aggregation(clip_norm=clip_norm, value_range=value_range)
    encoded = Quantiser(config, limit).encode(delta, examples)
    assert encoded.values.dtype == np.int64
    assert np.abs(encoded.values).max() <= limit
    assert (encoded.values[:COUNT_DIGITS] >= 0).all()
    assert 0 <= encoded.clamped_share <= 1
    assert encoded.norm == pytest.approx(math.hypot(*delta.tolist()), rel=1e-6)
    assert encoded.clipped == (encoded.norm > clip_norm)


def test_the_extremes_reach_the_limit_exactly():
    quantiser = Quantiser(aggregation(value_range=0.3), 4095)
    encoded = quantiser.encode(np.array([0.3, -0.3, 0.0, 9.0, -9.0]), 1000)
    assert encoded.values[COUNT_DIGITS:].tolist() == [4095, -4095, 0, 4095, -4095]
    assert encoded.clamped_share == 0.4


def test_whole_steps_are_never_changed():
    quantiser = Quantiser(aggregation(value_range=1.0), 4096)
    steps = np.arange(-4096, 4097)
    for _ in range(5):
        assert (quantiser.encode(steps / 4096, 1000).values[COUNT_DIGITS:] == steps).all()


class Lowest:
    """The smallest draw, which an ordinary generator gives once in 2**32."""

    def integers(self, low: int, high: int, size: int, dtype: type) -> np.ndarray:
        return np.full(size, low, dtype=dtype)


def test_whole_steps_are_not_changed_by_the_smallest_draw():
    quantiser = Quantiser(aggregation(value_range=1.0), 4096)
    steps = np.arange(-4096, 4097)
    values = quantiser.encode(steps / 4096, 1000, Lowest()).values[COUNT_DIGITS:]
    assert (values == steps).all()


def test_rounding_is_unbiased():
    quantiser = Quantiser(aggregation(value_range=1.0), 1000)
    for fraction in (0.1, 0.5, 0.75, -0.25):
        value = (7 + fraction) / 1000
        drawn = quantiser.encode(np.full(400_000, value), 1000).values[COUNT_DIGITS:]
        assert set(drawn.tolist()) == {math.floor(7 + fraction), math.floor(7 + fraction) + 1}
        # Six standard errors of the mean: once in 5e8.
        error = 6 * math.sqrt(abs(fraction) * (1 - abs(fraction)) / drawn.size)
        assert abs(drawn.mean() - (7 + fraction)) < error


def test_rounding_is_fresh_unless_a_generator_is_given():
    quantiser = Quantiser(aggregation(), 4095)
    delta = np.full(1000, 0.1234567)
    first, second = (quantiser.encode(delta, 1000).values for _ in range(2))
    assert (first != second).any()
    seeded = [quantiser.encode(delta, 1000, np.random.default_rng(5)).values for _ in range(2)]
    assert (seeded[0] == seeded[1]).all()


def test_clipping_scales_to_the_norm():
    quantiser = Quantiser(aggregation(clip_norm=0.5, value_range=1.0), 131071)
    encoded = quantiser.encode(np.array([3.0, 4.0]), 1000)
    assert encoded.norm == pytest.approx(5)
    assert encoded.clipped
    mean = quantiser.decode(encoded.values, 1)
    assert mean == pytest.approx([0.3, 0.4], abs=1e-5)
    assert not quantiser.encode(np.array([0.3, 0.4]), 1000).clipped


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite(bad):
    delta = np.zeros(10)
    delta[7] = bad
    with pytest.raises(RoundError, match=r"coordinate 7 .* training\.learning_rate"):
        Quantiser(aggregation(), 4095).encode(delta, 10)


@pytest.mark.parametrize(
    "delta", [np.zeros(0), np.zeros((2, 2)), np.zeros(3, dtype=np.int64), np.array("x")]
)
def test_deltas_of_another_kind(delta):
    with pytest.raises(RoundError, match="float"):
        Quantiser(aggregation(), 4095).encode(delta, 10)


@pytest.mark.parametrize("examples", [0, -1, 2.5, True, None, "7"])
def test_counts_that_are_none(examples):
    with pytest.raises(RoundError, match="num_examples"):
        Quantiser(aggregation(), 4095).encode(np.zeros(3), examples)


def test_too_many_clamped_coordinates_name_the_setting():
    quantiser = Quantiser(aggregation(clamped_share_limit=0.25), 4095)
    assert quantiser.encode(np.array([0.6, 0, 0, 0]), 5).clamped_share == 0.25
    with pytest.raises(RoundError, match=r"50\.00% .* aggregation\.value_range = 0\.5"):
        quantiser.encode(np.array([0.6, 0, 0, -0.6]), 5)


@pytest.mark.parametrize("count", [1, 4095, 4096, 2**24 - 2, 2**24 - 1, 2**24, 2**60])
def test_counts_travel_whole_up_to_the_cap(count):
    quantiser = Quantiser(aggregation(max_examples=2**24 - 1), 4095)
    encoded = quantiser.encode(np.zeros(3), count)
    assert encoded.values[:COUNT_DIGITS].max() <= 4095
    assert quantiser.total_count(encoded.values, 1) == min(count, 2**24 - 1)


def test_limits_in_which_counts_do_not_fit():
    with pytest.raises(PlanError, match=r"aggregation\.max_examples"):
        Quantiser(aggregation(max_examples=2**24 - 1), 4094)
    with pytest.raises(PlanError, match="fewer contributors"):
        Quantiser(aggregation(), 0)
    assert Quantiser(aggregation(weighting="uniform", max_examples=2**24 - 1), 1)


@pytest.mark.parametrize("count", [-5, 0, 2, 3001])
def test_sums_that_count_the_impossible(count):
    quantiser = Quantiser(aggregation(), 4095)
    total = np.zeros(5, dtype=np.int64)
    total[0] = count
    with pytest.raises(RoundError, match="forged"):
        quantiser.decode(total, 3)
    total[0] = 3000
    assert quantiser.decode(total, 3).shape == (3,)


def test_uniform_sums_count_each_contributor_once():
    quantiser = Quantiser(aggregation(weighting="uniform"), 4095)
    encoded = [quantiser.encode(np.array([0.5, -0.5]), count) for count in (1, 999)]
    total = encoded[0].values + encoded[1].values
    assert quantiser.decode(total, 2).tolist() == [0.5, -0.5]
    with pytest.raises(RoundError, match="forged"):
        quantiser.decode(total, 1)


@pytest.mark.parametrize(
    "total", [np.zeros(2, dtype=np.int64), np.zeros(5), np.zeros((2, 4), dtype=np.int64)]
)
def test_sums_of_another_shape(total):
    with pytest.raises(RoundError, match="int64"):
        Quantiser(aggregation(), 4095).decode(total, 1)
    with pytest.raises(RoundError, match="at least one"):
        Quantiser(aggregation(), 4095).decode(np.ones(4, dtype=np.int64), 0)


@given(
    hnp.arrays(np.float32, 8, elements=st.floats(-1e6, 1e6, width=32)),
    hnp.arrays(np.float64, 8, elements=st.floats(-1e3, 1e3)),
)
def test_applying_is_one_float64_addition(base, mean):
    expected = [np.float32(float(b) + float(m)) for b, m in zip(base, mean, strict=True)]
    assert apply(base, mean).tobytes() == np.array(expected, dtype=np.float32).tobytes()


def test_applying_what_does_not_fit():
    base = np.zeros(3, dtype=np.float32)
    with pytest.raises(RoundError, match="one model"):
        apply(base, np.zeros(4))
    with pytest.raises(RoundError, match="one model"):
        apply(base.astype(np.float64), np.zeros(3))
    with pytest.raises(RoundError, match="one model"):
        apply(base, np.zeros(3, dtype=np.float32))
    with pytest.raises(RoundError, match="not finite"):
        apply(base, np.array([0, 1e39, 0]))
