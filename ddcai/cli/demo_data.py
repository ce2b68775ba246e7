"""The demo's files: what each hospital has, what is public, and a liar's."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ddcai.data.heart_disease import SITES, heart_config, write_split
from ddcai.data.loading import load

Examples = tuple[NDArray[np.float32], NDArray[np.int64]]
FLIPPER = "flipper"
_FLIPPED = 150
_PUBLIC = 100  # of each class


@dataclass(frozen=True, kw_only=True)
class DemoData:
    """Who has what.

    Attributes:
        files: each contributor's training data, by name.
        test: the hospitals' held-out patients.
        root_set: hospitals' patients whose records are public, as many of each class.
    """

    files: dict[str, Path]
    test: Examples
    root_set: Examples


def demo_data(folder: Path, seed: int) -> DemoData:
    """Writes the files; the same for the same seed.

    The flipper has rows of all hospitals, more than most of them, each with the other label.
    """
    config = heart_config()
    files = write_split(folder / "data", seed)
    test = load(files.pop("test"), config)
    rng = np.random.default_rng(seed)
    header: list[str] = []
    rows: list[list[str]] = []
    for name in SITES:
        with files[name].open(newline="", encoding="utf-8") as file:
            header, *more = csv.reader(file)
        rows += more
    label = header.index(config.task.label)
    files[FLIPPER] = folder / "data" / f"{FLIPPER}.csv"
    with files[FLIPPER].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for place in rng.permutation(len(rows))[:_FLIPPED]:
            row = list(rows[place])
            row[label] = "0" if float(row[label]) > 0 else "1"
            writer.writerow(row)
    parts = [load(files[name], config) for name in SITES]
    x, y = (np.concatenate(each) for each in zip(*parts, strict=True))
    public = np.concatenate(
        [rng.permutation(np.flatnonzero(y == class_))[:_PUBLIC] for class_ in (0, 1)]
    )
    return DemoData(files=files, test=test, root_set=(x[public], y[public]))
