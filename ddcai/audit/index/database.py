"""Opening the index's file: for one writer at a time, and for any number of readers meanwhile."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError
from sqlalchemy.pool import NullPool

from ddcai.audit.index import schema
from ddcai.errors import ChainError, IndexRefused

BUSY_TIMEOUT_S = 30.0
# Readers see the file in place: each transaction is a new connection, with no page in its cache.
MAPPED_BYTES = 2**27
_RETRY_S = 0.02


class Index:
    """One file; a context manager.

    Each transaction has a connection of its own, so that threads may share an `Index`.

    Attributes:
        path: the file.
        writable: whether it was opened for writing.
    """

    def __init__(self, path: Path | str, *, writable: bool = False) -> None:
        """Opens a file; for writing, makes it where there is none.

        Raises:
            IndexRefused: no index there, or one of a newer version.
        """
        self.path, self.writable = Path(path), writable
        if not writable and not self.path.is_file():
            raise IndexRefused(f"there is no index at {path}: run `ddcai audit sync` first")
        self._engine = _engine(self.path, writable)
        try:
            self._prepare()
        except DatabaseError as error:
            self.close()
            raise IndexRefused(f"{path} cannot be used as an index: {error.orig}") from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        with self._connect() as connection:
            raw = connection.exec_driver_sql
            version = raw("PRAGMA user_version").scalar_one()
            mark = raw("PRAGMA application_id").scalar_one()
            tables = raw("SELECT count(*) FROM sqlite_schema").scalar_one()
            if tables and mark != schema.APPLICATION_ID:
                raise IndexRefused(f"{self.path} is a database of something else: choose another")
            if version > schema.VERSION:
                raise IndexRefused(
                    f"{self.path} has version {version} and this software knows {schema.VERSION}: "
                    "install a newer one, or choose another file (--index)"
                )
            if tables and version < schema.VERSION:
                raise IndexRefused(
                    f"{self.path} has version {version}, of older software: move it away, and "
                    "`ddcai audit sync` makes a new one"
                )
            if not tables:
                if not self.writable:
                    raise IndexRefused(f"{self.path} is empty: run `ddcai audit sync` first")
                schema.metadata.create_all(connection)
                raw(f"PRAGMA application_id = {schema.APPLICATION_ID}")
                raw(f"PRAGMA user_version = {schema.VERSION}")

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees the file as it was when it first read, whoever writes."""
        with self._connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the only right to write, and is undone by any exception.

        Raises:
            IndexRefused: another process held that right for 30 seconds; or opened for reading.
        """
        if not self.writable:
            raise IndexRefused(f"{self.path} was opened for reading")
        try:
            with self._connect() as connection:
                yield connection
        except OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            raise IndexRefused(
                f"another process has been writing to {self.path} for {BUSY_TIMEOUT_S:g} s: end "
                "it, or wait until it has synced"
            ) from error

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def add_rows(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, known: bool = False
) -> None:
    """Inserts rows that have all columns.

    The statement goes to SQLite as it is: SQLAlchemy's own way with many rows takes as long again.

    Args:
        known: whether some may be there already; they are left as they are.

    Raises:
        ChainError: two rows of one key.
    """
    if not rows:
        return
    names = [column.name for column in table.columns]
    quoted = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(f":{name}" for name in names)
    text = f'INSERT INTO "{table.name}" ({quoted}) VALUES ({values})'
    try:
        connection.exec_driver_sql(text + " ON CONFLICT DO NOTHING" * known, list(rows))
    except IntegrityError as error:
        raise ChainError(
            f"events tell of one thing twice ({error.orig}): use another node"
        ) from error


def _write_ahead(raw: sqlite3.Connection) -> None:
    """Switches a new file to WAL; SQLite waits for nobody here, whatever its timeout."""
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
        time.sleep(_RETRY_S)


def _engine(path: Path, writable: bool) -> Engine:
    mode = "rwc" if writable else "ro"

    def connect() -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        # No transaction of the driver's own: SQLAlchemy's begin, below, says which kind.
        raw = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        raw.execute("PRAGMA foreign_keys = ON")
        if writable:
            _write_ahead(raw)
            raw.execute("PRAGMA synchronous = NORMAL")
        else:
            raw.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        return raw

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writable else "BEGIN")

    event.listen(engine, "begin", begin)
    return engine
