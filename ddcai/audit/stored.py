"""Facts of rounds in a file of the audit's own: only those that are at work are in memory.

The file ends with the audit, and nobody else writes to it: its rows are pickled.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar, overload

from ddcai.audit.history import RoundHistory

Value = TypeVar("Value")
# Rounds that are kept in memory, and rounds that are read at once.
_RECENT = 32
_TABLE = "CREATE TABLE rounds (place INTEGER PRIMARY KEY, facts BLOB NOT NULL)"


class StoredRounds(Sequence[RoundHistory]):
    """Rounds by place; another process opens them by their path.

    Args:
        path: a file that `write` made.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._db = path, _open(path)
        [[length]] = self._db.execute("SELECT count(*) FROM rounds")
        self._length = int(length)
        self._recent = lru_cache(_RECENT)(self._read)

    @classmethod
    def write(cls, path: Path, rounds: Iterable[RoundHistory]) -> Self:
        """Makes the file of these rounds, which are taken one after another."""
        db = _new(path)
        try:
            db.execute(_TABLE)
            rows = ((place, pickle.dumps(round_)) for place, round_ in enumerate(rounds))
            with db:
                db.executemany("INSERT INTO rounds VALUES (?, ?)", rows)
        finally:
            db.close()
        return cls(path)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> RoundHistory: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[RoundHistory]: ...
    def __getitem__(self, place: int | slice) -> RoundHistory | Sequence[RoundHistory]:
        if isinstance(place, slice):
            return [self._recent(one) for one in range(*place.indices(self._length))]
        wanted = place + self._length if place < 0 else place
        if not 0 <= wanted < self._length:
            raise IndexError(f"there are {self._length} rounds, none at {place}")
        return self._recent(wanted)

    def __iter__(self) -> Iterator[RoundHistory]:
        for [facts] in self._db.execute("SELECT facts FROM rounds ORDER BY place"):
            yield pickle.loads(facts)

    def _read(self, place: int) -> RoundHistory:
        [[facts]] = self._db.execute("SELECT facts FROM rounds WHERE place = ?", (place,))
        found: RoundHistory = pickle.loads(facts)
        return found

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.path,)


class Kept(Generic[Value]):
    """Values by number, in a file without a name that ends with this object."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE kept (number INTEGER PRIMARY KEY, value BLOB NOT NULL)")

    def put(self, number: int, value: Value) -> None:
        """Keeps a value, in the place of one that was there."""
        written = io.BytesIO()
        _Pickler(written).dump(value)
        row = (number, written.getvalue())
        self._db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", row)

    def get(self, number: int) -> Value | None:
        """A copy of the value; None where there is none."""
        row = self._db.execute("SELECT value FROM kept WHERE number = ?", (number,)).fetchone()
        return None if row is None else pickle.loads(row[0])


class _Pickler(pickle.Pickler):
    """Of read-only mappings as well."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        return NotImplemented


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)  # whose type has no name that could be looked up


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _new(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    db.execute("PRAGMA synchronous = OFF")  # after a crash nobody reads the file
    return db
