"""The demo's files; that it runs is in `tests/test_wheel.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ddcai.assessment.root_set import check_balanced
from ddcai.cli.demo_data import FLIPPER, demo_data
from ddcai.data.heart_disease import SITES, heart_config, judged_config, load_sites, pooled_test
from ddcai.data.loading import load


def test_hospitals_have_their_own_and_the_flipper_the_same_rows_turned_round(
    tmp_path: Path,
) -> None:
    config = heart_config()
    data = demo_data(tmp_path / "one", 3)
    sites = load_sites(3)
    assert set(data.files) == {*SITES, FLIPPER}
    known: dict[bytes, set[int]] = {}
    for site in sites:
        x, y = load(data.files[site.name], config)
        assert (x.tobytes(), y.tobytes()) == (site.x_train.tobytes(), site.y_train.tobytes())
        for row, label in zip(x, y, strict=True):
            known.setdefault(row.tobytes(), set()).add(int(label))
    x, y = load(data.files[FLIPPER], config)
    assert len(x) == 150
    for row, label in zip(x, y, strict=True):
        assert 1 - int(label) in known[row.tobytes()]
    assert data.test[0].tobytes() == pooled_test(sites)[0].tobytes()
    x, y = data.root_set
    assert np.bincount(y).tolist() == [100, 100]
    assert all(int(label) in known[row.tobytes()] for row, label in zip(x, y, strict=True))
    again = demo_data(tmp_path / "two", 3)
    assert again.root_set[0].tobytes() == x.tobytes()
    assert again.files[FLIPPER].read_bytes() == data.files[FLIPPER].read_bytes()


def test_the_configuration_judges_all_rounds_in_one_window() -> None:
    config = judged_config("ab" * 32, 7)
    assert config.assessment is not None
    assert (config.assessment.window, config.assessment.movement_lag) == (7, 1)
    check_balanced(np.repeat([0, 1], 100), len(config.task.classes), config.assessment)
