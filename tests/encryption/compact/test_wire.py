from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.compact import wire
from ddcai.encryption.compact.shapes import COMPACT_SHAPES, CompactShape
from ddcai.encryption.compact.shares import piece_bytes, to_bytes
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.errors import MalformedError

SHAPE = COMPACT_SHAPES["compact-64-3x18"]
WIDE = COMPACT_SHAPES["compact-128-3x36"]
SHARING = Sharing(3, 2)
shapes = st.sampled_from(list(COMPACT_SHAPES.values()))
sharings = st.sampled_from([Sharing(2, 2), SHARING, Sharing(5, 3), Sharing(9, 5)])


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def update(
    shape: CompactShape = SHAPE, values: int = 5, sharing: Sharing = SHARING, body: bytes = b""
) -> bytes:
    head = wire.header(wire.UPDATE, shape, sharing, values, 1)
    size = wire.update_bytes(values, shape, sharing) - len(head)
    return head + content(size - len(body)) + body


@given(shapes, st.integers(1, 60), sharings, st.binary(min_size=960, max_size=960))
def test_a_blob_has_one_reading_and_a_reading_one_blob(
    shape: CompactShape, values: int, sharing: Sharing, body: bytes
) -> None:
    body = body[: shape.words(values) * shape.bytes_per_word]
    blob = update(shape, values, sharing, body)
    found = wire.parse(blob, wire.UPDATE)
    assert (found.shape, found.sharing) == (shape, sharing)
    assert (found.values, found.contributors) == (values, 1)
    assert len(found.commitments) == len(sharing.pieces)
    assert len(found.boxes) == sharing.holders
    assert found.words.shape == (shape.limbs, shape.words(values))
    assert not found.words.flags.writeable
    head = wire.header(wire.UPDATE, shape, sharing, values, 1)
    words = found.words.astype("<u8").tobytes()
    assert words == body
    again = (head, *found.commitments, *found.boxes, to_bytes(found.masked), words)
    assert b"".join(again) == blob
    for same in (bytearray(blob), memoryview(blob)):
        assert (wire.parse(same, wire.UPDATE).words == found.words).all()


@given(st.integers(0, 22_000), st.binary(min_size=1, max_size=64))
def test_a_length_that_is_not_right_is_refused(cut: int, more: bytes) -> None:
    blob = update()
    for wrong in (blob[: min(cut, len(blob) - 1)], blob + more):
        with pytest.raises(MalformedError):
            wire.parse(wrong, wire.UPDATE)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail_otherwise(blob: bytes) -> None:
    for kind in (wire.UPDATE, wire.SUM):
        try:
            wire.parse(blob, kind)
        except MalformedError:
            continue


@given(st.integers(0, 15), st.integers(1, 255))
def test_every_byte_of_the_header_is_checked(position: int, change: int) -> None:
    blob = bytearray(update())
    blob[position] ^= change
    with pytest.raises(MalformedError):
        wire.parse(bytes(blob), wire.UPDATE, SHAPE, 5, SHARING)


def fields(
    kind: int, number: int, contributors: int, values: int, holders: int = 3, threshold: int = 2
) -> bytes:
    return struct.pack("<BBBBBBHQ", 1, kind, number, holders, threshold, 0, contributors, values)


TOTAL = bytes(piece_bytes(SHAPE) + 8)


@pytest.mark.parametrize(
    ("blob", "kind", "words"),
    [
        (fields(wire.UPDATE, 1, 2, 3) + TOTAL, wire.UPDATE, "an update of 2 contributors"),
        (fields(wire.UPDATE, 1, 0, 3) + TOTAL, wire.UPDATE, "an update of 0 contributors"),
        (fields(wire.SUM, 1, 0, 3) + TOTAL, wire.SUM, "a sum of 0 contributors"),
        (fields(wire.SUM, 1, 63, 3) + TOTAL, wire.SUM, "adds 1 to 62"),
        (fields(wire.SUM, 1, 2, 3) + TOTAL + b"1", wire.SUM, "values take"),
        (fields(wire.SUM, 1, 2, 3) + TOTAL, wire.UPDATE, "kind is a sum"),
        (fields(1, 1, 1, 3) + TOTAL, wire.UPDATE, r"kind is unknown \(1\)"),
        (fields(wire.UPDATE, 9, 1, 3) + TOTAL, wire.UPDATE, "has the number 9"),
        (fields(wire.UPDATE, 1, 1, 0), wire.UPDATE, "no values"),
        (fields(wire.UPDATE, 1, 1, 2**64 - 1) + TOTAL, wire.UPDATE, "values take"),
        (fields(wire.UPDATE, 1, 1, 3, 0) + TOTAL, wire.UPDATE, "0 key holders"),
        (fields(wire.UPDATE, 1, 1, 3, 4, 2) + TOTAL, wire.UPDATE, "in common"),
        (fields(wire.UPDATE, 1, 1, 3, 200, 101) + TOTAL, wire.UPDATE, "200 key holders"),
        (b"\2" + update()[1:], wire.UPDATE, "version 2"),
        (b"", wire.UPDATE, "too few for a header"),
        (update(WIDE), wire.UPDATE, "the federation uses compact-64-3x18"),
        (update(sharing=Sharing(5, 3)), wire.UPDATE, "for 3 of 5 key holders"),
        (update(values=6), wire.UPDATE, "6 values, the model needs 5"),
    ],
)
def test_refuses(blob: bytes, kind: int, words: str) -> None:
    known = (5, SHARING) if len(blob) > 20_000 else ()
    with pytest.raises(MalformedError, match=words):
        wire.parse(blob, kind, SHAPE, *known)


def test_refuses_what_is_not_a_plain_buffer() -> None:
    for wrong in ("text", None, np.zeros(8), memoryview(np.zeros(8)), memoryview(update())[::2]):
        with pytest.raises(MalformedError):
            wire.parse(wrong, wire.UPDATE)  # type: ignore[arg-type]
