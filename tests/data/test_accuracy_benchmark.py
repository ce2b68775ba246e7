"""The demo's main number on one split and seed, and that quantisation costs nothing."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy import FloatMean, IntegerMean, federate, logistic_regression
from ddcai.data.heart_disease import heart_config, load_sites, pooled_test
from ddcai.models import encoder, state
from ddcai.models.training import evaluate


def test_the_hospitals_reach_more_together_than_alone_encrypted_or_not() -> None:
    config = heart_config()
    sites = load_sites(0, config)
    x, y = pooled_test(sites)
    integers = IntegerMean(config, seed=0)
    encrypted = federate(sites, config, integers, rounds=10, seed=0)
    plain = federate(sites, config, FloatMean(), rounds=10, seed=0)
    found = evaluate(encrypted, x, y, head_scale=config.model.head_scale).accuracy
    assert found >= 0.80
    assert found > max(logistic_regression([site], x, y) for site in sites)
    difference = evaluate(plain, x, y, head_scale=config.model.head_scale).accuracy - found
    assert abs(difference) <= 0.01
    assert integers.clipped == 0
    assert integers.clamped_share == 0


def test_one_integer_round_is_within_a_step_of_the_float_mean() -> None:
    """The bound is derived: each of 4 roundings is off by less than one step of the sum."""
    config = heart_config()
    sites = load_sites(0, config)
    first = encoder.initial_state(config)
    deltas = []
    for number, site in enumerate(sites):
        generator = np.random.default_rng(number)
        size = state.count(first)
        deltas.append((generator.normal(0, 0.03, size), len(site.y_train)))
    integers = IntegerMean(config, seed=0)
    found, exact = integers.mean(deltas), FloatMean().mean(deltas)
    settings, limit = config.aggregation, integers.value_limit
    step = settings.value_range / limit * settings.max_examples
    total = sum(count for _, count in deltas)
    assert np.abs(found - exact).max() <= len(sites) * step / total
