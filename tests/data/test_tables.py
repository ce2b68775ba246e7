"""CSV, Parquet and npz give the same columns; files that cannot be read are refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ddcai.data.tables import read_npz, read_table
from ddcai.errors import DataError

_text = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), max_size=6)


@given(st.lists(st.tuples(_text, st.floats(allow_nan=False)), min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_three_kinds_of_file_agree(tmp_path: Path, rows: list[tuple[str, float]]) -> None:
    texts, numbers = [row[0] for row in rows], [row[1] for row in rows]
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "number"], *([t, repr(n)] for t, n in rows)])
    pd.DataFrame({"text": texts, "number": numbers}).to_parquet(tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", text=np.array(texts), number=np.array(numbers))
    expected = {"text": [t.strip() for t in texts], "number": [repr(n) for n in numbers]}
    assert read_table(tmp_path / "a.csv").columns == expected
    assert read_table(tmp_path / "a.parquet").columns == expected
    # numpy's fixed-width text cannot hold trailing NULs; the alphabet above has none.
    assert read_table(tmp_path / "a.npz").columns == expected


def test_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffname, age \r\n"Ö, ""x""", 3\r\n\r\nz,\r\n'.encode())
    table = read_table(path)
    assert table.columns == {"name": ['Ö, "x"', "z"], "age": ["3", ""]}
    assert table.rows == 2


def test_parquets_own_missing_values_and_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None], dtype="Int64"),
            "f": [1.5, float("nan")],
            "b": [True, False],
            "s": ["x", None],
            "c": pd.Categorical(["u", "v"]),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    columns = read_table(tmp_path / "a.parquet").columns
    assert columns["i"][0] in ("1", "1.0")
    assert columns["i"][1] in ("", "nan")
    assert columns["f"] == ["1.5", "nan"]
    assert columns["b"] == ["1", "0"]
    assert columns["s"][0] == "x"
    assert columns["s"][1] in ("", "nan")
    assert columns["c"] == ["u", "v"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"x,x\n1,2\n", "'x' twice"),
        ("a.csv", b"x,y\n1,2\n1,2,3\n", "line 3 has 3 values for 2"),
        ("a.csv", b"x,y\n1\n", "line 2 has 1 values for 2"),
        ("a.csv", b"x\n\xff\n", "not UTF-8"),
        ("a.csv", b'x\n"1\n', "not CSV"),
        ("a.parquet", b"PAR1 nonsense", "cannot read"),
        ("a.npz", b"PK nonsense", "cannot read"),
        ("a.npz", b"", "cannot read"),
        ("a.xlsx", b"", r"\.csv, \.parquet or \.npz"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError):
            read_table(path)
    with pytest.raises(DataError, match="not there"):
        read_npz(tmp_path / "none.npz")


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    """A pickle can run any code when it is loaded; the planted one would leave a file."""

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    np.savez(tmp_path / "a.npz", x=np.array([Attack()], dtype=object))
    with pytest.raises(DataError, match="cannot read"):
        read_table(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


def test_npz_columns_of_other_shapes_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2)))
    with pytest.raises(DataError, match="one-dimensional"):
        read_table(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x=np.zeros(2), y=np.zeros(3))
    with pytest.raises(DataError, match="lengths differ"):
        read_table(tmp_path / "b.npz")
