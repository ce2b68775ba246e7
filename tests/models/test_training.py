"""Local training: it learns, it repeats, and it says so when it cannot."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from ddcai.configuration import Training
from ddcai.errors import DataError, RoundError
from ddcai.models import state
from ddcai.models import training as training_module
from ddcai.models.encoder import Network, state_of
from ddcai.models.training import evaluate, train


def _data(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).uniform(-1, 1, (n, 3)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


def _network() -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network(3, (8, 4), 2)


RECIPE = Training(local_epochs=20, batch_size=8, learning_rate=0.05)


def test_it_learns() -> None:
    x, y = _data()
    module = _network()
    before = evaluate(module, x, y, head_scale=1024)
    loss = train(module, x, y, RECIPE, seed=1)
    after = evaluate(module, x, y, head_scale=1024)
    assert after.accuracy > 0.95 > before.accuracy
    assert abs(after.accuracy - after.accuracy_float) <= 0.02
    assert after.log_loss < before.log_loss
    assert 0 < loss < before.log_loss
    assert after.num_examples == 120


def test_a_seed_gives_the_same_bits_and_another_seed_others() -> None:
    x, y = _data()
    digests = []
    for seed in (1, 1, 2):
        module = _network()
        train(module, x, y, RECIPE, seed=seed)
        digests.append(state.digest(state_of(module)))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("head_only", [False, True])
def test_it_is_torchs_own_sgd_to_the_bit(
    momentum: float, weight_decay: float, head_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dataclasses.replace(RECIPE, momentum=momentum, weight_decay=weight_decay)
    x, y = _data()
    own, expected = _network(), _network()
    loss = train(own, x, y, recipe, seed=1, head_only=head_only)

    def torchs(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters,
            lr=training.learning_rate,
            momentum=training.momentum,
            weight_decay=training.weight_decay,
        )

    monkeypatch.setattr(training_module, "_Sgd", torchs)
    assert train(expected, x, y, recipe, seed=1, head_only=head_only) == loss
    assert state.digest(state_of(own)) == state.digest(state_of(expected))
    assert state.digest(state_of(own)) != state.digest(state_of(_network()))


def test_training_does_not_load_torchs_compiler() -> None:
    code = (
        "import sys, numpy as np; from ddcai.configuration import Training; "
        "from ddcai.models.encoder import Network; from ddcai.models.training import train; "
        "train(Network(3, (4,), 2), np.ones((4, 3), np.float32), np.array([0, 1, 0, 1]), "
        "Training(local_epochs=1, batch_size=2, learning_rate=0.1), seed=1); "
        "print('torch._dynamo' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout.strip() == b"False"


def test_dropout_is_seeded_and_off_in_evaluation() -> None:
    x, y = _data()
    digests = set()
    for _ in range(2):
        module = _network()
        module.encoder.insert(2, nn.Dropout(0.3))
        train(module, x, y, RECIPE, seed=1)
        digests.add(state.digest(state_of(module)))
        assert evaluate(module, x, y, head_scale=64) == evaluate(module, x, y, head_scale=64)
    assert len(digests) == 1


def test_torchs_own_generator_is_left_alone() -> None:
    x, y = _data()
    before = torch.get_rng_state()
    train(_network(), x, y, dataclasses.replace(RECIPE, local_epochs=1), seed=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_step_is_gradient_descent_on_mean_log_loss() -> None:
    """A whole-batch step of a linear head against the gradient written out by hand."""
    x, y = _data(10)
    module = _network()
    module.encoder = nn.Sequential(nn.Identity())
    module.head = nn.Linear(3, 2)
    weight = module.head.weight.detach().double().numpy().copy()
    bias = module.head.bias.detach().double().numpy().copy()
    recipe = Training(local_epochs=1, batch_size=10, learning_rate=0.5, weight_decay=0.1)
    loss = train(module, x, y, recipe, seed=0)
    logits = x @ weight.T + bias
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log(shares[np.arange(10), y]).mean(), rel=1e-5)
    error = (shares - np.eye(2)[y]) / 10
    expected = weight - 0.5 * (error.T @ x + 0.1 * weight)
    np.testing.assert_allclose(module.head.weight.detach().numpy(), expected, atol=1e-5)
    expected_bias = bias - 0.5 * (error.sum(axis=0) + 0.1 * bias)
    np.testing.assert_allclose(module.head.bias.detach().numpy(), expected_bias, atol=1e-5)


def test_parameters_that_are_frozen_stay() -> None:
    x, y = _data()
    module = _network()
    for parameter in module.encoder.parameters():
        parameter.requires_grad_(False)
    before = state_of(module)
    train(module, x, y, RECIPE, seed=0)
    after = state_of(module)
    assert np.array_equal(before["encoder.0.weight"], after["encoder.0.weight"])
    assert not np.array_equal(before["head.weight"], after["head.weight"])


def test_a_diverging_loss_names_the_learning_rate() -> None:
    x, y = _data()
    recipe = Training(local_epochs=3, batch_size=8, learning_rate=1e38)
    with pytest.raises(RoundError, match=r"training\.learning_rate"):
        train(_network(), x, y, recipe, seed=0)


def test_no_examples_and_unequal_lengths_are_refused() -> None:
    x, y = _data()
    for inputs, labels in ((x[:0], y[:0]), (x, y[:-1])):
        with pytest.raises(DataError, match="as many of each"):
            train(_network(), inputs, labels, RECIPE, seed=0)
        with pytest.raises(DataError, match="as many of each"):
            evaluate(_network(), inputs, labels, head_scale=1)


def test_a_batch_larger_than_the_data_is_the_data() -> None:
    x, y = _data(5)
    recipe = Training(local_epochs=1, batch_size=64)
    assert train(_network(), x, y, recipe, seed=0) > 0


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_head_alone_leaves_the_rest_to_the_bit(dropout: float) -> None:
    x, y = _data()
    module = _network()
    module.encoder.insert(2, nn.Dropout(dropout))
    before = state_of(module)
    loss = evaluate(module, x, y, head_scale=1024).log_loss
    train(module, x, y, RECIPE, seed=1, head_only=True)
    after = state_of(module)
    assert evaluate(module, x, y, head_scale=1024).log_loss < loss
    changed = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    assert changed == {"head.weight", "head.bias"}
    # And nothing stays frozen: the next round trains all again.
    train(module, x, y, RECIPE, seed=1)
    assert all(
        before[name].tobytes() != array.tobytes() for name, array in state_of(module).items()
    )
