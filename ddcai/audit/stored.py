"""What an audit works on, in files of its own: only what is at work is in memory.

The files end with the audit, and nobody else writes to them: their rows are pickled.
"""

from __future__ import annotations

import io
import pickle
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar, overload

Value = TypeVar("Value")
# Values of each kind that are in memory.
_RECENT = 32
_TABLE = "CREATE TABLE facts (place INTEGER PRIMARY KEY, value BLOB NOT NULL)"


class Stored(Sequence[Value]):
    """Values by place; another process opens them by their path.

    Args:
        path: a file that `write` made.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._db = path, _open(path)
        [[length]] = self._db.execute("SELECT count(*) FROM facts")
        self._length = int(length)
        self._recent = lru_cache(_RECENT)(self._read)

    @classmethod
    def write(cls, path: Path, values: Iterable[Value]) -> Self:
        """Makes the file anew, of these values, which are taken one after another."""
        path.unlink(missing_ok=True)
        db = _new(path)
        try:
            db.execute(_TABLE)
            rows = ((place, pickle.dumps(value)) for place, value in enumerate(values))
            with db:
                db.executemany("INSERT INTO facts VALUES (?, ?)", rows)
        finally:
            db.close()
        return cls(path)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, place: int) -> Value: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Value]: ...
    def __getitem__(self, place: int | slice) -> Value | Sequence[Value]:
        if isinstance(place, slice):
            return [self._recent(one) for one in range(*place.indices(self._length))]
        wanted = place + self._length if place < 0 else place
        if not 0 <= wanted < self._length:
            raise IndexError(f"there are {self._length} values, none at {place}")
        return self._recent(wanted)

    def __iter__(self) -> Iterator[Value]:
        for [value] in self._db.execute("SELECT value FROM facts ORDER BY place"):
            yield pickle.loads(value)

    def _read(self, place: int) -> Value:
        [[value]] = self._db.execute("SELECT value FROM facts WHERE place = ?", (place,))
        found: Value = pickle.loads(value)
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

    def numbers(self) -> Iterator[int]:
        """Those that have a value, ascending."""
        return (row[0] for row in self._db.execute("SELECT number FROM kept ORDER BY number"))

    def __len__(self) -> int:
        [[length]] = self._db.execute("SELECT count(*) FROM kept")
        return int(length)


class Changing(Mapping[int, Value]):
    """Values by number that may be changed where they are, until some dozens of others are used.

    Those are in memory, all others in a file.
    """

    def __init__(self) -> None:
        self._kept = Kept[Value]()
        self._recent: OrderedDict[int, Value] = OrderedDict()

    def add(self, number: int, value: Value) -> None:
        """Adds a value, of a number that has none."""
        self._kept.put(number, value)
        self._use(number, value)

    def __getitem__(self, number: int) -> Value:
        found = self._recent.pop(number, None)
        if found is None:
            found = self._kept.get(number)
        if found is None:
            raise KeyError(number)
        self._use(number, found)
        return found

    def _use(self, number: int, value: Value) -> None:
        self._recent[number] = value
        if len(self._recent) > _RECENT:
            self._kept.put(*self._recent.popitem(last=False))

    def __iter__(self) -> Iterator[int]:
        return self._kept.numbers()

    def __len__(self) -> int:
        return len(self._kept)


class Grouped:
    """Numbers by the number that they belong to, in a file without a name.

    Args:
        pairs: that number, and one of its own; taken one after another.
    """

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        self._db = sqlite3.connect("")
        self._db.execute(
            "CREATE TABLE grouped (owner INTEGER, number INTEGER, PRIMARY KEY (owner, number)) "
            "WITHOUT ROWID"
        )
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO grouped VALUES (?, ?)", pairs)

    def of(self, owner: int) -> list[int]:
        """What belongs to a number, ascending."""
        rows = self._db.execute(
            "SELECT number FROM grouped WHERE owner = ? ORDER BY number", (owner,)
        )
        return [row[0] for row in rows]


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
