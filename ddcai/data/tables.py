"""Named columns of text from CSV, Parquet or npz: one form for all, checked where it is read.

Numbers become their shortest text that reads back the same, so that a value means the same
whichever file it came in.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ddcai.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file's columns.

    Attributes:
        path: the file, for messages.
        columns: text by column name, all of one length. Row 1 is the first after the header.
    """

    path: str
    columns: dict[str, list[str]]

    def column(self, name: str) -> list[str]:
        """One column.

        Raises:
            DataError: if it is not there; names those that are.
        """
        if name not in self.columns:
            there = ", ".join(list(self.columns)[:20]) or "none"
            raise DataError(
                f"{self.path} has no column {name!r} (it has {there}): rename the column, or "
                "check the separator, which is a comma"
            )
        return self.columns[name]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), []))


def read_table(path: Path | str) -> Table:
    """Reads ``.csv`` (UTF-8, a header line, commas), ``.parquet`` or ``.npz`` of named columns.

    Raises:
        DataError: naming the file, for one that cannot be read or is of another kind, columns
            named twice, or rows of different lengths.
    """
    path = Path(path)
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".npz": _read_npz_columns}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} ends in {path.suffix!r}: give .csv, .parquet or .npz")
    if not path.is_file():
        raise DataError(f"{path} is not there: check the path")
    return Table(path=str(path), columns=reader(path))


def read_npz(path: Path | str) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of an npz file; pickled objects are refused, since loading them runs code.

    Raises:
        DataError: if the file is missing, damaged or holds objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there: check the path") from error
    except (
        OSError, ValueError, AttributeError, TypeError, EOFError, NotImplementedError,
        RuntimeError, KeyError, zlib.error, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise DataError(
            f"cannot read {path}: {error}: save arrays of numbers or text with numpy.savez"
        ) from error


def _read_csv(path: Path) -> dict[str, list[str]]:
    try:
        # utf-8-sig: spreadsheets write a byte order mark, which is no part of the first name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            # A quote that opens and never closes is an error, not the rest of the file.
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            if not header:
                raise DataError(f"{path} is empty: give a header line and rows")
            twice = sorted({name for name in header if header.count(name) > 1})
            if twice:
                raise DataError(f"{path} names column {twice[0]!r} twice: name each once")
            rows: list[list[str]] = []
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise DataError(
                        f"{path} line {reader.line_num} has {len(row)} values for {len(header)} "
                        "columns: quote values that hold commas"
                    )
                rows.append(row)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path} is not CSV: {error}") from error
    return {name: [row[index].strip() for row in rows] for index, name in enumerate(header)}


def _read_parquet(path: Path) -> dict[str, list[str]]:
    import pandas as pd  # a third of a second to load, for those who have such files

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        raise DataError(f"cannot read {path}: {error}") from error
    columns: dict[str, list[str]] = {}
    for index, name in enumerate(map(str, frame.columns)):
        if name in columns:
            raise DataError(f"{path} names column {name!r} twice: name each once")
        columns[name] = [
            "" if value is pd.NA or value is pd.NaT else _text(value)
            for value in frame.iloc[:, index].tolist()
        ]
    return columns


def _read_npz_columns(path: Path) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for name, array in read_npz(path).items():
        if array.ndim != 1:
            raise DataError(
                f"{path}: array {name!r} has shape {array.shape}: give one-dimensional columns, or "
                "encoded arrays x and y"
            )
        columns[name] = [_text(value) for value in array.tolist()]
    if len({len(column) for column in columns.values()}) > 1:
        lengths = {name: len(column) for name, column in columns.items()}
        raise DataError(f"{path}: the columns' lengths differ: {lengths}")
    return columns


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()
