"""Rows for a classifier on chain, from a file: int8 vectors, or indices of what is present.

| file | dense model | sparse model |
|---|---|---|
| ``.csv`` (a header line), ``.parquet``, ``.npz`` of columns | numbers in [-1, 1], a column a feature | 0 and 1, a column a feature |
| ``.npz`` with an array ``x`` [n, features] | int8 as it is, or floats in [-1, 1] | 0 and 1 |
| ``.txt`` | | a line a row: the indices that are present, with spaces or commas between |
"""  # noqa: E501

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ddcai.data.arrays import checked_inputs
from ddcai.data.features import as_number
from ddcai.data.tables import read_npz, read_table
from ddcai.errors import DataError
from ddcai.models.heads import features_of
from ddcai.models.heads.classifier import Rows


def load_rows(path: Path | str, *, dense: bool, features: int) -> Rows:
    """The rows of a file, as the twins take them: at least one.

    Raises:
        DataError: naming the file, row, value and remedy.
    """
    path = Path(path)
    if path.suffix.lower() == ".txt":
        if dense:
            raise DataError(f"{path} lists indices, but this model is dense: give .csv or .npz")
        rows: Rows = _indices(path, features)
    else:
        x = _matrix(path)
        if x.ndim != 2 or x.shape[1] != features:
            raise DataError(f"{path} is {list(x.shape)}: this model takes [n, {features}]")
        rows = _dense(x, path) if dense else rows_of(x, str(path))
    if len(rows) == 0:
        raise DataError(f"{path} has no rows: there is nothing to predict")
    return rows


def rows_of(x: np.ndarray[Any, Any], where: str) -> list[npt.NDArray[np.int64]]:
    """The indices of the ones in each row of an array of 0 and 1.

    Raises:
        DataError: another number, naming its row.
    """
    bad = ((x != 0) & (x != 1)).any(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        value = x[row][(x[row] != 0) & (x[row] != 1)][0]
        raise DataError(
            f"{where}: row {row + 1} holds {value:g}: a sparse model takes 0 and 1, whether a "
            "feature is present"
        )
    return [np.flatnonzero(row) for row in x]


def _dense(x: np.ndarray[Any, Any], path: Path) -> npt.NDArray[np.int8]:
    if x.dtype == np.int8:
        return x
    inputs = checked_inputs(x, str(path))
    if inputs.size and np.abs(inputs).max() > 1:
        row = int(np.argmax(np.abs(inputs).max(axis=1) > 1))
        raise DataError(
            f"{path}: row {row + 1} holds {inputs[row][np.abs(inputs[row]).argmax()]:g}: scale "
            "features to [-1, 1], as for training"
        )
    return features_of(inputs)


def _matrix(path: Path) -> np.ndarray[Any, Any]:
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path)
        if "x" in arrays and arrays["x"].ndim != 1:
            if arrays["x"].dtype.kind not in "fiub":
                raise DataError(f"{path}: x is {arrays['x'].dtype}: give numbers")
            return arrays["x"]
    table = read_table(path)
    out = np.zeros((table.rows, len(table.columns)))
    for place, (name, column) in enumerate(table.columns.items()):
        for row, text in enumerate(column):
            number = as_number(text)
            if number is None:
                raise DataError(f"{path} row {row + 1}, column {name!r} is {text!r}: give a number")
            out[row, place] = number
    return out


def _indices(path: Path, features: int) -> list[npt.NDArray[np.int64]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    rows = []
    for number, line in enumerate(lines, 1):
        words = re.split(r"[\s,]+", line.strip()) if line.strip() else []
        for word in words:
            if re.fullmatch(r"[0-9]{1,5}", word) is None or int(word) >= features:
                raise DataError(
                    f"{path} line {number} has {word[:20]!r}: give indices from 0 to {features - 1}"
                )
        row = sorted(int(word) for word in words)
        if len(set(row)) != len(row):
            raise DataError(f"{path} line {number} names an index twice: name each once")
        rows.append(np.array(row, np.int64))
    return rows
