"""Many clients' local training at once: one multi-layer perceptron each, in numpy.

The recipe is that of `ddcai.models.training` (stochastic gradient descent with momentum on log
loss, tanh after each hidden layer), with every matrix product done for all clients together.
Twenty clients train in the time that one takes in a framework made for large models.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a client trains in a round.

    Attributes:
        steps: batches a round, the same for every client, whatever it has: passes over its data
            follow each other. 0: ``epochs`` passes instead, so that who has more trains longer.
        epochs: passes, where steps is 0.
        batch_size, learning_rate, momentum: of the descent.
    """

    steps: int = 16
    epochs: int = 1
    batch_size: int = 16
    learning_rate: float = 0.1
    momentum: float = 0.0


@dataclass(frozen=True)
class Shape:
    """A perceptron's widths: inputs, hidden layers, classes."""

    widths: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of parameters: for each layer its weights [inputs, outputs], then its biases."""
        return sum((a + 1) * b for a, b in itertools.pairwise(self.widths))

    def first(self, seed: int) -> Floats:
        """First weights, uniform in +-1/sqrt(inputs), biases zero: float32[size]."""
        rng = np.random.default_rng([seed, 11])
        parts = []
        for a, b in itertools.pairwise(self.widths):
            parts += [rng.uniform(-1, 1, a * b) / math.sqrt(a), np.zeros(b)]
        return np.concatenate(parts).astype(np.float32)

    def layers(self, states: Floats) -> list[tuple[Floats, Floats]]:
        """Views of float32[c, size]: weights [c, inputs, outputs] and biases [c, 1, outputs]."""
        made, start = [], 0
        for a, b in itertools.pairwise(self.widths):
            weights = states[:, start : start + a * b].reshape(-1, a, b)
            start += a * b
            made.append((weights, states[:, start : start + b].reshape(-1, 1, b)))
            start += b
        return made

    def logits(self, state: Floats, x: Floats) -> Floats:
        """float32[n, classes] for one state float32[size] and inputs float32[n, inputs]."""
        layers = self.layers(state[None])
        hidden = x
        for number, (weights, biases) in enumerate(layers):
            hidden = hidden @ weights[0] + biases[0]
            if number < len(layers) - 1:
                hidden = np.tanh(hidden)
        return hidden

    def predict(self, state: Floats, x: Floats) -> Labels:
        """Class indices, int64[n]."""
        classes: Labels = self.logits(state, x).argmax(axis=1)
        return classes


def train(
    shape: Shape,
    base: Floats,
    data: Sequence[tuple[Floats, Labels]],
    recipe: Recipe,
    rngs: Sequence[np.random.Generator],
) -> Floats:
    """Trains every client from the same base.

    Args:
        shape: the network.
        base: float32[size].
        data: each client's inputs float32[n, inputs] and class indices int64[n]; a client of no
            samples sends zeros.
        recipe: the same for all.
        rngs: one each, for the order of examples: a client's result hangs on nobody else.

    Returns:
        Local minus base, float32[c, size].
    """
    rows = _schedule([len(y) for _, y in data], recipe, rngs)
    x = np.concatenate([x for x, _ in data]).astype(np.float32, copy=False)
    y = np.concatenate([y for _, y in data])
    if not len(y):
        return np.zeros((len(data), shape.size), np.float32)
    states = np.repeat(base[None], len(data), axis=0)
    layers = shape.layers(states)
    velocity = np.zeros_like(states)
    momenta = shape.layers(velocity)
    classes = np.arange(shape.widths[-1])
    for step in range(rows.shape[1]):
        batch = rows[:, step]
        there = batch >= 0
        count = there.sum(axis=1)
        weight = (there / np.maximum(count, 1)[:, None]).astype(np.float32)[:, :, None]
        active = (count > 0).astype(np.float32)[:, None, None] * np.float32(recipe.learning_rate)
        batch = np.where(there, batch, 0)
        values = [x[batch]]
        for weights, biases in layers[:-1]:
            values.append(np.tanh(values[-1] @ weights + biases))
        logits = values[-1] @ layers[-1][0] + layers[-1][1]
        logits -= logits.max(axis=2, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=2, keepdims=True)
        errors = (logits - (y[batch][:, :, None] == classes)) * weight
        for number in reversed(range(len(layers))):
            weights, biases = layers[number]
            inputs = values[number]
            slopes = (inputs.transpose(0, 2, 1) @ errors, errors.sum(axis=1, keepdims=True))
            if number:
                errors = (errors @ weights.transpose(0, 2, 1)) * (1 - inputs * inputs)
            for kept, moment, slope in zip((weights, biases), momenta[number], slopes, strict=True):
                if recipe.momentum:
                    moment *= np.float32(recipe.momentum)
                    moment += slope
                    slope = moment
                kept -= active * slope
    return states - base


def _schedule(
    sizes: Sequence[int], recipe: Recipe, rngs: Sequence[np.random.Generator]
) -> NDArray[np.int64]:
    """Which rows of the joined data each client takes in each step: int64[c, steps, batch], -1
    where it takes none."""
    starts = np.cumsum([0, *sizes])
    plans = []
    for size, start, rng in zip(sizes, starts, rngs, strict=False):
        batches: list[NDArray[np.int64]] = []
        passes = -(-size // recipe.batch_size)
        wanted = recipe.steps or recipe.epochs * passes
        while size and len(batches) < wanted:
            order = rng.permutation(size) + start
            batches += np.split(order, range(recipe.batch_size, size, recipe.batch_size))
        plans.append(batches[:wanted])
    most = max(len(plan) for plan in plans)
    rows = np.full((len(sizes), most, recipe.batch_size), -1, np.int64)
    for place, plan in enumerate(plans):
        for step, batch in enumerate(plan):
            rows[place, step, : len(batch)] = batch
    return rows


__all__ = ["Recipe", "Shape", "train"]
