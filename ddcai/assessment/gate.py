"""The gate: who is added to the round's sum, decided before anything is added.

Size against the last round's median and the clip; then a standing, which remembers: the decaying
mean of each contributor's agreement with the anchor. Only who stands above zero is accepted;
without a root set, above a share of the median. A refused update's deposit is judged by the window
like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from ddcai.assessment.configuration import Assessment
from ddcai.assessment.scores import MAX_RATIO, RoundScores, on_grid
from ddcai.errors import ConfigurationError

_V = TypeVar("_V")


def _frozen(values: Mapping[str, _V]) -> Mapping[str, _V]:
    return MappingProxyType(dict(sorted(values.items())))


@dataclass(frozen=True, kw_only=True)
class GateState:
    """What the gate remembers from round to round.

    Attributes:
        standings: by contributor, from -1 to 1; who is new stands at 0.
        median_length: of the updates that were accepted when last some were; None before.
    """

    standings: Mapping[str, float] = field(default_factory=lambda: _frozen({}))
    median_length: float | None = None


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One round's gate.

    Attributes:
        accepted: names on the sealed list, sorted; empty: the model stays as it is.
        sizes: by contributor, length over the bound that it is held against, 0 to 1e6.
        state: for the next round.
    """

    accepted: tuple[str, ...]
    sizes: Mapping[str, float]
    state: GateState


def pass_gate(
    scores: Mapping[str, RoundScores], state: GateState, *, clip: float, config: Assessment
) -> Gate:
    """Decides one round.

    Args:
        scores: by contributor.
        state: of the round before.
        clip: the longest that an honest update can be, in integer steps, above 0.
        config: the rule's settings.

    | case | result |
    |---|---|
    | nobody took part | nobody accepted, the state stays |
    | first round, or nobody ever accepted | size is held against the clip alone |
    | anchor "movement", and no model has moved yet | all of allowed size are accepted |
    | an update of zeros | never accepted |
    | too long | left out, its standing moves all the same |
    | a contributor that is absent | keeps its standing |

    Raises:
        ConfigurationError: for a clip that is not positive.
    """
    if not (math.isfinite(clip) and clip > 0):
        raise ConfigurationError(f"the clip is {clip}: give a positive number of integer steps")
    bound = clip * config.clip_factor
    if state.median_length is not None and state.median_length > 0:
        bound = min(bound, state.median_length * config.size_factor)
    sizes = {name: on_grid(min(MAX_RATIO, one.length / bound)) for name, one in scores.items()}
    standings = {
        name: on_grid(
            config.decay * state.standings.get(name, 0.0) + (1 - config.decay) * one.anchor
        )
        for name, one in scores.items()
    }
    least = 0.0
    if config.anchor == "movement" and standings:
        least = max(0.0, config.gate_share * median(list(standings.values())))
    blind = (
        config.anchor == "movement"
        and not any(one.anchor for one in scores.values())
        and not any(standings.values())
    )
    accepted = tuple(
        sorted(
            name
            for name, one in scores.items()
            if sizes[name] <= 1 and one.length > 0 and (blind or standings[name] > least)
        )
    )
    lengths = [scores[name].length for name in accepted]
    return Gate(
        accepted=accepted,
        sizes=_frozen(sizes),
        state=GateState(
            standings=_frozen({**state.standings, **standings}),
            median_length=median(lengths) if lengths else state.median_length,
        ),
    )


def median(values: list[float]) -> float:
    """The middle of at least one value; of an even number, half the sum of the two in it."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


__all__ = ["Gate", "GateState", "median", "pass_gate"]
