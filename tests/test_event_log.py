"""Events in lines: every line has its fields, and nobody writes another's."""

from __future__ import annotations

import json
import logging
import re
import socket
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddcai.event_log import (
    FORM_VARIABLE,
    SOCKET_VARIABLE,
    Handler,
    about,
    configure,
    event,
    line,
    of_record,
    pack,
    plain,
    unpack,
)

TEXTS = st.text(st.characters() | st.characters(categories=["C", "Z"]))
FORGED = (
    "a\n2026-01-01T00:00:00.000Z INFO round_finalized round=9: \x1b[2Jall is well\r\u2028\u202e"
)


def _record(message: str, facts: dict[str, object] | None = None) -> logging.LogRecord:
    record = logging.LogRecord("ddcai.node", logging.WARNING, "f", 1, message, (), None)
    record.__dict__.update(facts or {})
    return record


@given(TEXTS, TEXTS, TEXTS)
@example(FORGED, FORGED, FORGED)
def test_an_event_is_one_line_whatever_its_texts(message: str, party: str, fact: str) -> None:
    one = of_record(_record(message.replace("%", ""), about("joined", 3, party, name=fact)))
    text, as_json = line(one, "text"), line(one, "json")
    for shown in (text, as_json):
        assert shown.isprintable()
        assert len(shown.splitlines()) == 1
    assert as_json.isascii()
    assert json.loads(as_json) == one
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING joined round=3 party=", text)


def test_every_line_has_time_level_event_round_and_party() -> None:
    one = json.loads(line(of_record(_record("hm", about("refused", asked="train"))), "json"))
    assert list(one)[:6] == ["time", "level", "event", "round", "party", "message"]
    assert datetime.fromisoformat(one["time"]).utcoffset() is not None
    assert (one["event"], one["round"], one["party"], one["asked"]) == (
        "refused",
        None,
        None,
        "train",
    )
    assert of_record(_record("without facts"))["event"] == "node"


def test_a_traceback_forges_no_line() -> None:
    try:
        raise ValueError(FORGED)
    except ValueError as error:
        record = _record("failed")
        record.exc_info = (type(error), error, error.__traceback__)
    one = of_record(record)
    first, *rest = line(one, "text").splitlines()
    assert first.endswith("WARNING node: failed")
    assert rest
    assert all(part.startswith("  | ") and part.isprintable() for part in rest)
    assert len(line(one, "json").splitlines()) == 1


@given(TEXTS)
def test_plain_text_moves_nothing(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)


@given(TEXTS, st.none() | st.integers(), st.none() | TEXTS)
def test_an_event_goes_through_the_socket(text: str, number: int | None, party: str | None) -> None:
    one = event("INFO", "joined", text, round=number, party=party, seconds=0.5)
    assert unpack(pack(one)) == one


@given(st.binary() | st.text().map(str.encode))
@example(b"{}")
@example(json.dumps(event("INFO", "a", "b") | {"round": "3"}).encode())
@example(json.dumps(event("INFO", "a", "b") | {"message": 3}).encode())
@example(json.dumps(event("INFO", "a", "b") | {"error": []}).encode())
@example(b"[" * 10**5)
def test_what_is_no_event_is_none(data: bytes) -> None:
    assert unpack(data) is None


def test_events_go_to_the_socket_and_else_to_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "s")
    handler = Handler("json", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        handler.handle(_record("heard", about("joined")))
        found = unpack(listening.recv(65536))
    assert found is not None
    assert found["message"] == "heard"
    assert capsys.readouterr().err == ""
    handler.handle(_record("nobody listens", about("joined")))
    assert json.loads(capsys.readouterr().err)["message"] == "nobody listens"


def test_a_process_is_configured_once_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORM_VARIABLE, "json")
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    logger = logging.getLogger("ddcai")
    monkeypatch.setattr(logger, "handlers", [])
    level = logger.level
    try:
        configure()
        configure()
        assert [type(one) for one in logger.handlers] == [Handler]
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(level)
