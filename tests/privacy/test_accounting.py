"""Epsilon: the bound against exact divergences, and against the Gaussian mechanism's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
from dp_accounting.rdp import RdpAccountant
from scipy import stats

from ddcai.errors import ConfigurationError
from ddcai.privacy.accounting import MAX_ROUNDS, ORDERS, epsilon, renyi


def exact(order: int, shift: int, variance: int) -> float:
    """Renyi divergence of Sk(variance) + shift from Sk(variance), by summing."""
    reach = round(12 * math.sqrt(variance)) + 30 * order * shift
    k = np.arange(-reach, reach + 1)
    law = stats.skellam(variance / 2, variance / 2)
    with np.errstate(divide="ignore"):
        here, moved = law.logpmf(k), law.logpmf(k - shift)
    there = np.isfinite(here) & np.isfinite(moved)
    powers = order * moved[there] - (order - 1) * here[there]
    return float(np.logaddexp.reduce(powers) / (order - 1))


@pytest.mark.parametrize(("shift", "variance"), [(1, 4), (2, 16), (5, 25), (5, 400)])
@pytest.mark.parametrize("order", [2, 3, 8])
def test_the_bound_is_above_the_exact_divergence_and_near_it(
    order: int, shift: int, variance: int
) -> None:
    found, bound = exact(order, shift, variance), renyi(order, shift, variance)
    assert 0.5 * bound < found <= bound
    assert exact(order, 2 * shift, variance) > bound


@pytest.mark.parametrize(("noise", "rounds"), [(1.0, 1), (2.0, 10), (8.0, 40)])
def test_fine_steps_cost_what_the_gaussian_mechanism_costs(noise: float, rounds: int) -> None:
    """An accountant of its own composes and converts the Gaussian, over the same orders."""
    accountant = RdpAccountant(ORDERS)
    accountant.compose(SelfComposedDpEvent(GaussianDpEvent(noise), rounds))
    expected = accountant.get_epsilon(1e-5)
    variance = math.ceil((noise * 1000) ** 2)
    found = epsilon(sensitivity=1000, variance=variance, delta=1e-5, rounds=rounds)
    assert expected <= found < 1.001 * expected


def test_epsilon_grows_with_rounds_and_falls_with_noise() -> None:
    def of(variance: int, rounds: int, delta: float = 1e-5) -> float:
        return epsilon(sensitivity=100, variance=variance, delta=delta, rounds=rounds)

    assert of(10**4, 0) == 0
    by_rounds = [of(10**5, rounds) for rounds in range(1, 30)]
    assert by_rounds == sorted(by_rounds)
    assert by_rounds[0] < by_rounds[-1]
    assert of(10**5, 5) < of(10**4, 5) < of(10**4, 5, 1e-12)


def test_more_rounds_than_are_accounted_for_are_refused() -> None:
    assert epsilon(sensitivity=100, variance=10**6, delta=1e-5, rounds=MAX_ROUNDS) > 50
    for rounds in (-1, MAX_ROUNDS + 1):
        with pytest.raises(ConfigurationError, match=f"{rounds} rounds with noise"):
            epsilon(sensitivity=100, variance=10**6, delta=1e-5, rounds=rounds)
