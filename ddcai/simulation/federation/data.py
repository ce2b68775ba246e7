"""What a simulated federation learns: any data set, split into clients, a root set and a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ddcai.data import heart_disease, sms
from ddcai.data.arrays import checked_inputs, checked_labels
from ddcai.data.features import as_number
from ddcai.data.partition import dirichlet_partition, stratified_split
from ddcai.data.tables import read_npz, read_table
from ddcai.errors import ConfigurationError, DataError
from ddcai.simulation.federation.network import Floats, Labels

TEST_SHARE = 0.2
# Each of the four hospitals is split into three.
WARDS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """A data set.

    Attributes:
        name: of the set.
        x, y: inputs float32[n, d] and class indices int64[n].
        classes: how many.
        hidden: widths of the hidden layers that suit it.
        sites: for each row, the natural site that it comes from; None where there are none.
    """

    name: str
    x: Floats
    y: Labels
    classes: int
    hidden: tuple[int, ...] = (128, 64)
    sites: Labels | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A data set dealt out.

    Attributes:
        clients: each client's inputs and classes.
        root: the public root set, the same number of each class; empty where none is wanted.
        test: what accuracy is measured on.
    """

    clients: list[tuple[Floats, Labels]]
    root: tuple[Floats, Labels]
    test: tuple[Floats, Labels]


def load(name: str) -> Data:
    """``heart``, ``sms``, an ``.npz`` with x float[n, d] and y int[n], or a CSV file of numbers
    whose last column is the class index.

    Raises:
        ConfigurationError: no such set or file.
        DataError: a file that is no such table.
    """
    if name == "heart":
        config = heart_disease.heart_config()
        sites = heart_disease.load_sites(0, config)
        x = np.concatenate([np.concatenate([site.x_train, site.x_test]) for site in sites])
        y = np.concatenate([np.concatenate([site.y_train, site.y_test]) for site in sites])
        counts = [len(site.y_train) + len(site.y_test) for site in sites]
        home = np.repeat(np.arange(len(sites)), counts)
        return Data(name=name, x=x, y=y, classes=2, hidden=config.model.hidden, sites=home)
    if name == "sms":
        x, y = sms.dataset(str(sms.PATH), sms.sms_config())
        return Data(name=name, x=x, y=y, classes=2, hidden=())
    path = Path(name)
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path)
        if not {"x", "y"} <= set(arrays):
            raise DataError(f"{path} holds {', '.join(sorted(arrays))}: give x and y")
        x = checked_inputs(arrays["x"], str(path))
        labels = arrays["y"]
    elif path.suffix.lower() == ".csv":
        columns = list(read_table(path).columns.values())
        numbers = [[as_number(text) for text in column] for column in columns]
        if len(columns) < 2 or any(value is None for column in numbers for value in column):
            raise DataError(f"{path}: give a header and numbers alone, the class index last")
        table = np.array(numbers, np.float64).T
        x = checked_inputs(table[:, :-1], str(path))
        labels = table[:, -1].astype(np.int64)
        if (labels != table[:, -1]).any():
            raise DataError(f"{path}: the last column is the class index, a whole number")
    else:
        raise ConfigurationError(f"data is {name!r}: give heart, sms, or an .npz or .csv file")
    classes = int(labels.max()) + 1 if labels.size else 0
    if classes < 2:
        raise DataError(f"{path} has labels up to {classes - 1}: give at least two classes")
    y = checked_labels(labels, len(x), classes, str(path))
    return Data(name=path.stem, x=x.reshape(len(x), -1), y=y, classes=classes)


def deal(
    data: Data, *, clients: int, alpha: float, root_set: int, seed: int, least: int = 16
) -> Split:
    """Deals a data set out by a seed: a fifth is tested on, ``root_set`` samples are public.

    A set of natural sites is split at random inside each site into clients / sites parts; any
    other by Dirichlet(alpha) over classes. A client that comes out with fewer than ``least``
    samples takes some from the largest.

    Raises:
        ConfigurationError: fewer than one client, more clients than there are samples for, a
            root set larger than the rarest class allows, or natural sites that do not divide.
    """
    training, tested = stratified_split(data.y, test_share=TEST_SHARE, seed=seed)
    rng = np.random.default_rng([seed, 21])
    each = root_set // data.classes
    root: list[np.ndarray] = []
    for label in range(data.classes if each else 0):
        there = training[data.y[training] == label]
        if len(there) < 2 * each:
            raise ConfigurationError(
                f"root set of {root_set}: class {label} has {len(there)} samples, of which at "
                "most half may be public; give a smaller one"
            )
        root.append(rng.choice(there, each, replace=False))
    public = np.concatenate(root) if root else np.zeros(0, np.int64)
    private = np.setdiff1d(training, public)
    if not 1 <= clients <= len(private) // 2:
        raise ConfigurationError(
            f"{clients} clients share {len(private)} samples: give 1 to {len(private) // 2}"
        )
    if data.sites is None:
        dealt = dirichlet_partition(data.y[private], sites=clients, alpha=alpha, seed=seed)
        parts = [private[rows] for rows in dealt]
    else:
        homes = np.unique(data.sites)
        if clients % len(homes):
            raise ConfigurationError(f"{clients} clients: {len(homes)} natural sites must divide")
        parts = []
        for home in homes:
            rows = rng.permutation(private[data.sites[private] == home])
            parts += np.array_split(rows, clients // len(homes))
    _level(parts, min(least, len(private) // clients))
    return Split(
        clients=[(data.x[part], data.y[part]) for part in parts],
        root=(data.x[public], data.y[public]),
        test=(data.x[tested], data.y[tested]),
    )


def _level(parts: list[np.ndarray], least: int) -> None:
    """Moves samples from the largest part to those that have too few."""
    for place, part in enumerate(parts):
        while len(part) < least:
            largest = max(range(len(parts)), key=lambda other: len(parts[other]))
            wanted = min(least - len(part), len(parts[largest]) - least)
            moved, parts[largest] = parts[largest][:wanted], parts[largest][wanted:]
            part = parts[place] = np.concatenate([part, moved])


__all__ = ["Data", "Split", "deal", "load"]
