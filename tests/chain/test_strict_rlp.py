"""The strict parser against pyrlp: it reads all that pyrlp writes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import rlp
from hypothesis import given
from hypothesis import strategies as st

from ddcai.chain import strict_rlp
from ddcai.errors import MalformedError

DEPTH = 6
items = st.recursive(
    st.binary(max_size=70), lambda inner: st.lists(inner, max_size=5), max_leaves=20
)


def depth(item: Any) -> int:
    return 1 + max(map(depth, item), default=0) if isinstance(item, list) else 0


@given(items)
def test_reads_what_pyrlp_writes(item: Any) -> None:
    raw = rlp.encode(item)
    assert strict_rlp.decode(raw, depth(item)) == item
    if depth(item):
        with pytest.raises(MalformedError, match="too deep"):
            strict_rlp.decode(raw, depth(item) - 1)


@given(st.one_of(st.binary(max_size=40), items.map(rlp.encode)), st.data())
def test_what_it_reads_has_one_form(raw: bytes, data: st.DataObject) -> None:
    if raw and data.draw(st.booleans()):
        place, bit = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 7))
        raw = raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]
    try:
        item = strict_rlp.decode(raw, DEPTH)
    except MalformedError:
        return
    assert rlp.encode(item) == raw


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "too early"),
        (b"\x82a", "too early"),
        (b"\xc2a", "too early"),
        (b"\xc1\x82ab", "too early"),
        (b"\xb9\x01", "shortest"),
        (b"\x81a", "shortest"),
        (b"\xb8\x01a", "shortest"),
        (b"\xb9\x00\x40" + bytes(64), "shortest"),
        (b"\x80\x80", "after the end"),
        (b"\xff" + b"\xff" * 8, "too early"),
    ],
)
def test_refuses(raw: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        strict_rlp.decode(raw, 1)


def test_depth_is_bounded_whatever_the_interpreter_allows() -> None:
    raw = b"\xc0"
    while len(raw) < 100_000:
        raw = rlp.codec.length_prefix(len(raw), 0xC0) + raw
    with pytest.raises(MalformedError, match="too deep"):
        strict_rlp.decode(raw, 4)


@pytest.mark.parametrize("item", [[], b"\0", b"\0\1", bytes([1]) * 9])
def test_refuses_numbers_in_other_forms(item: Any) -> None:
    with pytest.raises(MalformedError, match="gas"):
        strict_rlp.number(item, "gas")
    assert strict_rlp.number(b"", "gas") == 0
    assert strict_rlp.number(b"\x01\x00", "gas") == 256
