"""Rows as tables and JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path

import pytest

from ddcai.cli.output import emit, emit_one, in_words, say_error

DIGEST = bytes(range(32))


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Row:
    digest: bytes
    time: datetime
    amount_wei: int
    colour: Colour
    path: Path
    nothing: None = None


ROW = Row(
    digest=DIGEST,
    time=datetime(2026, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1))),
    amount_wei=15 * 10**17,
    colour=Colour.RED,
    path=Path("a/b"),
)


def test_json_has_digests_in_full_wei_and_utc(capsys: pytest.CaptureFixture[str]) -> None:
    emit([ROW], "json")
    assert json.loads(capsys.readouterr().out) == [
        {
            "digest": "0x" + DIGEST.hex(),
            "time": "2026-01-02T03:04:05Z",
            "amount_wei": 15 * 10**17,
            "colour": "red",
            "path": "a/b",
            "nothing": None,
        }
    ]


def test_a_table_has_the_same_rows_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    emit([ROW], "table", title="rows")
    out = capsys.readouterr().out
    for part in ("0x0001020304..", "2026-01-02 03:04:05Z", "1.5 ETH", "red", "a/b", "rows"):
        assert part in out
    assert DIGEST.hex() not in out


def test_one_object_has_its_digests_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    emit_one(ROW, "table")
    assert "0x" + DIGEST.hex() in capsys.readouterr().out
    emit_one({"time": datetime(2026, 1, 1, tzinfo=UTC)}, "json")
    assert json.loads(capsys.readouterr().out) == {"time": "2026-01-01T00:00:00Z"}


def test_no_rows_are_an_empty_list_or_a_word_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    emit([], "json")
    assert json.loads(capsys.readouterr().out) == []
    emit([], "table", empty="no rounds")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "no rounds\n"


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say_error("one\n  two")
    assert capsys.readouterr().err == "error: one two\n"


def test_only_rows_are_printed() -> None:
    with pytest.raises(TypeError, match="int is no row"):
        emit([3], "json")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"),
     (3600, "1 h 00 min"), (90_061, "25 h 01 min")],
)  # fmt: skip
def test_times_are_in_words(seconds: float, text: str) -> None:
    assert in_words(seconds) == text
