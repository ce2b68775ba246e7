"""What a round trains, by its number; everything else stays to the bit."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from ddcai.configuration import FederationConfig, Training
from ddcai.errors import ConfigurationError, DataError
from ddcai.models.encoder import initial_state
from ddcai.models.state import State, count
from ddcai.models.trained import largest_round, num_values, require_rest_unchanged, trained_part
from ddcai.quantise import COUNT_DIGITS
from tests.federation import small_config


def _config(every: int) -> FederationConfig:
    return small_config(training=Training(encoder_every=every))


@pytest.mark.parametrize(
    ("every", "rounds"),
    [(0, []), (1, [1, 2, 3, 4, 5, 6, 7]), (2, [2, 4, 6]), (3, [3, 6]), (7, [7]), (8, [])],
)
def test_the_encoder_is_trained_in_multiples(every: int, rounds: list[int]) -> None:
    training = Training(encoder_every=every)
    assert [number for number in range(1, 8) if training.trains_encoder(number)] == rounds


def test_a_round_of_the_head_encrypts_the_head() -> None:
    config = _config(2)
    model = initial_state(config)
    assert list(trained_part(config, model, 1)) == ["head.weight", "head.bias"]
    assert list(trained_part(config, model, 2)) == list(model)
    assert num_values(config, model, 1) == COUNT_DIGITS + 6 * 2 + 2
    assert num_values(config, model, 2) == COUNT_DIGITS + count(model)


@pytest.mark.parametrize("every", [0, 1, 2, 5])
def test_the_plan_is_for_the_largest_round(every: int) -> None:
    config = _config(every)
    model = initial_state(config)
    sizes = {num_values(config, model, number) for number in range(1, 12)}
    assert num_values(config, model, largest_round(config)) == max(sizes)


def test_the_head_of_an_app_of_ones_own_is_its_last_layer() -> None:
    model = {
        "fc.weight": np.zeros((3, 4), np.float32),
        "fc.bias": np.zeros(3, np.float32),
        "out.weight": np.zeros((2, 3), np.float32),
        "out.bias": np.zeros(2, np.float32),
    }
    assert list(trained_part(_config(0), model, 1)) == ["out.weight", "out.bias"]
    # A layer named `head` is the head, wherever it stands.
    moved = {"head.weight": model["out.weight"], "head.bias": model["out.bias"]} | model
    assert list(trained_part(_config(0), moved, 1)) == ["head.weight", "head.bias"]


def test_a_model_without_a_head_has_no_such_round() -> None:
    model = {"weight": np.zeros((3, 4), np.float32)}
    with pytest.raises(ConfigurationError, match="no linear layer"):
        trained_part(_config(0), model, 1)
    assert trained_part(_config(1), model, 1) == model


def test_one_changed_bit_of_the_rest_is_found() -> None:
    config = _config(2)
    base = initial_state(config)

    def changed(name: str) -> State:
        array = base[name].copy()
        array.view(np.uint32).reshape(-1)[-1] ^= 1
        return base | {name: array}

    require_rest_unchanged(config, base, base, 1)
    require_rest_unchanged(config, base, changed("head.weight"), 1)
    for name in base:
        require_rest_unchanged(config, base, changed(name), 2)
        if not name.startswith("head."):
            with pytest.raises(DataError, match=f"{re.escape(name)}.*encoder_every is 2"):
                require_rest_unchanged(config, base, changed(name), 1)
    # Equal numbers are not enough: minus zero is another model.
    negative = dict(base) | {"encoder.0.bias": -np.zeros_like(base["encoder.0.bias"])}
    with pytest.raises(DataError):
        require_rest_unchanged(config, base, negative, 1)


def test_documents_without_the_setting_keep_their_digest() -> None:
    plain = small_config()
    assert plain == _config_like(plain, 1)
    assert "encoder_every" not in plain.to_json()["training"]
    assert _config_like(plain, 2).to_json()["training"]["encoder_every"] == 2
    assert len({_config_like(plain, every).digest() for every in (0, 1, 2)}) == 3


def _config_like(config: FederationConfig, every: int) -> FederationConfig:
    training = dataclasses.replace(config.training, encoder_every=every)
    return dataclasses.replace(config, training=training)
