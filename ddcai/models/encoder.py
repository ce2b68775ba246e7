"""The network: an encoder that stays off chain, and the linear head that goes on it.

The built-in encoder is a multi-layer perceptron with tanh after every layer, so that its
outputs lie in [-1, 1] and the chain can take them as int8 (`ddcai.models.heads`).
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ddcai.configuration import FederationConfig
from ddcai.errors import ConfigurationError
from ddcai.models.entry_points import resolve
from ddcai.models.state import State

# Outputs may pass 1 by float rounding alone.
_RANGE_TOLERANCE = 1e-5
_ENCODE_ROWS = 4096


class Network(nn.Module):
    """Encoder and head: float[n, width] -> float[n, classes] (logits).

    Attributes:
        encoder: Linear and Tanh for each of ``hidden``; outputs float[n, hidden[-1]] in [-1, 1].
        head: Linear, hidden[-1] -> classes.
    """

    def __init__(self, width: int, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        sizes = [width, *hidden]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.Tanh()]
        self.encoder = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast(torch.Tensor, self.head(self.encoder(x)))


def build(config: FederationConfig) -> nn.Module:
    """The federation's network, with `initial_state`'s weights.

    Returns:
        A module with ``encoder`` and ``head`` (`ddcai.models.entry_points`).

    Raises:
        ConfigurationError: if the user's function fails or returns something else, or the
            built-in network does not know its number of inputs.
    """
    if config.model.entry_point is not None:
        return _build_user(config, config.model.entry_point)
    if not config.task.features:
        raise ConfigurationError(
            "task.features is empty, so the built-in network has no width: list the features, or "
            "give model.entry_point"
        )
    network = Network(config.task.width, config.model.hidden, len(config.task.classes))
    load_state(network, _draw(state_of(network), config.model.seed))
    return network


def described(config: FederationConfig) -> bool:
    """Whether the configuration describes its network: an app of one's own may keep it."""
    return config.model.entry_point is not None or bool(config.task.features)


def parameter_count(config: FederationConfig) -> int:
    """Number of parameters of the built-in network, from its widths: nothing is built."""
    widths = [config.task.width, *config.model.hidden, len(config.task.classes)]
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(widths))


def initial_state(config: FederationConfig) -> State:
    """The first model, the same on every machine for the built-in network."""
    return state_of(build(config))


def state_of(module: nn.Module) -> State:
    """The module's parameters and buffers in its own order, as float32 copies.

    Raises:
        ConfigurationError: for one that is not floating point (it has no mean).
    """
    state: State = {}
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            raise ConfigurationError(
                f"{name!r} of the model is {tensor.dtype}: only floating-point state can be "
                "averaged; use GroupNorm or LayerNorm instead of BatchNorm"
            )
        state[name] = tensor.detach().to("cpu", torch.float32).numpy().copy()
    return state


def load_state(module: nn.Module, state: Mapping[str, npt.NDArray[np.float32]]) -> None:
    """Puts a state into a module.

    Raises:
        ConfigurationError: if names, order or shapes differ.
    """
    own = [(name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()]
    given = [(name, array.shape) for name, array in state.items()]
    if own != given:
        differing = next(
            (pair for pair in zip(own, given, strict=False) if pair[0] != pair[1]),
            (f"{len(own)} arrays", f"{len(given)} arrays"),
        )
        raise ConfigurationError(
            f"the model has {differing[0]}, the state {differing[1]}: use the state of this "
            "federation's own model"
        )
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in state.items()})


def split(module: nn.Module) -> tuple[nn.Module, nn.Linear]:
    """The module's two parts, typed."""
    return cast(nn.Module, module.encoder), cast(nn.Linear, module.head)


def encode(module: nn.Module, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the encoder makes of float32[n, ...]: float32[n, d] in [-1, 1].

    Raises:
        ConfigurationError: for outputs outside [-1, 1], or of another shape.
    """
    encoder, head = split(module)
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            blocks = [
                encoder(torch.from_numpy(x[start : start + _ENCODE_ROWS])).numpy()
                for start in range(0, max(len(x), 1), _ENCODE_ROWS)
            ]
    except (RuntimeError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"the encoder does not take inputs of shape {x.shape[1:]}: {error}"
        ) from error
    finally:
        module.train(was_training)
    encoding: npt.NDArray[np.float32] = np.concatenate(blocks).astype(np.float32, copy=False)
    if encoding.shape != (len(x), head.in_features):
        raise ConfigurationError(
            f"the encoder returns shape {encoding.shape}, not {(len(x), head.in_features)}: its "
            "outputs are the head's inputs"
        )
    # "not <=" also catches NaN.
    if encoding.size and not np.abs(encoding).max() <= 1 + _RANGE_TOLERANCE:
        raise ConfigurationError(
            f"the encoder returns values up to {np.abs(encoding).max()}, outside [-1, 1]: end it "
            "in Tanh"
        )
    return np.clip(encoding, -1, 1)


def _build_user(config: FederationConfig, entry_point: str) -> nn.Module:
    function = resolve(entry_point)
    # The user's initialisation draws from torch's global generator: seed it, and put it back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.model.seed)
        try:
            module = function(config)
        except Exception as error:  # a user's function may raise anything
            raise ConfigurationError(
                f"{entry_point} failed: {type(error).__name__}: {error}"
            ) from error
    remedy = "return an nn.Module with .encoder (an nn.Module) and .head (an nn.Linear)"
    if not isinstance(module, nn.Module):
        raise ConfigurationError(f"{entry_point} returned a {type(module).__name__}: {remedy}")
    head = getattr(module, "head", None)
    if not isinstance(getattr(module, "encoder", None), nn.Module):
        raise ConfigurationError(f"{entry_point}: the module has no .encoder: {remedy}")
    if not isinstance(head, nn.Linear) or head.bias is None:
        raise ConfigurationError(f"{entry_point}: .head is no nn.Linear with a bias: {remedy}")
    if head.out_features != len(config.task.classes):
        raise ConfigurationError(
            f"{entry_point}: .head has {head.out_features} outputs for "
            f"{len(config.task.classes)} classes: give one for each"
        )
    state_of(module)
    return module


def _draw(like: State, seed: int) -> State:
    """Weights uniform in +-1/sqrt(inputs), biases zero, from SHAKE-256 of the seed.

    Not from torch's or numpy's generators: those may change with a release, and the first
    model's digest is on chain. The bound is that of LeCun et al., Efficient BackProp (1998),
    up to a constant; torch's nn.Linear has the same.
    """
    total = sum(array.size for array in like.values() if array.ndim == 2)
    stream = hashlib.shake_256(b"ddcai.initial-state" + seed.to_bytes(16, "big", signed=True))
    words = np.frombuffer(stream.digest(4 * total), "<u4")
    # 24 bits: every value is exact in float32.
    uniform = (words >> 8).astype(np.float64) / 2**23 - 1
    state: State = {}
    start = 0
    for name, array in like.items():
        if array.ndim != 2:
            state[name] = np.zeros_like(array)
            continue
        drawn = uniform[start : start + array.size].reshape(array.shape)
        state[name] = (drawn / math.sqrt(array.shape[1])).astype(np.float32)
        start += array.size
    return state
