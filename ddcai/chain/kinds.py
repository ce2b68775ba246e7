"""The kinds of incentives that a trainer can have, by the name that people choose them by."""

from __future__ import annotations

from ddcai.chain.incentive import Incentive, PointsIncentive, SelfAssessment
from ddcai.chain.prediction_market import PredictionMarket
from ddcai.errors import ConfigurationError

KINDS: dict[str, type[Incentive]] = {
    kind.kind: kind for kind in (PointsIncentive, PredictionMarket, SelfAssessment)
}


def kind_of(name: str) -> type[Incentive]:
    """The facade of a kind.

    Raises:
        ConfigurationError: there is no such kind.
    """
    if name not in KINDS:
        raise ConfigurationError(f"incentive is {name!r}: give one of {', '.join(sorted(KINDS))}")
    return KINDS[name]
