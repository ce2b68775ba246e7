"""Which part of the model a round trains: the only place that says so.

By the configuration's `training.encoder_every`, a round trains all of the model, or its head
alone. Then every array but the head's two stays as it is, bit for bit: no delta of it is sent,
encrypted, added or applied, and the number of encrypted values is smaller.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ddcai.configuration import FederationConfig
from ddcai.errors import DataError
from ddcai.models.heads.perceptron_head import head_names
from ddcai.models.state import State, count
from ddcai.quantise import COUNT_DIGITS


def trained_part(
    config: FederationConfig, model: Mapping[str, npt.NDArray[np.float32]], round_: int
) -> State:
    """The arrays of a model that a round trains, in the model's order.

    Raises:
        ConfigurationError: the round trains the head, and the model has none.
    """
    if config.training.trains_encoder(round_):
        return dict(model)
    names = head_names(model)
    return {name: array for name, array in model.items() if name in names}


def num_values(
    config: FederationConfig, model: Mapping[str, npt.NDArray[np.float32]], round_: int
) -> int:
    """How many integers an update of a round encrypts: the count's digits, and the part's.

    Raises:
        ConfigurationError: as `trained_part`.
    """
    return COUNT_DIGITS + count(trained_part(config, model, round_))


def largest_round(config: FederationConfig) -> int:
    """The number of a round that trains as much as any."""
    return config.training.encoder_every or 1


def require_rest_unchanged(
    config: FederationConfig, base: State, trained: State, round_: int
) -> None:
    """Raises DataError if training changed what the round does not train, by a single bit."""
    part = trained_part(config, base, round_)
    changed = [
        name
        for name, array in base.items()
        if name not in part and array.tobytes() != trained[name].tobytes()
    ]
    if changed:
        raise DataError(
            f"training changed {changed[0]!r}, but round {round_} trains the head alone "
            f"(training.encoder_every is {config.training.encoder_every}): nothing was sent. "
            "Freeze everything but the head in this round"
        )
