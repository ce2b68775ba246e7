from __future__ import annotations

import numpy as np
import pytest
import torch

from ddcai.configuration import Training
from ddcai.models.encoder import Network
from ddcai.models.training import train as train_in_torch
from ddcai.simulation.federation.network import Recipe, Shape, _schedule, train

SHAPE = Shape((5, 7, 6, 3))


def rngs(count):
    return [np.random.default_rng([9, place]) for place in range(count)]


def samples(rng, count):
    return rng.normal(0, 1, (count, 5)).astype(np.float32), rng.integers(0, 3, count)


def in_torch(base, x, y, recipe, order):
    """The same descent by autograd."""
    network = Network(5, (7, 6), 3)
    linears = [one for one in network.modules() if isinstance(one, torch.nn.Linear)]
    for linear, (weights, biases) in zip(linears, SHAPE.layers(base[None]), strict=True):
        linear.weight.data = torch.from_numpy(weights[0].T.copy())
        linear.bias.data = torch.from_numpy(biases[0, 0].copy())
    optimizer = torch.optim.SGD(
        network.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum
    )
    for batch in order:
        rows = batch[batch >= 0]
        if rows.size:
            loss = torch.nn.functional.cross_entropy(
                network(torch.from_numpy(x[rows])), torch.from_numpy(y[rows])
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    parts = [(one.weight.detach().numpy().T, one.bias.detach().numpy()) for one in linears]
    return np.concatenate([part.reshape(-1) for pair in parts for part in pair]) - base


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(steps=5, batch_size=4, learning_rate=0.2),
        Recipe(steps=0, epochs=2, batch_size=4, learning_rate=0.1, momentum=0.9),
    ],
)
def test_every_client_trains_as_it_would_alone_in_torch(recipe):
    rng = np.random.default_rng(1)
    data = [samples(rng, count) for count in (9, 4, 1, 17)]
    base = SHAPE.first(3)
    found = train(SHAPE, base, data, recipe, rngs(4))
    starts = np.cumsum([0, 9, 4, 1])
    plans = _schedule([9, 4, 1, 17], recipe, rngs(4))
    for place, (x, y) in enumerate(data):
        order = np.where(plans[place] >= 0, plans[place] - starts[place], -1)
        expected = in_torch(base, x, y, recipe, order)
        assert np.abs(found[place] - expected).max() < 1e-5
        assert np.abs(expected).max() > 0.01


def test_a_client_s_update_hangs_on_nobody_else():
    rng = np.random.default_rng(1)
    data = [samples(rng, 9), samples(rng, 30)]
    recipe = Recipe(steps=0, epochs=1, batch_size=4)
    both = train(SHAPE, SHAPE.first(3), data, recipe, rngs(2))
    alone = train(SHAPE, SHAPE.first(3), data[:1], recipe, rngs(1))
    assert np.abs(both[0] - alone[0]).max() < 1e-6


def test_who_has_nothing_sends_nothing():
    rng = np.random.default_rng(1)
    nothing = (np.zeros((0, 5), np.float32), np.zeros(0, np.int64))
    found = train(SHAPE, SHAPE.first(3), [nothing, samples(rng, 9)], Recipe(), rngs(2))
    assert not found[0].any()
    assert found[1].any()
    assert not train(SHAPE, SHAPE.first(3), [nothing], Recipe(), rngs(1)).any()


@pytest.mark.parametrize(
    ("recipe", "steps"),
    [(Recipe(steps=3, batch_size=4), [3, 3]), (Recipe(steps=0, epochs=2, batch_size=4), [6, 2])],
)
def test_steps_are_as_many_as_the_recipe_says(recipe, steps):
    plans = _schedule([10, 3], recipe, rngs(2))
    assert [(plan >= 0).any(axis=1).sum() for plan in plans] == steps
    first = plans[0][plans[0] >= 0]
    assert sorted(first[:10].tolist()) == list(range(10))
    assert set(plans[1][plans[1] >= 0].tolist()) == {10, 11, 12}


def test_the_recipe_is_that_of_federations():
    """One batch of everything: no order, so both must make the same step."""
    rng = np.random.default_rng(2)
    x, y = samples(rng, 12)
    network = Network(5, (7, 6), 3)
    base = SHAPE.first(3)
    linears = [one for one in network.modules() if isinstance(one, torch.nn.Linear)]
    for linear, (weights, biases) in zip(linears, SHAPE.layers(base[None]), strict=True):
        linear.weight.data = torch.from_numpy(weights[0].T.copy())
        linear.bias.data = torch.from_numpy(biases[0, 0].copy())
    training = Training(local_epochs=3, batch_size=12, learning_rate=0.3, momentum=0.9)
    train_in_torch(network, x, y, training, seed=0)
    parts = [(one.weight.detach().numpy().T, one.bias.detach().numpy()) for one in linears]
    expected = np.concatenate([part.reshape(-1) for pair in parts for part in pair]) - base
    recipe = Recipe(steps=0, epochs=3, batch_size=12, learning_rate=0.3, momentum=0.9)
    found = train(SHAPE, base, [(x, y)], recipe, rngs(1))[0]
    assert np.abs(found - expected).max() < 1e-5
