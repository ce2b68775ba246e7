"""Rows for a classifier on chain: each form of file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ddcai.data.rows import load_rows
from ddcai.errors import DataError


def test_dense_rows(tmp_path: Path) -> None:
    expected = np.array([[127, -127, 0], [64, -64, 13]], np.int8)
    values = np.array([[1, -1, 0], [0.5, -0.5, 0.1]])
    (tmp_path / "rows.csv").write_text("a,b,c\n1,-1,0\n0.5,-0.5,0.1\n")
    np.savez(tmp_path / "floats.npz", x=values.astype(np.float32))
    np.savez(tmp_path / "columns.npz", a=values[:, 0], b=values[:, 1], c=values[:, 2])
    np.savez(tmp_path / "integers.npz", x=np.array([[-128, 127, 3]], np.int8))
    for name in ("rows.csv", "floats.npz", "columns.npz"):
        found = load_rows(tmp_path / name, dense=True, features=3)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.int8
        assert found.tolist() == expected.tolist()
    integers = load_rows(tmp_path / "integers.npz", dense=True, features=3)
    assert [row.tolist() for row in integers] == [[-128, 127, 3]]


def test_sparse_rows(tmp_path: Path) -> None:
    expected = [[0, 2], [], [1]]
    (tmp_path / "rows.txt").write_text("2, 0\n\n1\n")
    (tmp_path / "rows.csv").write_text("a,b,c\n1,0,1\n0,0,0\n0,1,0\n")
    np.savez(tmp_path / "rows.npz", x=np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], bool))
    for name in ("rows.txt", "rows.csv", "rows.npz"):
        found = load_rows(tmp_path / name, dense=False, features=3)
        assert [row.tolist() for row in found] == expected


@pytest.mark.parametrize(
    ("name", "content", "dense", "says"),
    [
        ("r.txt", "3\n", False, "line 1 has '3': give indices from 0 to 2"),
        ("r.txt", "0\n-1\n", False, "line 2 has '-1'"),
        ("r.txt", "1 1\n", False, "line 1 names an index twice"),
        ("r.txt", "", False, "no rows"),
        ("r.txt", "1\n", True, "this model is dense"),
        ("r.csv", "a,b\n1,1\n", False, r"\[1, 2\]: this model takes \[n, 3\]"),
        ("r.csv", "a,b,c\n1,1,2\n", False, "row 1 holds 2: a sparse model takes 0 and 1"),
        ("r.csv", "a,b,c\n1,nan,0\n", False, "row 1 holds nan"),
        ("r.csv", "a,b,c\n0,0,0\n1,-1.5,0\n", True, "row 2 holds -1.5: scale features"),
        ("r.csv", "a,b,c\n0,x,0\n", True, "row 1, column 'b' is 'x'"),
        ("r.csv", "a,b,c\n0,nan,0\n", True, "row 1 of x holds NaN"),
        ("r.csv", "a,b,c\n", True, "no rows"),
        ("r.xls", "", True, "give .csv"),
    ],
)
def test_what_is_no_row_is_refused(
    tmp_path: Path, name: str, content: str, dense: bool, says: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=says):
        load_rows(path, dense=dense, features=3)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", x=np.array([["a", "b", "c"]]))
    with pytest.raises(DataError, match="give numbers"):
        load_rows(tmp_path / "text.npz", dense=True, features=3)
    (tmp_path / "bytes.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        load_rows(tmp_path / "bytes.txt", dense=False, features=3)
    with pytest.raises(DataError, match="cannot read"):
        load_rows(tmp_path / "none.txt", dense=False, features=3)
