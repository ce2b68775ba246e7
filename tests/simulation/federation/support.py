"""A small data set and short runs, for tests of simulated federations."""

from __future__ import annotations

import numpy as np

from ddcai.assessment.configuration import Assessment
from ddcai.simulation.federation.data import Data
from ddcai.simulation.federation.network import Recipe
from ddcai.simulation.federation.run import Setting


def blobs(count: int = 900, classes: int = 3, seed: int = 0) -> Data:
    """Gaussian classes in eight dimensions, apart enough to be learned."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (classes, 8))
    y = rng.integers(0, classes, count)
    x = (centres[y] + rng.normal(0, 0.7, (count, 8))).astype(np.float32)
    return Data(name="blobs", x=x, y=y, classes=classes, hidden=(12,))


def short(**changes: object) -> Setting:
    """Ten clients, windows of four rounds, two windows."""
    settled: dict[str, object] = {
        "clients": 10,
        "rounds": 8,
        "alpha": 1.0,
        "root_set": 60,
        "recipe": Recipe(steps=6, learning_rate=0.2),
        "rule": Assessment(window=4, block=64, root_set_large=60),
    }
    return Setting(**(settled | changes))  # type: ignore[arg-type]
