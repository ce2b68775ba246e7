"""A user's own dataset: ``task.dataset = "module:function"`` (`ddcai.models.entry_points`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ddcai.configuration import FederationConfig
from ddcai.data.arrays import checked_inputs, checked_labels
from ddcai.errors import ConfigurationError, DataError
from ddcai.models.entry_points import resolve


def load_user_dataset(
    path: Path | str, config: FederationConfig
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """What the user's function makes of a file, checked.

    Returns:
        x float32[n, ...], y int64[n]: C-contiguous, finite, labels below the number of classes.

    Raises:
        ConfigurationError: if the function cannot be found.
        DataError: if it fails, or returns something else.
    """
    entry_point = config.task.dataset
    if entry_point is None:
        raise ConfigurationError("task.dataset is not set: give module:function")
    function = resolve(entry_point)
    try:
        returned = function(str(path), config)
    except DataError:
        raise
    except Exception as error:  # a user's function may raise anything
        raise DataError(
            f"{entry_point} failed on {path}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise DataError(f"{entry_point} returned a {type(returned).__name__}: return (x, y)")
    x, y = (np.asarray(part) for part in returned)
    inputs = checked_inputs(x, entry_point)
    return inputs, checked_labels(y, len(inputs), len(config.task.classes), entry_point)
