"""The stream of events: something new is told, once, to each reader."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ddcai.dashboard import live
from ddcai.dashboard.live import IndexVersion, Pulse


def write(path: Path, text: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (a)")
        connection.execute("INSERT INTO t VALUES (?)", (text,))
    connection.close()


def test_the_version_changes_with_what_others_write(tmp_path: Path) -> None:
    path = tmp_path / "index #1?.sqlite"
    version = IndexVersion(path)
    assert version.read() == ""
    write(path, "a")
    first = version.read()
    assert first
    assert version.read() == first
    write(path, "b")
    second = version.read()
    assert second not in ("", first)
    assert version.read() == second
    # Another file of the same name is another index.
    write(tmp_path / "other", "c")
    (tmp_path / "other").replace(path)
    assert version.read() not in ("", second)
    path.unlink()
    assert version.read() == ""
    version.close()


async def _next(events: AsyncIterator[bytes]) -> dict[str, Any]:
    while True:
        text = (await asyncio.wait_for(anext(events), 10)).decode()
        if text.startswith("event: state\ndata: "):
            assert text.endswith("\n\n")
            assert text.count("\n") == 3
            value: dict[str, Any] = json.loads(text.removeprefix("event: state\ndata: "))
            return value


def test_readers_hear_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_S", 0.02)
    monkeypatch.setattr(live, "MOST_READERS", 2)
    path = tmp_path / "index.sqlite"
    # A title cannot end the line that it is in, nor begin an event.
    state = {"title": "a\n\nevent: forged\r\u2028"}
    pulse = Pulse(path, lambda: dict(state))

    async def session() -> None:
        first, second = pulse.events(), pulse.events()
        told = await _next(first)
        assert told == state | {"version": ""}
        assert await _next(second) == told
        assert pulse.full
        write(path, "a")
        assert (await _next(first))["version"] != ""
        assert (await _next(second))["version"] != ""
        pulse.stop()
        with pytest.raises(StopAsyncIteration):
            await _next(first)
        await second.aclose()  # type: ignore[attr-defined]
        assert not pulse.full

    pulse.start()
    asyncio.run(session())


def test_a_state_that_cannot_be_told_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "LOOK_S", 0.02)
    calls: list[int] = []

    def state() -> dict[str, Any]:
        calls.append(1)
        if len(calls) < 3:
            raise RuntimeError("planted")
        return {}

    pulse = Pulse(tmp_path / "none", state)
    pulse.start()

    async def session() -> None:
        assert await _next(pulse.events()) == {"version": ""}

    asyncio.run(session())
    pulse.stop()
    assert "planted" in caplog.text
