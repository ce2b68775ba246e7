"""What others do against poisoned updates, in the open: they all need to read every update.

Those that Flower has give what Flower's own give (a test runs both). They are told the true
number of attackers, which the rule is not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ddcai.simulation.federation.network import Floats

Mean = NDArray[np.float64]
Aggregate = Callable[[Floats, int, Floats], Mean]


def fedavg(updates: Floats, attackers: int, root: Floats) -> Mean:
    """The mean (McMahan et al. 2017)."""
    mean: Mean = updates.mean(axis=0, dtype=np.float64)
    return mean


def krum(updates: Floats, attackers: int, root: Floats) -> Mean:
    """The update that is nearest to its n - f - 2 nearest (Blanchard et al. 2017)."""
    best: Mean = updates[_by_krum(updates, attackers)[0]].astype(np.float64)
    return best


def multi_krum(updates: Floats, attackers: int, root: Floats) -> Mean:
    """The mean of the n - f best by the same score."""
    chosen = _by_krum(updates, attackers)[: max(1, len(updates) - attackers)]
    mean: Mean = updates[chosen].mean(axis=0, dtype=np.float64)
    return mean


def trimmed_mean(updates: Floats, attackers: int, root: Floats) -> Mean:
    """In each coordinate, without the f largest and smallest (Yin et al. 2018)."""
    cut = min(attackers, (len(updates) - 1) // 2)
    ordered = np.sort(updates, axis=0)[cut : len(updates) - cut]
    mean: Mean = ordered.mean(axis=0, dtype=np.float64)
    return mean


def median(updates: Floats, attackers: int, root: Floats) -> Mean:
    """The median of each coordinate (Yin et al. 2018)."""
    middle: Mean = np.median(updates, axis=0).astype(np.float64)
    return middle


def fltrust(updates: Floats, attackers: int, root: Floats) -> Mean:
    """Weighted by positive agreement with the root set's update, all at its length (Cao 2021)."""
    wide = updates.astype(np.float64)
    length = float(np.linalg.norm(root))
    norms = np.linalg.norm(wide, axis=1)
    norms[norms == 0] = np.inf
    trust = np.maximum(0, wide @ root.astype(np.float64) / (norms * max(length, 1e-30)))
    if not trust.any():
        return np.zeros(updates.shape[1])
    mean: Mean = (trust * length / norms) @ wide / trust.sum()
    return mean


COMPARATORS: dict[str, Aggregate] = {
    "fedavg": fedavg,
    "krum": krum,
    "multi-krum": multi_krum,
    "trimmed-mean": trimmed_mean,
    "median": median,
    "fltrust": fltrust,
}


def _by_krum(updates: Floats, attackers: int) -> NDArray[np.int64]:
    """Rows in the order of their Krum scores, the best first."""
    wide = updates.astype(np.float64)
    squares = (wide * wide).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * wide @ wide.T
    nearest = max(1, len(updates) - attackers - 2)
    # The first is the distance to itself.
    score = np.sort(distances, axis=1)[:, 1 : nearest + 1].sum(axis=1)
    return np.argsort(score, kind="stable")


__all__ = ["COMPARATORS"]
