"""The blob store keeps bytes under digests and says plainly what it does not hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import BlobMissing, StoreError
from ddcai.store import Store


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


def test_unknown_protocol(tmp_path) -> None:
    with pytest.raises(StoreError, match="nosuch"):
        Store("nosuch://bucket")
