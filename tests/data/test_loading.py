"""A site's file to training arrays, whichever way it is given, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ddcai.configuration import Feature, FederationConfig, Task
from ddcai.data.loading import load, load_features
from ddcai.errors import DataError

CONFIG = FederationConfig(
    name="small",
    task=Task(
        label="y",
        classes=("no", "yes"),
        features=(
            Feature(name="age", kind="numeric", low=0, high=100),
            Feature(name="sex", kind="categorical", categories=("0", "1")),
        ),
    ),
)
ROWS = {"age": [50.0, 100.0, float("nan")], "sex": [0, 1, 1], "y": ["no", "yes", "no"]}
X = [[0, 0, 1, 0, 0], [1, 0, 0, 1, 0], [0, 1, 0, 1, 0]]


def _csv(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.csv"
    path.write_text(text)
    return path


def test_csv_parquet_and_npz_give_the_same_arrays(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    np.savez(tmp_path / "columns.npz", **{name: np.array(v) for name, v in ROWS.items()})
    np.savez(tmp_path / "arrays.npz", x=np.array(X, np.float64), y=np.array([0, 1, 0], np.uint8))
    for name in ("a.csv", "a.parquet", "columns.npz", "arrays.npz"):
        x, y = load(tmp_path / name, CONFIG)
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert x.tolist() == X
        assert y.tolist() == [0, 1, 0]
        assert load_features(tmp_path / name, CONFIG).tolist() == X


def test_prediction_needs_no_label(tmp_path: Path) -> None:
    path = _csv(tmp_path, "sex,age\n1,100\n")
    assert load_features(path, CONFIG).tolist() == [X[1]]
    np.savez(tmp_path / "x.npz", x=np.array(X, np.float32))
    assert load_features(tmp_path / "x.npz", CONFIG).tolist() == X


def test_the_label_column_may_have_another_name(tmp_path: Path) -> None:
    path = _csv(tmp_path, "age,sex,out\n1,1,yes\n2,0,no\n")
    assert load(path, CONFIG, label="out")[1].tolist() == [1, 0]
    with pytest.raises(DataError, match="no column 'y'"):
        load(path, CONFIG)


def test_an_npz_column_called_x_is_a_column(tmp_path: Path) -> None:
    task = Task(
        label="y",
        classes=("no", "yes"),
        features=(Feature(name="x", kind="numeric", low=0, high=2),),
    )
    np.savez(tmp_path / "a.npz", x=np.array([0.0, 1.0]), y=np.array([0, 1]))
    x, y = load(tmp_path / "a.npz", FederationConfig(name="x", task=task))
    assert x.tolist() == [[-1, 0], [0, 0]]
    assert y.tolist() == [0, 1]


def test_an_empty_site_is_refused(tmp_path: Path) -> None:
    path = _csv(tmp_path, "age,sex,y\n")
    with pytest.raises(DataError, match="no rows: a site needs examples"):
        load(path, CONFIG)
    with pytest.raises(DataError, match="no rows: there is nothing"):
        load_features(path, CONFIG)
    np.savez(tmp_path / "a.npz", x=np.zeros((0, 5)), y=np.zeros(0, np.int64))
    with pytest.raises(DataError, match="no rows"):
        load(tmp_path / "a.npz", CONFIG)


def test_one_class_only_cannot_train_but_can_be_tested(tmp_path: Path) -> None:
    path = _csv(tmp_path, "age,sex,y\n1,1,yes\n2,1,yes\n")
    with pytest.raises(DataError, match="every one of its 2 labels is 'yes'"):
        load(path, CONFIG)
    assert load(path, CONFIG, for_training=False)[1].tolist() == [1, 1]


def test_errors_name_file_column_row_and_value(tmp_path: Path) -> None:
    path = _csv(tmp_path, "age,sex,y\n1,1,yes\ninf,1,no\n")
    with pytest.raises(DataError) as caught:
        load(path, CONFIG)
    for part in (str(path), "'age'", "row 2", "'inf'"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": np.zeros((2, 4)), "y": np.zeros(2, int)}, r"need float32\[n, 5\]"),
        ({"x": np.zeros((2, 5, 1)), "y": np.zeros(2, int)}, "need float32"),
        ({"x": np.zeros((2, 5), "U1"), "y": np.zeros(2, int)}, "x is <U1"),
        ({"x": np.zeros((2, 5))}, "no y"),
        ({"x": np.zeros((2, 5)), "y": np.zeros(3, int)}, r"int64\[2\]"),
        ({"x": np.zeros((2, 5)), "y": np.zeros(2, float)}, r"int64\[2\]"),
        ({"x": np.zeros((2, 5)), "y": np.array([0, 2])}, "row 2 of y is 2"),
        ({"x": np.zeros((2, 5)), "y": np.array([-1, 0])}, "row 1 of y is -1"),
        ({"x": np.array([[0] * 5, [np.nan] * 5]), "y": np.array([0, 1])}, "row 2 of x holds NaN"),
        ({"x": np.array([[0] * 5, [np.inf] * 5]), "y": np.array([0, 1])}, "row 2 of x holds NaN"),
    ],
)
def test_encoded_arrays_are_checked(
    tmp_path: Path, arrays: dict[str, np.ndarray], says: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=says):
        load(tmp_path / "a.npz", CONFIG)


def test_values_that_overflow_float32_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.full((2, 5), 1e300), y=np.array([0, 1]))
    with pytest.raises(DataError, match="beyond float32"):
        load(tmp_path / "a.npz", CONFIG)
