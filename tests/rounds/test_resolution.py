"""Signed resolutions as files; that disputes are won with them is in `tests/cli/test_window.py`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import MalformedError
from ddcai.rounds.resolution import SignedResolution

SIGNED = st.builds(
    SignedResolution,
    window=st.integers(1, 2**64 - 1),
    digest=st.binary(min_size=32, max_size=32),
    member=st.integers(0, 1023),
    signature=st.binary(min_size=65, max_size=96),
)


@given(SIGNED)
def test_a_file_is_read_as_it_was_written(signed: SignedResolution) -> None:
    assert SignedResolution.from_blob(signed.to_blob()) == signed


@given(st.binary(max_size=80) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(("format", "window", "digest", "member", "signature")), inner
    ),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_anything_else_is_malformed(blob: bytes) -> None:
    with pytest.raises(MalformedError):
        SignedResolution.from_blob(blob)


@given(SIGNED, st.sampled_from(("format", "window", "digest", "member", "signature")), st.data())
def test_every_field_is_what_it_must_be(
    signed: SignedResolution, name: str, data: st.DataObject
) -> None:
    value = json.loads(signed.to_blob())
    value[name] = data.draw(st.sampled_from((None, True, 1.5, "xy", "AB", [], {})))
    blob = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(MalformedError):
        SignedResolution.from_blob(blob)
