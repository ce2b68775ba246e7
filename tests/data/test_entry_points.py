"""A user's own dataset function, in a module on the path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ddcai.configuration import Feature, FederationConfig, Task
from ddcai.data.entry_points import load_user_dataset
from ddcai.data.loading import load, load_features
from ddcai.errors import ConfigurationError, DataError

_MODULE = """
import numpy as np
from ddcai.errors import DataError

def good(path, config):
    values = np.array([float(word) for word in open(path).read().split()])
    return values.reshape(-1, 1, 1), (values > 0).astype(np.uint8)

def refuses(path, config):
    raise DataError("the user's own words")

def fails(path, config): return 1 / 0
def no_tuple(path, config): return np.zeros((2, 2))
def text(path, config): return np.array([["a"]]), np.zeros(1, int)
def flat(path, config): return np.zeros(2), np.zeros(2, int)
def short(path, config): return np.zeros((2, 1)), np.zeros(1, int)
def floats(path, config): return np.zeros((2, 1)), np.zeros(2)
def nan(path, config): return np.array([[0.0], [np.nan]]), np.zeros(2, int)
def high(path, config): return np.zeros((2, 1)), np.array([0, 2])
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"user_data_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    sys.modules.pop(name, None)


def _config(entry_point: str | None) -> FederationConfig:
    features = () if entry_point else (Feature(name="a", kind="numeric"),)
    task = Task(label="y", classes=("a", "b"), dataset=entry_point, features=features)
    return FederationConfig(name="own", task=task)


def test_a_users_dataset_is_loaded(module: str, tmp_path: Path) -> None:
    path = tmp_path / "site.words"
    path.write_text("1 -2 3")
    x, y = load(path, _config(f"{module}:good"))
    assert x.dtype == np.float32
    assert y.dtype == np.int64
    assert x.shape == (3, 1, 1)
    assert y.tolist() == [1, 0, 1]
    assert load_features(path, _config(f"{module}:good")).ravel().tolist() == [1, -2, 3]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("refuses", "^the user's own words$"),
        ("fails", "failed on .*ZeroDivisionError"),
        ("no_tuple", r"returned a ndarray: return \(x, y\)"),
        ("text", "x is <U1"),
        ("flat", r"x is float64\[2\]"),
        ("short", r"give class indices, int64\[2\]"),
        ("floats", r"y is float64\[2\]: give class indices"),
        ("nan", "row 2 of x holds NaN"),
        ("high", "row 2 of y is 2"),
    ],
)
def test_what_it_returns_is_checked(module: str, function: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load("site", _config(f"{module}:{function}"))


def test_one_class_and_no_rows_are_refused_here_too(module: str, tmp_path: Path) -> None:
    path = tmp_path / "site.words"
    for words, says in (("1 2", "every one"), ("", "no rows")):
        path.write_text(words)
        with pytest.raises(DataError, match=says):
            load(path, _config(f"{module}:good"))


def test_a_function_that_is_not_there(module: str) -> None:
    with pytest.raises(ConfigurationError, match="has no 'absent'"):
        load("site", _config(f"{module}:absent"))
    with pytest.raises(ConfigurationError, match=r"task\.dataset is not set"):
        load_user_dataset("site", _config(None))
