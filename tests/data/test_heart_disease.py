"""The four hospitals as shipped."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from ddcai.data import heart_disease
from ddcai.data.loading import load


def test_the_files_hold_what_the_notice_says() -> None:
    counts, sick = {}, {}
    for name in heart_disease.SITES:
        _, y = load(heart_disease.site_path(name), heart_disease.heart_config())
        counts[name], sick[name] = len(y), int(y.sum())
    assert counts == {"cleveland": 303, "hungary": 294, "switzerland": 123, "va-long-beach": 200}
    # 165, 303 - 164 and so on, by counting `target > 0` in the published files.
    assert sick == {"cleveland": 139, "hungary": 106, "switzerland": 115, "va-long-beach": 149}
    notice = (heart_disease.FOLDER / "LICENCE.md").read_text()
    for part in ("10.24432/C52P4X", "CC BY 4.0", "Janosi", "Steinbrunn", "Pfisterer", "Detrano"):
        assert part in notice


def test_unmeasured_cholesterol_in_switzerland_is_missing() -> None:
    config = heart_disease.heart_config()
    x, _ = load(heart_disease.site_path("switzerland"), config)
    names = [feature.name for feature in config.task.features]
    start = sum(feature.width for feature in config.task.features[: names.index("chol")])
    assert (x[:, start] == 0).all()
    assert (x[:, start + 1] == 1).all()


def test_the_configuration_is_complete_and_has_one_digest() -> None:
    config = heart_disease.heart_config()
    assert config.task.width == 38
    assert len(config.digest()) == 32
    assert type(config).from_json(config.to_json()) == config


def test_the_sites_split_is_stratified_and_repeats() -> None:
    sites = heart_disease.load_sites(4)
    again = heart_disease.load_sites(4)
    x_test, y_test = heart_disease.pooled_test(sites)
    assert len(x_test) == len(y_test) == sum(len(site.y_test) for site in sites)
    for site, other in zip(sites, again, strict=True):
        assert site.x_test.tobytes() == other.x_test.tobytes()
        assert abs(site.y_train.mean() - site.y_test.mean()) < 0.05
        assert len(site.y_test) == pytest.approx(
            heart_disease.TEST_SHARE * (len(site.y_train) + len(site.y_test)), abs=2
        )


def test_the_written_split_loads_as_the_same_arrays(tmp_path: Path) -> None:
    config = heart_disease.heart_config()
    paths = heart_disease.write_split(tmp_path / "new", 7)
    sites = heart_disease.load_sites(7)
    for site in sites:
        x, y = load(paths[site.name], config)
        assert np.array_equal(x, site.x_train)
        assert np.array_equal(y, site.y_train)
    x_test, y_test = heart_disease.pooled_test(sites)
    x, y = load(paths["test"], config)
    assert np.array_equal(x, x_test)
    assert np.array_equal(y, y_test)


def test_every_row_has_every_column() -> None:
    for name in heart_disease.SITES:
        with heart_disease.site_path(name).open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header[-1] == "target"
        assert {len(row) for row in rows} == {14}
