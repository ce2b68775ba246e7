"""The demo's data: UCI Heart Disease, four hospitals, shipped (`sets/heart-disease/LICENCE.md`)."""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ddcai.assessment.configuration import Assessment
from ddcai.configuration import FederationConfig
from ddcai.data.loading import load
from ddcai.data.partition import stratified_split

FOLDER = Path(__file__).parent / "sets" / "heart-disease"
SITES = ("cleveland", "hungary", "switzerland", "va-long-beach")
TEST_SHARE = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """One hospital's patients, split.

    Attributes:
        name: one of `SITES`.
        x_train, y_train: float32[n, width] and int64[n], which stay at the site.
        x_test, y_test: the held-out patients, which the demo pools.
    """

    name: str
    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]


def heart_config() -> FederationConfig:
    """The demo federation's configuration."""
    return FederationConfig.from_toml(FOLDER / "federation.toml")


def judged_config(root_set: str, rounds: int) -> FederationConfig:
    """The same, with updates that are judged, in one window of all rounds.

    Args:
        root_set: 64 hex digits, the commitment to the root set.
        rounds: how many there will be, 1 to 255.
    """
    config = heart_config()
    return dataclasses.replace(
        config,
        aggregation=dataclasses.replace(config.aggregation, weighting="uniform"),
        encryption=dataclasses.replace(
            config.encryption, parameter_set="bfv-8192-2x30", max_contributors=8
        ),
        assessment=Assessment(root_set=root_set, window=rounds, movement_lag=1),
    )


def site_path(name: str) -> Path:
    """The shipped file of one of `SITES`."""
    return FOLDER / f"{name}.csv"


def load_sites(split_seed: int, config: FederationConfig | None = None) -> tuple[Site, ...]:
    """The four hospitals, each split by the seed, stratified, `TEST_SHARE` held out."""
    config = config or heart_config()
    sites = []
    for name in SITES:
        x, y = load(site_path(name), config)
        train, test = stratified_split(y, test_share=TEST_SHARE, seed=split_seed)
        sites.append(
            Site(name=name, x_train=x[train], y_train=y[train], x_test=x[test], y_test=y[test])
        )
    return tuple(sites)


def pooled_test(
    sites: tuple[Site, ...],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """All sites' held-out patients together."""
    x = np.concatenate([site.x_test for site in sites])
    y = np.concatenate([site.y_test for site in sites])
    return x, y


def write_split(folder: Path, split_seed: int) -> dict[str, Path]:
    """Writes `load_sites`' split as files: what each hospital has, and the pooled test.

    Returns:
        The path by site name, and under ``test`` the pooled held-out patients.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = heart_config()
    paths: dict[str, Path] = {}
    tested: list[list[str]] = []
    header: list[str] = []
    for name in SITES:
        _, y = load(site_path(name), config)
        with site_path(name).open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        train, test = stratified_split(y, test_share=TEST_SHARE, seed=split_seed)
        tested += [rows[row] for row in test]
        paths[name] = folder / f"{name}.csv"
        _write(paths[name], header, [rows[row] for row in train])
    paths["test"] = folder / "test.csv"
    _write(paths["test"], header, tested)
    return paths


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
