"""What an opened sum costs, and all of them together.

Renyi differential privacy adds up over rounds, adaptively chosen ones too (Mironov, "Renyi
Differential Privacy", CSF 2017, Proposition 1). Flower's accountant, dp-accounting, turns it into
(epsilon, delta).
"""

from __future__ import annotations

from functools import lru_cache

from ddcai.errors import ConfigurationError

# The bound is proven for whole orders above 1.
ORDERS = (*range(2, 65), *range(72, 257, 8), *(2**k for k in range(9, 17)))
# Draws end at the sampler's tail, 2**-198 from Skellam (`ddcai.privacy.skellam.sample`), and a
# federation draws at most 2**10 contributors x 2**28 parameters x MAX_ROUNDS: the sums are 2**-144
# from those accounted for. To (epsilon, delta) that adds (1 + exp(epsilon)) times as much to delta:
# below 2**-70 for an epsilon up to 50.
SAMPLING_DELTA = 2.0**-70
MAX_ROUNDS = 2**16


def renyi(order: int, sensitivity: int, variance: int) -> float:
    """Renyi divergence, at most, of one sum's noise from itself moved by an update.

    Agarwal, Kairouz, Liu, "The Skellam Mechanism for Differentially Private Federated Learning"
    (NeurIPS 2021), Corollary 3.6, for L2 sensitivity D2, L1 sensitivity D1 and variance v:
    a D2^2 / (2v) + min(((2a - 1) D2^2 + 6 D1) / (4 v^2), 3 D1 / (2v)). The update is of integers,
    so D1 <= D2^2, in any number of dimensions.

    Args:
        order: a whole number above 1.
        sensitivity: D2, in steps.
        variance: of the sum's noise.
    """
    squared = sensitivity**2
    first = order * squared / (2 * variance)
    second = ((2 * order - 1) * squared + 6 * squared) / (4 * variance**2)
    return first + min(second, 3 * squared / (2 * variance))


@lru_cache(maxsize=4096)
def epsilon(*, sensitivity: int, variance: int, delta: float, rounds: int) -> float:
    """Epsilon at ``delta`` for a contributor that took part in each of so many opened sums.

    Args:
        sensitivity: largest L2 norm of an update, in steps.
        variance: of the sum's noise, in steps squared, on each coordinate.
        delta: from 1e-12.
        rounds: opened sums, 0 to MAX_ROUNDS.

    Raises:
        ConfigurationError: more rounds than the sampler's error is accounted for.
    """
    if not 0 <= rounds <= MAX_ROUNDS:
        raise ConfigurationError(f"{rounds} rounds with noise: from 0 to {MAX_ROUNDS}")
    if rounds == 0:
        return 0.0
    from dp_accounting.rdp import compute_epsilon  # a second to load, for those who need it

    curve = [rounds * renyi(order, sensitivity, variance) for order in ORDERS]
    found, _ = compute_epsilon(ORDERS, curve, delta - SAMPLING_DELTA)
    return float(found)


__all__ = ["MAX_ROUNDS", "epsilon", "renyi"]
