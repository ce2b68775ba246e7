"""Rows as Parquet, for data frames; as `ddcai.audit.ledger.files` has them in CSV."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from ddcai.audit.ledger.files import names, values, words
from ddcai.errors import ConfigurationError

_INT64 = range(-(2**63), 2**63)
_TYPES = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    datetime: pa.timestamp("s", "UTC"),
}


def write_parquet(path: Path, rows: Sequence[Any], row_type: type | None = None) -> None:
    """Rows as a Parquet file; arguments as `ddcai.audit.ledger.files.csv_text`.

    Columns have their type where there are no rows, too: 64-bit integers, doubles, booleans,
    timestamps in UTC, else text. A column with an integer that needs more bits is text.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    known = names(rows, row_type)
    columns = [[values(row)[place] for row in rows] for place in range(len(known))]
    hints = get_type_hints(row_type) if row_type is not None else {}
    arrays = []
    for name, column in zip(known, columns, strict=True):
        kind = _kind(name, column, hints.get(name))
        cells = [one if kind is not None or one is None else words(one) for one in column]
        arrays.append(pa.array(cells, pa.string() if kind is None else _TYPES[kind]))
    try:
        pq.write_table(pa.table(arrays, names=known), path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from error


def _kind(name: str, column: list[Any], hint: Any) -> type | None:
    """Which of `_TYPES` a column has; None for text."""
    if name.endswith("_wei"):
        return None
    kind = next((one for one in _TYPES if hint in (one, one | None)), None)
    if hint is None:
        found = {type(one) for one in column if one is not None}
        kind = found.pop() if len(found) == 1 else None
    if kind is int and any(one is not None and one not in _INT64 for one in column):
        return None
    return kind if kind in _TYPES else None
