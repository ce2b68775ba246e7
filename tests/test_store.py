"""The blob store keeps bytes under digests and says plainly what it does not hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import BlobMissing, StoreError
from ddcai.store import Store, is_there, local_path
from tests.full_disk import run_on_small_disk


@given(blob=st.binary(max_size=200), digest=st.binary(min_size=32, max_size=32))
def test_what_goes_in_comes_out(tmp_path_factory, blob: bytes, digest: bytes) -> None:
    store = Store(str(tmp_path_factory.mktemp("blobs")))
    store.put(digest, blob)
    store.put(digest, blob)
    assert store.has(digest)
    assert store.get(digest) == blob


def test_missing_blob_is_named(tmp_path) -> None:
    store = Store(str(tmp_path / "new" / "folder"))
    assert not store.has(bytes(32))
    with pytest.raises(BlobMissing, match="00" * 32):
        store.get(bytes(32))


def test_no_part_of_a_blob_is_left_behind(tmp_path) -> None:
    store = Store(str(tmp_path))
    store.put(b"\x01" * 32, b"blob")
    assert [path.name for path in tmp_path.iterdir()] == ["01" * 32]


def test_bounds(tmp_path) -> None:
    small = Store(str(tmp_path), max_blob_bytes=3)
    with pytest.raises(StoreError, match="at most 3"):
        small.put(bytes(32), b"four")
    Store(str(tmp_path)).put(bytes(32), b"four")
    with pytest.raises(StoreError, match="at most 3"):
        small.get(bytes(32))
    with pytest.raises(StoreError, match="32 bytes"):
        small.get(b"../../etc/passwd")


def test_looking_whether_a_store_is_there_does_not_make_it(tmp_path: Path) -> None:
    for url in (str(tmp_path / "new"), f"file://{tmp_path}/new"):
        assert not is_there(url)
        assert local_path(url) == tmp_path / "new"
    assert list(tmp_path.iterdir()) == []
    assert is_there(str(tmp_path))
    (tmp_path / "file").write_text("")
    assert not is_there(str(tmp_path / "file"))
    assert local_path("memory://store") is None
    with pytest.raises(StoreError, match="nosuch"):
        is_there("nosuch://store")


def test_unknown_protocol(tmp_path) -> None:
    with pytest.raises(StoreError, match="nosuch"):
        Store("nosuch://bucket")


def test_a_full_disk_is_said_and_leaves_what_was_there(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from ddcai.errors import StoreError
from ddcai.store import Store, is_there, local_path
store = Store(sys.argv[1])
store.put(bytes(32), b"first")
for blob in (bytes(100_000), bytes(2_000_000)):
    try:
        store.put(bytes(32), blob)
    except StoreError as error:
        print(error)
print(len(store.get(bytes(32))), [path.name for path in Path(sys.argv[1]).iterdir()])
"""
    told, left = run_on_small_disk(tmp_path, 1000, code).splitlines()
    assert "No space left on device" in told
    assert f"cannot write {'00' * 32} to {tmp_path}" in told
    assert left == f"100000 ['{'00' * 32}']"
