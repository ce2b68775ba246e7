"""The built-in network and its first weights."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.configuration import Feature, FederationConfig, Model, Task
from ddcai.errors import ConfigurationError
from ddcai.models import encoder, state


def _config(hidden: tuple[int, ...] = (5, 4), seed: int = 0) -> FederationConfig:
    features = (
        Feature(name="age", kind="numeric", low=0, high=100),
        Feature(name="sex", kind="categorical", categories=("0", "1")),
    )
    return FederationConfig(
        name="small",
        task=Task(label="y", classes=("a", "b", "c"), features=features),
        model=Model(hidden=hidden, seed=seed),
    )


def test_the_shapes_follow_the_configuration() -> None:
    shapes = {name: array.shape for name, array in encoder.initial_state(_config()).items()}
    assert shapes == {
        "encoder.0.weight": (5, 5),
        "encoder.0.bias": (5,),
        "encoder.2.weight": (4, 5),
        "encoder.2.bias": (4,),
        "head.weight": (3, 4),
        "head.bias": (3,),
    }


def test_the_first_model_is_known() -> None:
    """The first weight, from SHAKE-256 by hand, and the digest that every machine must get."""
    first = encoder.initial_state(_config())
    stream = hashlib.shake_256(b"ddcai.initial-state" + bytes(16)).digest(4)
    uniform = (int.from_bytes(stream, "little") >> 8) / 2**23 - 1
    assert first["encoder.0.weight"][0, 0] == np.float32(uniform / math.sqrt(5))
    assert state.digest(first).hex() == FIRST_DIGEST


FIRST_DIGEST = "c821c52a224239d9fdd07933e40b3abc7fef483d5bda979b3f055c3cb0b7a18b"


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(1, 9), min_size=1, max_size=3))
@settings(max_examples=30)
def test_first_weights_are_bounded_and_biases_zero(seed: int, hidden: list[int]) -> None:
    first = encoder.initial_state(_config(tuple(hidden), seed))
    for name, array in first.items():
        if name.endswith("bias"):
            assert not array.any()
        else:
            assert np.abs(array).max() <= np.float32(1 / math.sqrt(array.shape[1]))
            assert array.any()


def test_seeds_give_different_models() -> None:
    seeds = (0, 1, 2, 2**63 - 1)
    digests = {state.digest(encoder.initial_state(_config(seed=seed))) for seed in seeds}
    assert len(digests) == len(seeds)


def test_a_state_goes_in_and_comes_out() -> None:
    module = encoder.build(_config(seed=1))
    other = encoder.initial_state(_config(seed=2))
    encoder.load_state(module, other)
    assert state.digest(encoder.state_of(module)) == state.digest(other)


def test_states_are_copies() -> None:
    module = encoder.build(_config())
    taken = encoder.state_of(module)
    before = taken["head.bias"].copy()
    with torch.no_grad():
        module.head.bias += 1  # type: ignore[operator,union-attr]
    assert np.array_equal(taken["head.bias"], before)
    encoder.load_state(module, taken)
    with torch.no_grad():
        module.head.bias += 1  # type: ignore[operator,union-attr]
    assert np.array_equal(taken["head.bias"], before)


def test_a_state_of_another_network_is_refused() -> None:
    module = encoder.build(_config((5, 4)))
    before = state.digest(encoder.state_of(module))
    reordered = dict(reversed(encoder.initial_state(_config((5, 4))).items()))
    shorter = dict(list(encoder.initial_state(_config((5, 4))).items())[:-1])
    for other in (encoder.initial_state(_config((5, 5))), reordered, shorter):
        with pytest.raises(ConfigurationError, match="federation's own model"):
            encoder.load_state(module, other)
    assert state.digest(encoder.state_of(module)) == before


def test_encodings_lie_in_the_range_and_blocks_do_not_show() -> None:
    module = encoder.build(_config())
    x = np.random.default_rng(0).normal(size=(5000, 5)).astype(np.float32) * 100
    encoding = encoder.encode(module, x)
    assert encoding.shape == (5000, 4)
    assert encoding.dtype == np.float32
    assert np.abs(encoding).max() <= 1
    np.testing.assert_allclose(encoding[4990:], encoder.encode(module, x[4990:]), atol=1e-6)


def test_no_rows_encode_to_no_rows() -> None:
    assert encoder.encode(encoder.build(_config()), np.zeros((0, 5), np.float32)).shape == (0, 4)


def test_nan_inputs_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"outside \[-1, 1\]"):
        encoder.encode(encoder.build(_config()), np.full((1, 5), np.nan, np.float32))


def test_forward_is_head_after_encoder() -> None:
    module = encoder.build(_config())
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    parts = encoder.split(module)
    assert torch.equal(module(x), parts[1](parts[0](x)))


def test_without_features_the_built_in_network_has_no_width() -> None:
    task = Task(label="y", classes=("a", "b"), dataset="mine:load")
    with pytest.raises(ConfigurationError, match=r"model\.entry_point"):
        encoder.build(FederationConfig(name="x", task=task))
