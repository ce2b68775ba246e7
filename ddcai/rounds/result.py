"""From an opened sum to the next model: the step that every party computes for itself.

Exact by construction: integers in, one float64 multiplication and addition a coordinate, so
coordinator, contributors and auditors get identical bits or disagree loudly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ddcai import digests
from ddcai.configuration import FederationConfig
from ddcai.digests import RoundContext
from ddcai.encryption.updates import any_set
from ddcai.errors import RoundError
from ddcai.models import heads, state
from ddcai.models.state import State
from ddcai.models.trained import trained_part
from ddcai.quantise import Quantiser, apply
from ddcai.rounds.privacy import mechanism


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a round ends in.

    Attributes:
        model: the new state.
        model_digest, head_digest: 32 bytes each.
        head_words: the head as the contract stores it, 256-bit integers.
    """

    model: State
    model_digest: bytes
    head_words: tuple[int, ...]
    head_digest: bytes

    def message(self, context: RoundContext, sum_digest: bytes, opened_digest: bytes) -> bytes:
        """The 32 bytes that contributors sign."""
        return digests.result_message(
            context,
            sum_=sum_digest,
            opened=opened_digest,
            model=self.model_digest,
            head=self.head_digest,
        )


def quantiser(config: FederationConfig) -> Quantiser:
    """The federation's quantiser: its range follows from parameter set and contributors, and
    leaves room for the noise where there is any."""
    noise = mechanism(config)
    return Quantiser(config.aggregation, reach(config) if noise is None else noise.signal_limit)


def reach(config: FederationConfig) -> int:
    """Largest magnitude of an honest contributor's integer, its noise included."""
    noise = mechanism(config)
    if noise is not None:
        return noise.reach
    parameters = any_set(config.encryption.parameter_set)
    return parameters.value_limit(config.encryption.max_contributors)


def update_reach(config: FederationConfig) -> int:
    """The same of an honest update, which may be the sum of a group's contributors."""
    return reach(config) * config.encryption.group_size


def next_model(
    config: FederationConfig,
    base: State,
    total: NDArray[np.int64],
    updates: int,
    round_: int,
) -> Result:
    """The model after a round.

    Args:
        config: the federation's configuration.
        base: the model that the round started from.
        total: int64[counts + parameters that the round trains], the opened sum.
        updates: how many are in it, a group's sum being one.
        round_: the round's number, which says what it trains (`ddcai.models.trained`); all else
            is the base's, bit for bit.

    Raises:
        RoundError: it can be no sum of so many updates: another size, an impossible count, a
            coordinate that so many honest updates cannot reach, or more updates than planned, so
            that lanes may have run over.
        ConfigurationError: the new head does not fit its integers.
    """
    most = config.encryption.max_updates
    if updates > most:
        raise RoundError(
            f"a sum of {updates} updates, but encryption.max_contributors and group_size allow "
            f"{most}: lanes may have run over; cancel the round"
        )
    scale, each = quantiser(config), update_reach(config)
    largest = int(np.abs(total).max(initial=0))
    if largest > updates * each:
        raise RoundError(
            f"the opened sum reaches {largest}, but {updates} updates within "
            f"+-{each} cannot: a contributor sent a forged one, cancel the round"
        )
    mean = scale.decode(total, updates, updates * config.encryption.group_size)
    part = trained_part(config, base, round_)
    new = state.unflatten(apply(state.flatten(part), mean), part)
    return result_of(config, base | new)


def result_of(config: FederationConfig, model: State) -> Result:
    """A model with its digest and head; the first model of a federation has one too."""
    words = tuple(heads.head_of(model, config).to_words())
    return Result(
        model=model,
        model_digest=state.digest(model),
        head_words=words,
        head_digest=digests.head_digest(words),
    )
