"""The mechanism: an update's length is bounded exactly, its noise fits the lane."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.errors import ConfigurationError, PlanError
from ddcai.privacy.configuration import Privacy
from ddcai.privacy.mechanism import Mechanism, squared_length
from ddcai.privacy.skellam import tail


def privacy(noise: float = 1.0, contributors: int = 3) -> Privacy:
    return Privacy(
        noise_multiplier=noise, delta=1e-5, epsilon_budget=8, min_contributors=contributors
    )


def mechanism(sensitivity: int, signal: int = 10**6) -> Mechanism:
    return Mechanism(
        signal_limit=signal,
        sensitivity=sensitivity,
        variance=100,
        bearing=2,
        reach=signal + tail(100),
    )


@given(
    noise=st.floats(0.05, 20),
    contributors=st.integers(2, 64),
    planned=st.integers(2, 64),
    clip=st.floats(0.1, 20),
)
def test_what_is_planned_fits_the_lane_and_carries_the_noise(
    noise: float, contributors: int, planned: int, clip: float
) -> None:
    for parameters in PARAMETER_SETS.values():
        limit = parameters.value_limit(planned)
        setting = privacy(noise, contributors)
        try:
            made = Mechanism.plan(setting, lane_limit=limit, clip_norm=clip, value_range=1.0)
        except PlanError:
            continue
        assert made.signal_limit + tail(made.variance) == made.reach <= limit
        assert planned * made.reach <= parameters.lane_max
        assert made.bearing == math.ceil(2 * contributors / 3)
        assert made.bearing * made.variance >= (noise * made.sensitivity) ** 2
        assert made.sensitivity <= made.signal_limit * clip


def test_bearing_is_what_is_left_when_a_third_of_any_larger_sum_drops() -> None:
    for least in range(2, 40):
        left = min(n - n // 3 for n in range(least, 200))
        assert privacy(contributors=least).noise_bearing == left


def test_a_lane_without_room_is_refused_with_what_to_change() -> None:
    with pytest.raises(PlanError, match=r"noise_multiplier is 200.*leaves an update of") as error:
        Mechanism.plan(privacy(200), lane_limit=4095, clip_norm=5.0, value_range=0.5)
    assert "encryption.max_contributors" in str(error.value)
    made = Mechanism.plan(privacy(1), lane_limit=4095, clip_norm=5.0, value_range=0.5)
    made.require_resolution(made.sensitivity**2 // 4)
    with pytest.raises(PlanError, match=r"lower privacy\.noise_multiplier"):
        made.require_resolution(made.sensitivity**2 // 4 + made.sensitivity)


@given(
    values=st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=50),
    sensitivity=st.integers(1, 10**7),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_update_is_longer_than_the_sensitivity(
    values: list[int], sensitivity: int, seed: int
) -> None:
    update = np.array(values, np.int64)
    source = np.random.default_rng(seed).bytes
    bounded = mechanism(sensitivity).bounded(update, source)
    assert sum(int(one) ** 2 for one in bounded) == squared_length(bounded) <= sensitivity**2
    if squared_length(update) <= sensitivity**2:
        assert (bounded == update).all()


def test_a_long_update_keeps_its_direction_and_nearly_its_length() -> None:
    rng = np.random.default_rng(5)
    dimension = 10_000
    update = rng.normal(0, 2, dimension)
    update *= 200 / np.linalg.norm(update)  # at the finest steps that are let pass
    rounded = np.floor(update + rng.random(dimension)).astype(np.int64)
    assert squared_length(rounded) > 200**2
    bounded = mechanism(200).bounded(rounded, rng.bytes)
    length = math.sqrt(squared_length(bounded))
    assert 0.95 * 200 < length <= 200
    assert update @ bounded / (np.linalg.norm(update) * length) > 0.95


def test_what_gets_noise_is_the_bounded_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its noise, a protected update is within the sensitivity."""
    monkeypatch.setattr("ddcai.privacy.mechanism.sample", lambda _, size, __: np.zeros(size, int))
    protected = mechanism(300).protect(np.full(10_000, 7, np.int64))
    assert 0.9 * 300 < math.sqrt(squared_length(protected)) <= 300


def test_an_update_beyond_its_range_is_no_update() -> None:
    with pytest.raises(ValueError, match="beyond"):
        mechanism(10, signal=5).protect(np.array([6], np.int64))


def test_noise_is_of_the_variance_and_inside_the_reach() -> None:
    made = mechanism(300, signal=300)
    update = np.full(20_000, 2, np.int64)
    protected = made.protect(update, np.random.default_rng(1).bytes)
    noise = protected - update
    # The variance of a sample variance of n draws is (2 + excess) v^2 / n: 1 % of v here.
    assert abs(noise.var() / made.variance - 1) < 0.05
    assert np.abs(protected).max() <= made.reach
    assert (made.protect(update) != made.protect(update)).any()


def test_settings_out_of_range_are_refused_by_name() -> None:
    good = {"noise_multiplier": 1.0, "delta": 1e-5, "epsilon_budget": 8.0}
    assert Privacy(**good).min_contributors == 3
    for name, wrong in (
        ("noise_multiplier", [0.0, float("nan"), 1001.0]),
        ("delta", [0.0, 1e-13, 0.1]),
        ("epsilon_budget", [0.0, 51.0, float("inf")]),
        ("min_contributors", [1, 1025]),
    ):
        for value in wrong:
            with pytest.raises(ConfigurationError, match=rf"privacy\.{name}"):
                Privacy(**(good | {name: value}))  # type: ignore[arg-type]
    assert all(a.noise_bearing <= b.noise_bearing for a, b in pairwise(map(_of, range(2, 30))))


def _of(contributors: int) -> Privacy:
    return privacy(contributors=contributors)
