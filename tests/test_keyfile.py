"""Secret files open with their password only, and state files are never half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import KeyfileError, WrongPassword
from ddcai.keyfile import load_secret, save_secret, write_atomically


def _save(path: Path, secret: bytes = b"secret") -> None:
    public = {"label": "x"}
    save_secret(path, holds="thing", secret=secret, public=public, password="p", light=True)


@given(secret=st.binary(max_size=300))
def test_round_trip(tmp_path_factory, secret: bytes) -> None:
    path = tmp_path_factory.mktemp("keys") / "deep" / "key.json"
    _save(path, secret)
    assert load_secret(path, holds="thing", password="p") == (secret, {"label": "x"})


def test_refusals(tmp_path) -> None:
    path = tmp_path / "key.json"
    _save(path)
    with pytest.raises(WrongPassword):
        load_secret(path, holds="thing", password="q")
    with pytest.raises(KeyfileError, match="holds 'thing', not 'other'"):
        load_secret(path, holds="other", password="p")
    with pytest.raises(KeyfileError, match="cannot read"):
        load_secret(tmp_path / "none.json", holds="thing", password="p")
    with pytest.raises(KeyfileError, match="empty"):
        save_secret(tmp_path / "n", holds="x", secret=b"", public={}, password="", light=True)


@given(data=st.data())
def test_damaged_files_never_open(tmp_path_factory, data) -> None:
    path = tmp_path_factory.mktemp("keys") / "key.json"
    _save(path)
    content = bytearray(path.read_bytes())
    index = data.draw(st.integers(0, len(content) - 1))
    content[index] = (content[index] + data.draw(st.integers(1, 255))) % 256
    path.write_bytes(content)
    try:
        secret, public = load_secret(path, holds="thing", password="p")
    except KeyfileError:
        return
    # what still opens is the same JSON in another spelling (white space, hex in capitals)
    assert (secret, public) == (b"secret", {"label": "x"})


@pytest.mark.parametrize("n", [2**21, 3, 0, -1, "x", None])
def test_hostile_cost_is_refused(tmp_path, n: object) -> None:
    path = tmp_path / "key.json"
    _save(path)
    document = json.loads(path.read_text())
    document["scrypt"]["n"] = n
    path.write_text(json.dumps(document))
    with pytest.raises(KeyfileError, match="damaged"):
        load_secret(path, holds="thing", password="p")


def test_failed_write_leaves_the_old_content(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["state"]


def test_deep_nesting_is_refused_and_ends_no_process(tmp_path) -> None:
    import py_ecc.bls  # noqa: F401  raises the recursion limit, as in every ddcai process

    path = tmp_path / "key.json"
    path.write_text("[" * 200_000)
    with pytest.raises(KeyfileError, match="not JSON"):
        load_secret(path, holds="thing", password="p")
