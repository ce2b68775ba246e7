"""Telling open pages that there is something new: server-sent events.

One thread looks at the index each second, for all readers together; a page that hears of another
version asks its questions anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

LOG = logging.getLogger(__name__)
LOOK_S = 1.0
BEAT_S = 15.0
MOST_READERS = 64


class IndexVersion:
    """A number that changes with every change of an index by anybody.

    SQLite counts for each connection what other connections changed; a new connection counts
    anew, so the file's own identity belongs to the version.
    """

    def __init__(self, index: Path) -> None:
        self._index = index
        self._file: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None

    def read(self) -> str:
        """The version now; empty where there is no index that can be read."""
        try:
            stat = self._index.stat()
            if self._connection is None or self._file != (stat.st_dev, stat.st_ino):
                self.close()
                uri = f"{self._index.absolute().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(uri, uri=True)
                self._file = (stat.st_dev, stat.st_ino)
            ((count,),) = self._connection.execute("PRAGMA data_version").fetchall()
        except (OSError, sqlite3.Error):
            self.close()
            return ""
        return f"{stat.st_ino}.{count}"

    def close(self) -> None:
        """Gives the file up; the next reading opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._file = None, None


class Pulse:
    """The page's state, looked at each second by one thread."""

    def __init__(self, index: Path, state: Callable[[], dict[str, Any]]) -> None:
        """Starts nothing yet.

        Args:
            state: what the page shows of its own data, as JSON; asked when the index changed, and
                cheap to ask.
        """
        self._index, self._state = index, state
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._readers = 0
        self.message = ""

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def end(self) -> None:
        """Ends every stream of events, and soon the thread."""
        self._stopped.set()

    def stop(self) -> None:
        """Ends the thread too, and waits for it."""
        self.end()
        self._thread.join(5.0)

    @property
    def full(self) -> bool:
        """Whether there are as many readers as may be."""
        return self._readers >= MOST_READERS

    async def events(self) -> AsyncIterator[bytes]:
        """The stream for one reader: the state now, and again whenever it is another."""
        self._readers += 1
        told, quiet_s = "", BEAT_S
        try:
            while not self._stopped.is_set():
                message = self.message
                if message and message != told:
                    told, quiet_s = message, 0.0
                    yield f"event: state\ndata: {message}\n\n".encode()
                elif quiet_s >= BEAT_S:
                    quiet_s = 0.0
                    yield b": nothing new\n\n"
                await asyncio.sleep(LOOK_S / 4)
                quiet_s += LOOK_S / 4
        finally:
            self._readers -= 1

    def _run(self) -> None:
        with closing(IndexVersion(self._index)) as version:
            while True:
                try:
                    state = self._state() | {"version": version.read()}
                    self.message = json.dumps(state, ensure_ascii=True)
                except Exception:
                    # The thread must outlive whatever it finds: pages would wait for ever.
                    LOG.exception("the page's state cannot be told")
                if self._stopped.wait(LOOK_S):
                    return
