"""One log for a command and all that it starts: events, and lines of Flower's, on stderr."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated
from urllib.parse import urlsplit

import typer

from ddcai.cli.output import FORM_KEY, write_line
from ddcai.event_log import (
    FORM_VARIABLE,
    LARGEST_EVENT_BYTES,
    SOCKET_VARIABLE,
    Event,
    Form,
    event,
    line,
    plain,
    unpack,
)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LOOK_S = 0.2
_SHORTEST_HIDDEN = 8


def _remember(context: typer.Context, form: Form) -> Form:
    context.meta[FORM_KEY] = form
    return form


LogFormatOption = Annotated[
    Form,
    typer.Option(
        "--log-format",
        envvar=FORM_VARIABLE,
        callback=_remember,
        help="How the log on stderr is written: a line an event, for people or as JSON.",
    ),
]


class Events:
    """Takes events from a socket and lines from pipes, and writes them one at a time.

    Args:
        form: of the log.
        rpc_url: what of it may be a secret (credentials, path, query) is left out of all lines.
        write: takes each line; by default it goes to stderr.
    """

    def __init__(
        self, form: Form, *, rpc_url: str = "", write: Callable[[str], None] = write_line
    ) -> None:
        self._form, self._write = form, write
        self._hidden = _secrets(rpc_url)
        self._lock = threading.Lock()
        self._watching: list[Callable[[Event], None]] = []
        self._path = ""

    @property
    def environment(self) -> dict[str, str]:
        """For the processes that are to send their events here."""
        return {FORM_VARIABLE: self._form, SOCKET_VARIABLE: self._path}

    def watch(self, seen: Callable[[Event], None]) -> None:
        """Has a function called with each event from now on."""
        self._watching.append(seen)

    def take(self, event_: Event) -> None:
        """Writes an event."""
        event_ = {
            name: self._without(value) if isinstance(value, str) else value
            for name, value in event_.items()
        }
        with self._lock:
            for seen in self._watching:
                seen(event_)
            self._write(line(event_, self._form))

    def foreign(self, text: str) -> None:
        """Writes a line of another program, marked as such."""
        text = self._without(_COLOUR.sub("", text).rstrip())
        if self._form == "json":
            self.take(event("INFO", "flower", text))
        elif text:
            with self._lock:
                self._write(f"flower: {plain(text)}")

    @contextmanager
    def relaying(self, *pipes: IO[bytes] | None) -> Iterator[None]:
        """Writes other programs' lines while the block runs, and until they end."""
        for pipe in pipes:
            if pipe is not None:
                threading.Thread(target=self._relay, args=(pipe,), daemon=True).start()
        yield

    def _relay(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(ValueError):  # closed, with the program that it was of
            for raw in pipe:
                self.foreign(raw.decode("utf-8", "replace"))

    @contextmanager
    def serving(self, command: str, host: str, port: int | None) -> Iterator[None]:
        """Serves the events' numbers while the block runs, if there is a port.

        Raises:
            ConfigurationError: it cannot be served on.
        """
        if port is None:
            yield
            return
        from ddcai.cli.metrics import Metrics, served

        metrics = Metrics(command)
        self.watch(metrics.see)
        with served(metrics, host, port):
            yield

    @contextmanager
    def listening(self) -> Iterator[Events]:
        """Takes what comes through the socket while the block runs."""
        folder = Path(tempfile.mkdtemp(prefix="ddcai-log-"))  # which this account alone enters
        stopped = threading.Event()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
            self._path = str(folder / "events.sock")
            receiving.bind(self._path)
            receiving.settimeout(_LOOK_S)
            thread = threading.Thread(
                target=self._receive, args=(receiving, stopped), name="events", daemon=True
            )
            thread.start()
            try:
                yield self
            finally:
                stopped.set()
                thread.join()
                shutil.rmtree(folder, ignore_errors=True)

    def _receive(self, receiving: socket.socket, stopped: threading.Event) -> None:
        while True:
            try:
                found = unpack(receiving.recv(LARGEST_EVENT_BYTES))
            except TimeoutError:
                if stopped.is_set():  # and nothing is left to take
                    return
                continue
            if found is not None:
                self.take(found)

    def _without(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return text


def _secrets(rpc_url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(rpc_url)
        found = (parts.password, parts.username, parts.query, parts.path.strip("/"))
    except ValueError:
        return ()
    return tuple(one for one in found if one and len(one) >= _SHORTEST_HIDDEN)
