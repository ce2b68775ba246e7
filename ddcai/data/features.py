"""Columns of text -> a network's inputs, by the federation's agreed ranges and categories.

No statistic of any site's data is used or revealed: scaling is by the configuration's ranges
alone, so one row gives the same inputs at every site and on chain.

| value | numeric column | categorical column |
|---|---|---|
| in range / a category | scaled to [-1, 1], indicator 0 | 1 in its place, indicator 0 |
| beyond the range / another value | clipped to -1 or 1 | missing |
| empty, ``?``, ``NA``, NaN, or listed in ``missing`` | 0, indicator 1 | zeros, indicator 1 |
| infinity, or not a number | DataError | (text, as above) |
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ddcai.configuration import Feature, Task
from ddcai.data.tables import Table
from ddcai.errors import DataError

_MISSING = frozenset({"", "?", "na", "n/a", "nan", "none", "null", "<na>"})


def encode_features(table: Table, task: Task) -> npt.NDArray[np.float32]:
    """The inputs of all rows, float32[n, task.width], each in [-1, 1].

    Each feature gives its value (or one place a category), then its missing indicator.

    Raises:
        DataError: naming file, column, row and value.
    """
    out = np.zeros((table.rows, task.width), np.float32)
    start = 0
    for feature in task.features:
        block = out[:, start : start + feature.width]
        column = table.column(feature.name)
        if feature.kind == "numeric":
            _encode_numeric(block, column, feature, table.path)
        else:
            _encode_categorical(block, column, feature)
        start += feature.width
    return out


def encode_labels(table: Table, task: Task, label: str | None = None) -> npt.NDArray[np.int64]:
    """The class indices of all rows, int64[n].

    Args:
        table: the columns.
        task: with ``positive_above``, a label is a number, and class 1 lies above it. Otherwise
            it is a class's name or, where no class has a number for a name, its index.
        label: the label column's name in this file, where it is not ``task.label``.

    Raises:
        DataError: naming file, column, row and value, for a missing or unknown label.
    """
    name = label or task.label
    column = table.column(name)
    known: dict[str, int] = {}
    out = np.empty(len(column), np.int64)
    for index, text in enumerate(column):
        # There are few different labels and many rows.
        if text not in known:
            known[text] = _label(text, task, f"{table.path} row {index + 1}, column {name!r}")
        out[index] = known[text]
    return out


def beyond_range(table: Table, task: Task) -> dict[str, int]:
    """How many values of each column `encode_features` clips, or takes for missing.

    Returns:
        rows by column: numbers beyond the range, texts that are no category. Without the columns
        that have none.
    """
    out = {}
    for feature in task.features:
        column = table.column(feature.name)
        out[feature.name] = sum(_is_beyond(text, feature) for text in column)
    return {name: rows for name, rows in out.items() if rows}


def _is_beyond(text: str, feature: Feature) -> bool:
    number = as_number(text)
    if _is_missing(text, number, feature):
        return False
    if feature.kind == "numeric":
        return number is not None and not feature.low <= number <= feature.high
    numbers = [as_number(category) for category in feature.categories]
    return _category(text, feature, numbers) == len(feature.categories)


def _label(text: str, task: Task, where: str) -> int:
    if text.lower() in _MISSING and text not in task.classes:
        raise DataError(f"{where} is {text!r}: a label is missing; fill it in or drop the row")
    number = as_number(text)
    if task.positive_above is not None:
        if number is None or not math.isfinite(number):
            raise DataError(f"{where} is {text!r}: give a number")
        return int(number > task.positive_above)
    if text in task.classes:
        return task.classes.index(text)
    if number is not None:
        values = [as_number(name) for name in task.classes]
        if number in values:
            return values.index(number)
        named_by_numbers = any(value is not None for value in values)
        if not named_by_numbers and number in range(len(task.classes)):
            return int(number)
    raise DataError(
        f"{where} is {text!r}, which is no class: the classes are {', '.join(task.classes)}"
    )


def as_number(text: str) -> float | None:
    """The number that a text is, or None."""
    if "_" in text:  # Python's own digit separator, in no data file
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _is_missing(text: str, number: float | None, feature: Feature) -> bool:
    if text.lower() in _MISSING or text in feature.missing:
        return True
    if number is None:
        return False
    return math.isnan(number) or any(number == as_number(other) for other in feature.missing)


def _encode_numeric(
    block: npt.NDArray[np.float32], column: Sequence[str], feature: Feature, path: str
) -> None:
    centre, half = (feature.low + feature.high) / 2, (feature.high - feature.low) / 2
    for row, text in enumerate(column):
        number = as_number(text)
        if _is_missing(text, number, feature):
            block[row, 1] = 1
            continue
        if number is None or not math.isfinite(number):
            raise DataError(
                f"{path} row {row + 1}, column {feature.name!r} is {text!r}: give a finite number, "
                "or leave it empty where it was not measured"
            )
        block[row, 0] = min(1.0, max(-1.0, (number - centre) / half))


def _encode_categorical(
    block: npt.NDArray[np.float32], column: Sequence[str], feature: Feature
) -> None:
    numbers = [as_number(category) for category in feature.categories]
    known: dict[str, int] = {}
    for row, text in enumerate(column):
        if text not in known:
            known[text] = _category(text, feature, numbers)
        block[row, known[text]] = 1


def _category(text: str, feature: Feature, numbers: Sequence[float | None]) -> int:
    """The place of a value among a categorical column's inputs; the last means missing."""
    number = as_number(text)
    if text in feature.categories:
        return feature.categories.index(text)
    if not _is_missing(text, number, feature) and number is not None and number in numbers:
        return numbers.index(number)
    return len(feature.categories)
