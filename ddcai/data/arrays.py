"""Checks of arrays that come encoded already, from an npz file or a user's own function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ddcai.errors import DataError


def checked_inputs(x: np.ndarray[Any, Any], where: str) -> npt.NDArray[np.float32]:
    """Inputs as C-contiguous float32[n, ...].

    Args:
        x: numbers of at least two dimensions.
        where: the file or function, for messages.

    Raises:
        DataError: for text, fewer dimensions, NaN, infinity, or a value beyond float32.
    """
    if x.dtype.kind not in "fiub" or x.ndim < 2:
        raise DataError(f"{where}: x is {x.dtype}{list(x.shape)}: give float32[n, ...]")
    with np.errstate(over="ignore"):
        inputs = np.ascontiguousarray(x, np.float32)
    finite = np.isfinite(inputs).reshape(len(x), math.prod(x.shape[1:])).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{where}: row {int(np.argmin(finite)) + 1} of x holds NaN, infinity or a value beyond "
            "float32: encode a missing value as zeros and a 1 in an indicator"
        )
    return inputs


def checked_labels(
    y: np.ndarray[Any, Any], rows: int, classes: int, where: str
) -> npt.NDArray[np.int64]:
    """Class indices as int64[rows].

    Raises:
        DataError: for another shape, numbers that are not whole by type, or an index that is
            no class.
    """
    if y.dtype.kind not in "iub" or y.shape != (rows,):
        raise DataError(
            f"{where}: y is {y.dtype}{list(y.shape)}: give class indices, int64[{rows}]"
        )
    good = (y >= 0) & (y < classes)
    if not good.all():
        row = int(np.argmin(good))
        raise DataError(
            f"{where}: row {row + 1} of y is {y[row]}: class indices go from 0 to {classes - 1}"
        )
    return np.ascontiguousarray(y, np.int64)
