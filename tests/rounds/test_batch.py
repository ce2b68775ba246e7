"""A group's list has one byte form."""

from __future__ import annotations

import contextlib

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import MalformedError
from ddcai.rounds.batch import MOST, BatchList, Given

ENTRIES = st.builds(
    Given,
    contributor=st.binary(min_size=20, max_size=20).map(to_checksum_address),
    update=st.binary(min_size=32, max_size=32),
    signature=st.binary(min_size=65, max_size=65),
)
LISTS = st.lists(ENTRIES, min_size=1, max_size=6, unique_by=lambda one: one.contributor)


@given(LISTS)
def test_what_is_written_is_read(entries: list[Given]) -> None:
    listed = BatchList.of(entries)
    assert BatchList.from_blob(listed.to_blob()) == listed
    assert listed == BatchList.of(reversed(entries))
    assert listed.tree().contributors == tuple(one.contributor for one in listed.given)
    assert len(listed.to_blob()) == 5 + 117 * len(entries)


@given(LISTS, st.data())
def test_what_is_read_is_what_would_be_written(entries: list[Given], data: st.DataObject) -> None:
    blob = bytearray(BatchList.of(entries).to_blob())
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedError):
        assert BatchList.from_blob(bytes(blob)).to_blob() == blob


@given(LISTS)
def test_other_forms_are_refused(entries: list[Given]) -> None:
    blob = BatchList.of(entries).to_blob()
    twice = blob[:1] + (len(entries) + 1).to_bytes(4, "big") + blob[5:] + blob[-117:]
    forms = [b"", blob[:-1], blob + b"\0", b"\2" + blob[1:], blob[:5], twice]
    if len(entries) > 1:
        forms.append(blob[:5] + blob[122:] + blob[5:122])  # the first at the end
    for one in forms:
        with pytest.raises(MalformedError):
            BatchList.from_blob(one)


@pytest.mark.parametrize("count", [0, MOST + 1, 2**32 - 1])
def test_the_count_is_looked_at_before_the_entries(count: int) -> None:
    with pytest.raises(MalformedError, match=f"list of {count}"):
        BatchList.from_blob(b"\1" + count.to_bytes(4, "big"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        assert BatchList.from_blob(data).to_blob() == data
