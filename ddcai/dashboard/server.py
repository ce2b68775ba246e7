"""The page's server: its files, the audit's answers, and the stream that tells what is new."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp

from ddcai.audit import Ledger
from ddcai.configuration import FederationConfig
from ddcai.dashboard import reported
from ddcai.dashboard.answers import READING, add_answers, json_value
from ddcai.dashboard.following import Following, Freshness
from ddcai.dashboard.guard import Guard
from ddcai.dashboard.live import Pulse
from ddcai.errors import ConfigurationError, DdcaiError

TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
GOODBYE_S = 3


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """What a page shows.

    Attributes:
        index: the index's file; the page says so where it is not there yet.
        federation: the contract's address; None where the index has one federation alone.
        config: of its deployment file: the federation's name, and what epsilon is worked out by;
            None where there is none.
        following: brings the index up to date; None where somebody else does, or nobody.
        metrics: the coordinator's metrics.jsonl, or None.
        report: what ``audit verify --report`` wrote, or None.
        names: by which readers may ask the server, besides localhost and addresses in digits.
    """

    index: Path
    federation: str | None = None
    config: FederationConfig | None = None
    following: Following | None = None
    metrics: Path | None = None
    report: Path | None = None
    names: tuple[str, ...] = ()

    def open(self) -> Ledger:
        """The index, for one request."""
        return Ledger.open(self.index, self.federation, config=self.config)

    def state(self) -> dict[str, Any]:
        """What the page says of its own data, as JSON; an index that cannot be read is part of it.

        ``trouble`` is empty, ``unreachable``, ``refused``, or ``index`` where there is none yet.
        """
        following = self.following
        freshness = Freshness() if following is None else following.freshness
        state: dict[str, Any] = {
            "title": "" if self.config is None else self.config.name,
            "following": following is not None,
            "federation": None,
            "metrics": _changed(self.metrics),
            "report": _changed(self.report),
            **json_value(freshness),
        }
        try:
            with self.open() as ledger:
                state["federation"] = json_value(ledger.federation())
        except DdcaiError:
            state["trouble"] = state["trouble"] or "index"
        return state


def make_app(shown: Dashboard, pulse: Pulse | None = None) -> ASGIApp:
    """The application, guarded; it starts and stops what runs beside it."""
    pulse = pulse or Pulse(shown.index, shown.state)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pulse.start()
        if shown.following is not None:
            shown.following.start()
        yield
        pulse.stop()
        if shown.following is not None:
            shown.following.stop()

    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.add_exception_handler(DdcaiError, _refusal)
    app.add_exception_handler(RequestValidationError, _malformed)
    add_answers(app, shown.open)
    _add_files(app)

    @app.api_route("/api/state", methods=READING)
    def state() -> JSONResponse:
        return JSONResponse(shown.state())

    @app.api_route("/api/accuracy", methods=READING)
    def accuracy() -> JSONResponse:
        rows = () if shown.metrics is None else reported.accuracy(shown.metrics)
        return JSONResponse(json_value(rows))

    @app.api_route("/api/report", methods=READING)
    def report() -> JSONResponse:
        found = None if shown.report is None else reported.report(shown.report)
        return JSONResponse(json_value(found))

    @app.get("/api/events")
    async def events() -> Response:
        if pulse.full:
            return JSONResponse({"error": "too many open pages: close one"}, status_code=503)
        return StreamingResponse(
            pulse.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return Guard(app, shown.names)


def _refusal(request: Request, error: Exception) -> JSONResponse:
    """What the index does not have (404), or why it cannot be read (503)."""
    code = 404 if isinstance(error, ConfigurationError) else 503
    return JSONResponse({"error": str(error)}, status_code=code)


def _malformed(request: Request, error: Exception) -> JSONResponse:
    text = "no such address, digest or number: addresses have 40 hex digits, digests 64"
    return JSONResponse({"error": text}, status_code=422)


def _add_files(app: FastAPI) -> None:
    """The page and what it loads: read once, so that no path of a request names a file."""

    def file(content: bytes, kind: str) -> Callable[[], Response]:
        return lambda: Response(content, media_type=kind)

    for entry in resources.files("ddcai.dashboard").joinpath("static").iterdir():
        kind = TYPES.get(Path(entry.name).suffix)
        if kind is not None:
            path = "/" if entry.name == "index.html" else f"/{entry.name}"
            app.add_api_route(path, file(entry.read_bytes(), kind), methods=READING)


def _changed(path: Path | None) -> str | None:
    """What changes with a file; empty where it is not there, None where none was given."""
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return ""
    return f"{stat.st_mtime_ns}.{stat.st_size}"


class Server(uvicorn.Server):
    """Serves a page; `run` ends when the process is interrupted, or ``should_exit`` is set."""

    def __init__(
        self,
        shown: Dashboard,
        host: str,
        port: int,
        ready: Callable[[str], None] = lambda url: None,
    ) -> None:
        """Listens nowhere yet.

        Args:
            host, port: where to listen; port 0 takes any free one.
            ready: told the page's address, once it answers.
        """
        self._pulse, self._ready = Pulse(shown.index, shown.state), ready
        super().__init__(
            uvicorn.Config(
                make_app(shown, self._pulse),
                host=host,
                port=port,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                timeout_graceful_shutdown=GOODBYE_S,
            )
        )

    @property
    def url(self) -> str:
        """The page's address, of a server that has started."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        if self.started:
            self._ready(self.url)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """As uvicorn's, which waits for open answers: streams of events are ended first."""
        self._pulse.end()
        await super().shutdown(sockets)
