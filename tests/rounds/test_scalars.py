"""Opened scalars as bytes: one form, and nothing else is read."""

from __future__ import annotations

import json

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from ddcai.digests import canonical_json
from ddcai.errors import MalformedError
from ddcai.rounds.scalars import OpenedScalars

ADDRESS = to_checksum_address("0x" + "ab" * 20)
names = st.binary(min_size=20, max_size=20).map(to_checksum_address)
some = st.builds(
    OpenedScalars,
    by_contributor=st.dictionaries(names, st.lists(st.integers(), max_size=4).map(tuple)),
    signature=st.binary(min_size=65, max_size=65),
)
GOOD = OpenedScalars(by_contributor={ADDRESS: (1, -2)}, signature=bytes(65))


@given(some)
def test_scalars_come_back_from_their_bytes(scalars: OpenedScalars) -> None:
    assert OpenedScalars.from_blob(scalars.to_blob()) == scalars


@given(st.binary(max_size=64))
def test_other_bytes_are_no_scalars(blob: bytes) -> None:
    with pytest.raises(MalformedError):
        OpenedScalars.from_blob(blob)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "ddcai-scalars-2"},
        {"signature": "00" * 64},
        {"signature": "AA" * 65},
        {"signature": None},
        {"opened": {ADDRESS.lower(): [1]}},
        {"opened": {ADDRESS: [1.0]}},
        {"opened": {ADDRESS: [True]}},
        {"opened": {ADDRESS: 1}},
        {"opened": [ADDRESS]},
        {"more": 1},
    ],
    ids=str,
)
def test_another_form_is_refused(change: dict[str, object]) -> None:
    content = json.loads(GOOD.to_blob()) | change
    with pytest.raises(MalformedError, match="no opened scalars"):
        OpenedScalars.from_blob(canonical_json(content))
