"""A site's file -> arrays for training, or for prediction.

CSV, Parquet, or npz; an npz holds named columns, or arrays ``x`` and ``y`` that are encoded
already. With ``task.dataset`` the user's own function reads the file instead
(`ddcai.data.entry_points`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ddcai.configuration import FederationConfig
from ddcai.data.arrays import checked_inputs, checked_labels
from ddcai.data.entry_points import load_user_dataset
from ddcai.data.features import beyond_range, encode_features, encode_labels
from ddcai.data.tables import read_npz, read_table
from ddcai.errors import DataError


def load(
    path: Path | str,
    config: FederationConfig,
    *,
    label: str | None = None,
    for_training: bool = True,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """A site's examples.

    Args:
        path: the site's file.
        config: says which columns mean what.
        label: the label column's name in this file, where it is not ``task.label``.
        for_training: refuse data of one class only, which cannot train a classifier.

    Returns:
        x float32[n, task.width] (or as the user's dataset has it), y int64[n], n >= 1.

    Raises:
        DataError: naming the file, column, row, value and remedy.
    """
    task = config.task
    if task.dataset is not None:
        x, y = load_user_dataset(path, config)
    elif (arrays := _encoded_arrays(path)) is not None:
        x = _inputs(arrays["x"], task.width, path)
        if "y" not in arrays:
            raise DataError(f"{path} holds x but no y: add the labels as int64[n]")
        y = checked_labels(arrays["y"], len(x), len(task.classes), str(path))
    else:
        table = read_table(path)
        # Labels first: a wrong label column is the likelier mistake, and the cheaper check.
        y = encode_labels(table, task, label)
        x = encode_features(table, task)
    if len(y) == 0:
        raise DataError(f"{path} has no rows: a site needs examples to take part")
    present = np.unique(y)
    if for_training and len(present) < 2:
        raise DataError(
            f"{path}: every one of its {len(y)} labels is {task.classes[int(present[0])]!r}: "
            "training needs at least two classes"
        )
    return x, y


def load_features(path: Path | str, config: FederationConfig) -> npt.NDArray[np.float32]:
    """The inputs of a file, to predict from: float32[n, task.width]; no label column is needed.

    Raises:
        DataError: as `load`.
    """
    if config.task.dataset is not None:
        x, _ = load_user_dataset(path, config)
    elif (arrays := _encoded_arrays(path)) is not None:
        x = _inputs(arrays["x"], config.task.width, path)
    else:
        x = encode_features(read_table(path), config.task)
    if len(x) == 0:
        raise DataError(f"{path} has no rows: there is nothing to predict")
    return x


def beyond_ranges(path: Path | str, config: FederationConfig) -> dict[str, int]:
    """Rows by column whose values are beyond the configuration's ranges (`beyond_range`).

    Empty where a site's own function reads the file, or where its inputs are encoded already.
    """
    if config.task.dataset is not None or _encoded_arrays(path) is not None:
        return {}
    return beyond_range(read_table(path), config.task)


def _encoded_arrays(path: Path | str) -> dict[str, np.ndarray[Any, Any]] | None:
    """The arrays of an npz that holds encoded inputs, which are told by their two dimensions."""
    if Path(path).suffix.lower() != ".npz":
        return None
    arrays = read_npz(path)
    return arrays if "x" in arrays and arrays["x"].ndim != 1 else None


def _inputs(x: np.ndarray[Any, Any], width: int, path: Path | str) -> npt.NDArray[np.float32]:
    if x.ndim != 2 or x.shape[1] != width:
        raise DataError(
            f"{path}: x is {x.dtype}{list(x.shape)}: this federation's features need "
            f"float32[n, {width}]"
        )
    return checked_inputs(x, str(path))
