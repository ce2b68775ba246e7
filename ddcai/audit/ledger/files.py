"""Rows as CSV, for spreadsheets; `ddcai.audit.ledger.parquet` for data frames.

Both have a column a field, in the order of the row's class, and the same values: amounts of wei
as decimal digits, as they do not fit into 64 bits; times in UTC; what has parts of its own as JSON.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ddcai.audit.ledger.rows import plain

# What makes a spreadsheet take a text for a formula, in its first character: OWASP, "CSV
# injection"; with the full-width forms that some programs read as the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_text(rows: Sequence[Any], row_type: type | None = None) -> str:
    """Rows as CSV (RFC 4180), with a line of names.

    Guarantees: no cell of text starts like a formula; one that would has ``'`` before it. Numbers
    are as they are.

    Args:
        rows: dataclasses or mappings, all with the same fields.
        row_type: their class, for the names where there is no row.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in names(rows, row_type)])
    for row in rows:
        writer.writerow([_cell(value) for value in values(row)])
    return out.getvalue()


def names(rows: Sequence[Any], row_type: type | None = None) -> list[str]:
    """Of the columns; arguments as `csv_text`."""
    if rows and isinstance(rows[0], Mapping):
        return [str(name) for name in rows[0]]
    known = type(rows[0]) if rows else row_type
    return [] if known is None else [field.name for field in dataclasses.fields(known)]


def values(row: Any) -> list[Any]:
    """Of a row, in the order of `names`."""
    if isinstance(row, Mapping):
        return list(row.values())
    return [getattr(row, field.name) for field in dataclasses.fields(row)]


def words(value: Any) -> str:
    """A value as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(plain(value), ensure_ascii=False, sort_keys=True)


def _cell(value: Any) -> str:
    text = "" if value is None else words(value)
    number = isinstance(value, int | float)
    return text if number or not text.lstrip(" ").startswith(_FORMULA) else "'" + text
