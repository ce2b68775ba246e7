"""Columns to inputs: scaling, indicators, categories and labels, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.configuration import Feature, Task
from ddcai.data.features import beyond_range, encode_features, encode_labels
from ddcai.data.tables import Table
from ddcai.errors import DataError


def _table(**columns: list[str]) -> Table:
    return Table(path="site.csv", columns=columns)


def _task(*features: Feature, **settings: object) -> Task:
    given = {"label": "y", "classes": ("a", "b"), "features": features} | settings
    return Task(**given)  # type: ignore[arg-type]


AGE = Feature(name="age", kind="numeric", low=20, high=80, missing=("0",))
KIND = Feature(name="kind", kind="categorical", categories=("1", "2", "other"), missing=("9",))


def test_numbers_are_scaled_by_the_agreed_range() -> None:
    x = encode_features(_table(age=["20", "50", "80", " 65 ".strip(), "5e1"]), _task(AGE))
    assert x.dtype == np.float32
    assert x.tolist() == [[-1, 0], [0, 0], [1, 0], [0.5, 0], [0, 0]]


def test_numbers_beyond_the_range_are_clipped() -> None:
    x = encode_features(_table(age=["19", "-1e308", "1e308"]), _task(AGE))
    assert x.tolist() == [[-1, 0], [-1, 0], [1, 0]]


@pytest.mark.parametrize("text", ["", "?", "NA", "n/a", "NaN", "-nan", "None", "0", "0.0", "-0"])
def test_missing_numbers_become_a_zero_and_an_indicator(text: str) -> None:
    assert encode_features(_table(age=[text]), _task(AGE)).tolist() == [[0, 1]]


def test_values_that_lose_by_encoding_are_counted_by_column() -> None:
    age = ["19.9", "20", "80", "80.1", "0", "", "nan"]
    kind = ["1.0", "other", "9", "?", "Other", "3", "1"]
    assert beyond_range(_table(age=age, kind=kind), _task(AGE, KIND)) == {"age": 2, "kind": 2}
    assert beyond_range(_table(age=["20"], kind=["2"]), _task(AGE, KIND)) == {}


@given(st.lists(st.floats(-200, 200, allow_nan=False), min_size=1))
def test_no_number_within_the_range_is_counted(values: list[float]) -> None:
    inside = [value for value in values if 20 <= value <= 80 or value == 0]
    counted = beyond_range(_table(age=[repr(value) for value in values]), _task(AGE))
    assert counted.get("age", 0) == len(values) - len(inside)


def test_categories_are_one_hot_and_compared_as_numbers() -> None:
    x = encode_features(_table(kind=["1", "1.0", "2.00", "other", "01"]), _task(KIND))
    assert x.argmax(axis=1).tolist() == [0, 0, 1, 2, 0]
    assert (x.sum(axis=1) == 1).all()


@pytest.mark.parametrize("text", ["", "?", "NA", "9", "9.0", "3", "Other", "inf"])
def test_other_categories_count_as_missing(text: str) -> None:
    assert encode_features(_table(kind=[text]), _task(KIND)).tolist() == [[0, 0, 0, 1]]


@pytest.mark.parametrize("text", ["inf", "-inf", "1e999", "abc", "1,5", "1_0", "0x10"])
def test_numbers_that_are_none_are_refused_by_place(text: str) -> None:
    with pytest.raises(DataError) as caught:
        encode_features(_table(age=["50", text]), _task(AGE))
    for part in ("site.csv", "row 2", "'age'", repr(text), "leave it empty"):
        assert part in str(caught.value)


def test_a_missing_column_is_named_beside_those_that_are_there() -> None:
    with pytest.raises(DataError, match=r"site\.csv has no column 'age' \(it has Age, y\)"):
        encode_features(_table(Age=["1"], y=["0"]), _task(AGE))


_cell = st.one_of(st.text(max_size=8), st.floats().map(repr), st.integers().map(str))


def _is_age(text: str) -> bool:
    if text.lower() in ("", "?", "na", "n/a", "nan", "none", "null", "<na>"):
        return True
    try:
        return "_" not in text and not math.isinf(float(text))
    except ValueError:
        return False


@given(st.lists(st.tuples(_cell, _cell), max_size=5))
def test_inputs_are_bounded_and_complete_or_refused(rows: list[tuple[str, str]]) -> None:
    """Whatever the cells: each value in [-1, 1], one indicator or category set, or an error."""
    task = _task(AGE, KIND)
    table = _table(age=[row[0] for row in rows], kind=[row[1] for row in rows])
    try:
        x = encode_features(table, task)
    except DataError:
        # By hand: some age is neither missing nor a finite number.
        assert not all(_is_age(row[0]) for row in rows)
        return
    assert all(_is_age(row[0]) for row in rows)
    assert x.shape == (len(rows), task.width)
    assert x.size == 0 or np.abs(x).max() <= 1
    assert (x[:, 2:].sum(axis=1) == 1).all()
    assert (x[x[:, 1] == 1, 0] == 0).all()


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-2e6, 2e6))
def test_scaling_inverts(low: float, span: float, value: float) -> None:
    high = low + abs(span) + 1.0
    feature = Feature(name="v", kind="numeric", low=low, high=high)
    scaled = float(encode_features(_table(v=[repr(value)]), _task(feature))[0, 0])
    back = (scaled + 1) / 2 * (high - low) + low
    tolerance = 1e-6 * (abs(high) + abs(low) + 1)
    assert math.isclose(back, min(high, max(low, value)), abs_tol=tolerance)


def test_labels_by_name_number_and_index() -> None:
    assert encode_labels(_table(y=["b", "a"]), _task(AGE)).tolist() == [1, 0]
    assert encode_labels(_table(y=["1", "0", "1.0"]), _task(AGE)).tolist() == [1, 0, 1]
    numbered = _task(AGE, classes=("2", "4"))
    assert encode_labels(_table(y=["4.0", "2"]), numbered).tolist() == [1, 0]


def test_an_index_is_no_label_where_classes_are_numbers() -> None:
    with pytest.raises(DataError, match="the classes are 2, 4"):
        encode_labels(_table(y=["0"]), _task(AGE, classes=("2", "4")))


def test_positive_above() -> None:
    task = _task(AGE, positive_above=0.0)
    assert encode_labels(_table(y=["0", "1", "4", "0.0", "-1"]), task).tolist() == [0, 1, 1, 0, 0]


@pytest.mark.parametrize("positive_above", [None, 0.0])
@pytest.mark.parametrize("text", ["", "?", "NaN"])
def test_a_missing_label_names_its_row(text: str, positive_above: float | None) -> None:
    with pytest.raises(DataError, match=r"site\.csv row 2, column 'y' is .*missing"):
        encode_labels(_table(y=["1", text]), _task(AGE, positive_above=positive_above))


@pytest.mark.parametrize("text", ["c", "2", "-1", "0.5", "inf"])
def test_an_unknown_label_names_the_classes(text: str) -> None:
    with pytest.raises(DataError, match=r"row 1, column 'y'.*the classes are a, b"):
        encode_labels(_table(y=[text]), _task(AGE))


@pytest.mark.parametrize("text", ["sick", "inf"])
def test_positive_above_needs_a_number(text: str) -> None:
    with pytest.raises(DataError, match="give a number"):
        encode_labels(_table(y=[text]), _task(AGE, positive_above=0.0))


def test_a_class_may_have_a_missing_values_name() -> None:
    assert encode_labels(_table(y=["none", "b"]), _task(AGE, classes=("none", "b"))).tolist() == [
        0,
        1,
    ]


def test_the_label_column_may_have_another_name_here() -> None:
    table = _table(outcome=["b"], y=["a"])
    assert encode_labels(table, _task(AGE), "outcome").tolist() == [1]
    with pytest.raises(DataError, match="no column 'result'"):
        encode_labels(table, _task(AGE), "result")
