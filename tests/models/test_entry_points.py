"""A user's own module, named in the configuration and found on the Python path."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ddcai.configuration import FederationConfig, Model, Task
from ddcai.errors import ConfigurationError
from ddcai.models import encoder, heads, state
from ddcai.models.entry_points import resolve

_MODULE = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, last):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), last)
        self.head = nn.Linear(4, classes)

def good(config):
    return Net(len(config.task.classes), nn.Tanh())

def unbounded(config):
    net = Net(len(config.task.classes), nn.Identity())
    nn.init.constant_(net.encoder[1].bias, 3.0)
    return net

def no_head(config):
    net = good(config)
    net.head = nn.Identity()
    return net

def no_encoder(config):
    return nn.Linear(2, 2)

def wrong_classes(config):
    return Net(7, nn.Tanh())

def batch_norm(config):
    return Net(len(config.task.classes), nn.Sequential(nn.BatchNorm1d(4), nn.Tanh()))

def fails(config):
    raise KeyError("no such setting")

def other(config):
    return 3

constant = 5
"""


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Writes a module into a folder on the path; returns its name, which no other test uses."""
    monkeypatch.syspath_prepend(str(tmp_path))
    written: list[str] = []

    def write(source: str = _MODULE) -> str:
        name = f"user_{tmp_path.name}_{len(written)}".replace("-", "_").replace("[", "_")
        name = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
        (tmp_path / f"{name}.py").write_text(source)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def _config(entry_point: str) -> FederationConfig:
    return FederationConfig(
        name="own",
        task=Task(label="y", classes=("a", "b", "c"), dataset="any:thing"),
        model=Model(entry_point=entry_point, seed=3),
    )


def test_a_users_module_is_built_seeded_and_encoded(write_module: Callable[..., str]) -> None:
    config = _config(f"{write_module()}:good")
    first, second = encoder.initial_state(config), encoder.initial_state(config)
    assert state.digest(first) == state.digest(second)
    module = encoder.build(config)
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    features = heads.features(module, x)
    assert features.dtype == np.int8
    assert features.shape == (5, 4)
    assert heads.head_of(first, config).scores(features).shape == (5, 3)


def test_a_user_module_does_not_disturb_torchs_generator(write_module: Callable[..., str]) -> None:
    import torch

    config = _config(f"{write_module()}:good")
    before = torch.get_rng_state()
    encoder.build(config)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_encoder_that_leaves_the_range_is_refused(write_module: Callable[..., str]) -> None:
    module = encoder.build(_config(f"{write_module()}:unbounded"))
    with pytest.raises(ConfigurationError, match=r"outside \[-1, 1\]: end it in Tanh"):
        encoder.encode(module, np.zeros((2, 6), np.float32))


def test_inputs_that_the_encoder_does_not_take_are_refused(
    write_module: Callable[..., str],
) -> None:
    module = encoder.build(_config(f"{write_module()}:good"))
    with pytest.raises(ConfigurationError, match="does not take inputs"):
        encoder.encode(module, np.zeros((2, 5), np.float32))


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("no_head", r"\.head is no nn\.Linear"),
        ("no_encoder", r"no \.encoder"),
        ("wrong_classes", "7 outputs for 3 classes"),
        ("batch_norm", "num_batches_tracked.*GroupNorm"),
        ("fails", "KeyError"),
        ("other", "returned a int"),
        ("constant", "name a function"),
        ("missing", "has no 'missing'"),
    ],
)
def test_modules_that_cannot_work_are_refused(
    write_module: Callable[..., str], function: str, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        encoder.build(_config(f"{write_module()}:{function}"))


def test_import_errors_say_what_to_do(write_module: Callable[..., str]) -> None:
    needs = write_module("import there_is_no_such_package_here\n")
    fails = write_module("1 / 0\n")
    with pytest.raises(ConfigurationError, match="PYTHONPATH"):
        resolve("there_is_no_such_package_here:f")
    with pytest.raises(ConfigurationError, match="PYTHONPATH"):
        resolve("there_is_no_such_package_here.inner:f")
    with pytest.raises(ConfigurationError, match="imports 'there_is_no_such_package_here'"):
        resolve(f"{needs}:f")
    with pytest.raises(ConfigurationError, match="ZeroDivisionError"):
        resolve(f"{fails}:f")


@pytest.mark.parametrize("text", ["module", "module:", ":f", "a b:f", "m:f.g", "m:f\n"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="module:function"):
        resolve(text)
