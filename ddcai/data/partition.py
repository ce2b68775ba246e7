"""Splitting rows by a seed: train and test, or among simulated sites."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ddcai.errors import ConfigurationError


def stratified_split(
    y: npt.NDArray[np.int64], *, test_share: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row numbers for training and for testing, with each class in both as its share goes.

    Args:
        y: class indices, int64[n].
        test_share: above 0, below 1. Of each class, round(share * count) rows are tested, but
            at least one stays on either side where the class has two or more.
        seed: from 0.

    Returns:
        Two ascending int64 arrays that together hold every row once.

    Raises:
        ConfigurationError: for a share out of range.
    """
    if not 0 < test_share < 1:
        raise ConfigurationError(f"test_share is {test_share}: give a share between 0 and 1")
    generator = np.random.default_rng(seed)
    tested = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = generator.permutation(np.flatnonzero(y == label))
        number = round(test_share * len(rows))
        if len(rows) >= 2:
            number = min(max(number, 1), len(rows) - 1)
        tested[rows[:number]] = True
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def dirichlet_partition(
    y: npt.NDArray[np.int64], *, sites: int, alpha: float, seed: int
) -> list[npt.NDArray[np.int64]]:
    """Row numbers for each simulated site, its share of each class drawn from Dirichlet(alpha).

    The usual way to make uneven sites (Hsu, Qi, Brown, 2019, section 3): large alpha gives
    like sites, small alpha sites of few classes. A site may come out empty.

    Raises:
        ConfigurationError: for fewer than one site, or alpha not positive.
    """
    if sites < 1 or not alpha > 0:
        raise ConfigurationError(f"{sites} sites, alpha {alpha}: give at least 1 and alpha above 0")
    generator = np.random.default_rng(seed)
    parts: list[list[npt.NDArray[np.int64]]] = [[] for _ in range(sites)]
    for label in np.unique(y):
        rows = generator.permutation(np.flatnonzero(y == label))
        shares = generator.dirichlet(np.full(sites, alpha))
        cuts = np.rint(np.cumsum(shares)[:-1] * len(rows)).astype(np.int64)
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return [np.sort(np.concatenate([np.zeros(0, np.int64), *part])) for part in parts]
