"""What a page of somebody else could try through a reader's browser, and every answer's headers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from ddcai.dashboard.guard import HEADERS, Guard

OURS = PlainTextResponse("rows")


def ask(app: ASGIApp, host: str = "localhost", method: str = "GET") -> httpx.Response:
    """One request, without a network."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, "/", headers={"Host": host})

    return asyncio.run(asked())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8080",
        "localhost:1",
        "LocalHost",
        "[::1]:8080",
        "[::1]",
        "192.0.2.7:80",
    ],
)
def test_addresses_in_digits_and_localhost_are_answered(host: str) -> None:
    assert ask(Guard(OURS), host).text == "rows"


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "rebound.example:8080",
        "127.0.0.1.rebound.example",
        "localhost.rebound.example",
        "127.0.0.1:8080@rebound.example",
        "127.0.0.1:",
        "127.0.0.1:x",
        "::1",
        "[::1",
        "[127.0.0.1]",
        "0x7f.1",
        "2130706433",
        "",
    ],
)
def test_a_name_that_somebody_pointed_here_gets_nothing(host: str) -> None:
    answer = ask(Guard(OURS), host)
    assert answer.status_code == 421
    assert "rows" not in answer.text
    assert answer.headers.items() >= {k.lower(): v for k, v in HEADERS.items()}.items()


def test_a_name_that_was_given_is_answered() -> None:
    ours = Guard(OURS, ["audit.example.org"])
    for host in ("audit.example.org", "AUDIT.example.org:8080", "audit.example.org.:80"):
        assert ask(ours, host).text == "rows"
    assert ask(ours, "other.example.org").status_code == 421


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_no_other_host_is_known(host: str) -> None:
    if Guard(OURS).knows(host):
        name = re.sub(r":\d+\Z", "", host)
        assert re.fullmatch(r"localhost\.*|\d+(\.\d+){3}|\[[0-9a-f:.%\w]+\]", name, re.I), host


def _answer(headers: list[tuple[bytes, bytes]], kind: str = "http") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": kind, "method": "GET", "path": "/", "headers": headers, "query_string": b""}
    asyncio.run(Guard(OURS)(scope, receive, send))
    return sent


def test_one_host_header_is_wanted() -> None:
    assert _answer([(b"host", b"localhost")])[0]["status"] == 200
    assert _answer([])[0]["status"] == 421
    assert _answer([(b"host", b"localhost"), (b"host", b"a.example")])[0]["status"] == 421


def test_there_are_no_web_sockets() -> None:
    assert _answer([(b"host", b"localhost")], "websocket")[0]["type"] == "websocket.close"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "WEIRD"])
def test_other_methods_than_reading_are_refused(method: str) -> None:
    answer = ask(Guard(OURS), method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_headers_are_on_every_answer_and_cannot_be_doubled() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        own = {"Content-Security-Policy": "default-src *", "Cache-Control": "no-store"}
        await PlainTextResponse("own", status_code=500, headers=own)(scope, receive, send)

    answer = ask(Guard(app))
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_policy_lets_nothing_in() -> None:
    rules = dict(
        part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";")
    )
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"
    assert rules["require-trusted-types-for"] == "'script'"
    for name in ("script-src", "style-src", "img-src", "connect-src"):
        assert rules[name] == "'self'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
