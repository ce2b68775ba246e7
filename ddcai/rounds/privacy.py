"""The privacy section at work: the federation's mechanism, and the budget that every party keeps.

Epsilon counts sealed lists, from the chain's record alone: a key holder opens nothing that was not
sealed, and a round that was cancelled after sealing may have been opened. It holds for a
contributor that took part in all of them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ddcai.configuration import FederationConfig
from ddcai.encryption.updates import any_set
from ddcai.errors import ConfigurationError, PrivacyBudgetSpent
from ddcai.privacy import accounting
from ddcai.privacy.mechanism import Mechanism
from ddcai.quantise import COUNT_DIGITS
from ddcai.rounds.party import Party


@lru_cache(maxsize=16)
def mechanism(config: FederationConfig) -> Mechanism | None:
    """What a contributor does to its update; None where updates get no noise.

    Raises:
        PlanError: the noise does not fit the lanes.
    """
    if config.privacy is None:
        return None
    parameters = any_set(config.encryption.parameter_set)
    return Mechanism.plan(
        config.privacy,
        lane_limit=parameters.value_limit(config.encryption.max_contributors),
        clip_norm=config.aggregation.clip_norm,
        value_range=config.aggregation.value_range,
    )


def with_noise(config: FederationConfig, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """What is encrypted of a quantised update int64[COUNT_DIGITS + n]: the count as it is, since
    with uniform weights it is 1, and the rest bounded, with noise; unchanged without privacy."""
    made = mechanism(config)
    if made is None:
        return values
    return np.concatenate([values[:COUNT_DIGITS], made.protect(values[COUNT_DIGITS:])])


def epsilon(config: FederationConfig, rounds: int, delta: float | None = None) -> float:
    """Epsilon after so many opened sums.

    Args:
        delta: that it is reckoned at; ``privacy.delta`` by default.

    Raises:
        ConfigurationError: updates of this federation get no noise.
    """
    made = mechanism(config)
    if made is None or config.privacy is None:
        raise ConfigurationError("privacy is not set: updates get no noise, and epsilon has no end")
    return accounting.epsilon(
        sensitivity=made.sensitivity,
        variance=made.bearing * made.variance,
        delta=config.privacy.delta if delta is None else delta,
        rounds=rounds,
    )


def rounds_in_budget(config: FederationConfig) -> int:
    """How many sums may be opened before ``privacy.epsilon_budget`` is spent."""
    assert config.privacy is not None
    low, high = 0, accounting.MAX_ROUNDS + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = epsilon(config, middle) <= config.privacy.epsilon_budget
        low, high = (middle, high) if fits else (low, middle)
    return low


def require_budget(party: Party, number: int, opened: frozenset[int] = frozenset()) -> None:
    """Refuses a round that would bring epsilon above the budget; nothing without privacy.

    Args:
        party: whose view of the chain is asked.
        number: of the round that is to be opened, trained for, or decrypted.
        opened: others to be counted: that are known to have been opened, whatever the chain
            shows, or are to be run before it.

    Raises:
        PrivacyBudgetSpent: with epsilon and the budget.
    """
    config = party.config
    if config.privacy is None:
        return
    earlier = (party.federation.round(one) for one in range(1, number))
    counted = {record.number for record in earlier if record.sealed} | opened | {number}
    reached = epsilon(config, len(counted))
    budget = config.privacy.epsilon_budget
    if reached > budget:
        raise PrivacyBudgetSpent(
            f"round {number} would be opened sum number {len(counted)} and bring epsilon to "
            f"{reached:.4g} at delta {config.privacy.delta:g}; privacy.epsilon_budget is "
            f"{budget:g}, which is enough for {rounds_in_budget(config)}: stop there. Members who "
            "accept a larger epsilon found a new federation, whose epsilon adds to this one's"
        )


__all__ = ["epsilon", "mechanism", "require_budget", "rounds_in_budget", "with_noise"]
