"""Questions in SQL, asked of the documented views alone.

The statement comes from whoever asks, so it can change nothing and reach nothing else:

- The file is open for reading only, and SQLite asks us about each thing that a statement would do
  (its authorizer): all but reading the views and calling harmless functions is refused. No ATTACH,
  PRAGMA, CREATE, extension, nor a table of the file.
- A view reads its tables through another one whose name is random: SQLite tells us from within
  which view, or common table expression, a column is read, and a question can call the latter as
  it likes.
- Time, rows, and the length of a value are limited.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from typing import Final

from ddcai.audit.ledger.findings import SqlAnswer
from ddcai.audit.ledger.views import VIEWS
from ddcai.errors import ConfigurationError

_NAMES = """
abs avg ceil ceiling coalesce concat concat_ws count cume_dist date datetime dense_rank ether
exp first_value floor format glob group_concat hex ifnull iif instr json json_array
json_array_length json_extract json_group_array json_group_object json_object json_quote
json_type json_valid julianday lag last_value lead length like ln log log10 log2 lower ltrim max
min mod nth_value ntile nullif octet_length percent_rank pow power printf quote rank replace
round row_number rtrim sign sqrt strftime string_agg substr substring sum time timediff total
trim trunc typeof unhex unicode unixepoch upper wei_sum -> ->>
"""
FUNCTIONS: Final = frozenset(_NAMES.split())
# Tables that functions make of a value.
_OF_VALUES = ("json_each", "json_tree")
# All of their rows are in a view. Where a question counts rows and reads no column, SQLite names
# the table alone.
_COUNTED = frozenset(
    {"federations", "blocks", "transactions", "events", "rounds", "submissions", "members"}
)
_MAXIMUM_BYTES = 16 * 2**20
_STEPS = 10_000  # of SQLite's machine, between two looks at the clock


class _WeiSum:
    """Adds amounts exactly; as SQLite's own aggregates, it gives NULL where there is no row."""

    def __init__(self) -> None:
        self._sum = 0

    def step(self, value: str | int | None) -> None:
        if value is not None:
            self._sum += int(value)

    def finalize(self) -> str:
        return str(self._sum)


def _ether(value: str | int | None) -> str | None:
    """Wei as ether, every digit of it."""
    if value is None:
        return None
    whole, part = divmod(abs(int(value)), 10**18)
    digits = f"{whole}.{part:018}".rstrip("0").rstrip(".")
    return f"-{digits}" if int(value) < 0 else digits


def answer(
    connection: sqlite3.Connection, statement: str, *, limit: int = 1000, seconds: float = 10.0
) -> SqlAnswer:
    """What a SELECT gives.

    Args:
        connection: to the index, for this alone: it is guarded from here on, and of no other use.
        limit: rows at most.
        seconds: that it may take.

    Raises:
        ConfigurationError: the statement is no SELECT over the views, or takes too long.
    """
    _prepare(connection)
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        cursor = connection.execute(statement)
        if cursor.description is None:
            raise ConfigurationError("the statement asks for nothing: give a SELECT")
        rows = cursor.fetchmany(limit + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        raise ConfigurationError(_said(error, seconds)) from error
    columns = tuple(str(column[0]) for column in cursor.description)
    return SqlAnswer(columns=columns, rows=tuple(rows[:limit]), more=len(rows) > limit)


def _said(error: Exception, seconds: float) -> str:
    names = ", ".join(VIEWS)
    if str(error) == "interrupted":
        return f"the question took more than {seconds:g} s: ask for less, or raise --seconds"
    if "prohibited" in str(error) or "not authorized" in str(error):
        return f"{error}: only SELECT over these views is allowed: {names}"
    if "no such table" in str(error):
        return f"{error}: there are {names}"
    return f"SQLite refuses the question: {error}"


def _prepare(connection: sqlite3.Connection) -> None:
    inner = {name: f"{name}_{os.urandom(16).hex()}" for name in VIEWS}
    for name, definition in VIEWS.items():
        connection.execute(f"CREATE TEMP VIEW {inner[name]} AS {definition}")
        connection.execute(f"CREATE TEMP VIEW {name} AS SELECT * FROM temp.{inner[name]}")
    for name in _OF_VALUES:  # SQLite enters them in its list of tables on their first use
        connection.execute(f"SELECT 1 FROM {name}('[]')")
    connection.commit()
    schema = "SELECT name FROM sqlite_schema UNION SELECT name FROM sqlite_temp_schema"
    hidden = {str(name) for (name,) in connection.execute(schema)} - _COUNTED
    # The stubs have aggregates of integers alone.
    connection.create_aggregate("wei_sum", 1, _WeiSum)  # type: ignore[arg-type]
    connection.create_function("ether", 1, _ether, deterministic=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAXIMUM_BYTES)
    connection.set_authorizer(_authorizer(frozenset(inner.values()), frozenset(hidden)))


def _authorizer(
    inner: frozenset[str], hidden: frozenset[str]
) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    def allowed(
        action: int, first: str | None, second: str | None, base: str | None, within: str | None
    ) -> bool:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return True
        if action == sqlite3.SQLITE_FUNCTION:
            return second is not None and second.lower() in FUNCTIONS
        if action != sqlite3.SQLITE_READ:
            return False
        if within in inner or first in _OF_VALUES:
            return True
        # Nobody can name an inner view: a question reads it through the one of its own name.
        of_view = first in VIEWS or first in inner
        if base == "temp" and of_view:
            return True
        # A name that is in no file is of the question's own.
        return second == "" and first not in hidden and not str(first).startswith("sqlite_")

    def authorize(
        action: int, first: str | None, second: str | None, base: str | None, within: str | None
    ) -> int:
        fine = allowed(action, first, second, base, within)
        return sqlite3.SQLITE_OK if fine else sqlite3.SQLITE_DENY

    return authorize
