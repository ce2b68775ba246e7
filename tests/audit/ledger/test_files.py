"""Rows as CSV and Parquet: the same values, and nothing that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.audit.ledger.files import csv_text
from ddcai.audit.ledger.parquet import write_parquet
from ddcai.errors import ConfigurationError


@dataclass(frozen=True)
class Row:
    name: str
    time: datetime
    amount_wei: int
    gas: int
    share: float | None
    signed: bool | None
    updates: tuple[tuple[str, str], ...]


ROW = Row(
    name='a "b", c',
    time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    amount_wei=3 * 10**20,
    gas=21_000,
    share=None,
    signed=True,
    updates=(("0xA", "0xb"),),
)
HOSTILE = [
    "=1+1",
    "+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\uff1d1",
    '=HYPERLINK("http://x","y")',
]


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def test_csv_has_names_and_values_in_full() -> None:
    assert read(csv_text([ROW])) == [
        ["name", "time", "amount_wei", "gas", "share", "signed", "updates"],
        [
            'a "b", c',
            "2026-01-02T03:04:05Z",
            "300000000000000000000",
            "21000",
            "",
            "true",
            '[["0xA", "0xb"]]',
        ],
    ]


def test_negative_numbers_stay_numbers() -> None:
    assert read(csv_text([{"net_wei": -5}])) == [["net_wei"], ["-5"]]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_no_formula(name: str) -> None:
    [[column], [cell]] = read(csv_text([{name: name}]))
    assert cell == column == "'" + name


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_and_none_starts_like_a_formula(text: str) -> None:
    _, row = read(csv_text([{"a": text, "b": "end"}]))
    assert row[0] in (text, "'" + text)
    assert not row[0].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert row[1] == "end"


def test_no_rows_are_a_line_of_names() -> None:
    assert csv_text([], Row).splitlines() == ["name,time,amount_wei,gas,share,signed,updates"]
    assert csv_text([]) == "\r\n"


def test_parquet_has_the_same_values_with_types(tmp_path: Path) -> None:
    write_parquet(tmp_path / "rows.parquet", [ROW, ROW], Row)
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.to_pylist() == 2 * [
        {
            "name": 'a "b", c',
            "time": ROW.time,
            "amount_wei": "300000000000000000000",
            "gas": 21_000,
            "share": None,
            "signed": True,
            "updates": '[["0xA", "0xb"]]',
        }
    ]
    write_parquet(tmp_path / "none.parquet", [], Row)
    empty = pq.read_table(tmp_path / "none.parquet")
    assert (empty.num_rows, empty.schema) == (0, table.schema)
    assert table.schema.field("share").type == pa.float64()


@given(st.lists(st.integers(-(2**70), 2**70) | st.none(), min_size=1, max_size=5))
def test_wide_integers_are_text(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int | None]
) -> None:
    path = tmp_path_factory.mktemp("wide") / "rows.parquet"
    write_parquet(path, [{"n": number} for number in numbers])
    found: list[Any] = pq.read_table(path)["n"].to_pylist()
    assert [None if one is None else int(one) for one in found] == numbers


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_parquet(tmp_path / "nowhere" / "rows.parquet", [ROW])
