"""The wire form of updates, sums and the holders' keys: canonical, strictly parsed.

| bytes | content |
|---|---|
| 1 | version, 1 |
| 1 | kind: 5 update, 6 sum, 7 keys (`ddcai.encryption.wire` has the others) |
| 1 | shape's number |
| 1 | N, key holders |
| 1 | T, of them open |
| 1 | 0 |
| 2 | contributors, little-endian; 1 in an update, 0 in keys |
| 8 | number of values, little-endian; 0 in keys |
| 32 c | update: commitments to the c pieces (`ddcai.encryption.compact.shares`) |
| ... | update: N boxes, one a holder, each of 1,136 bytes and 32 a piece that it holds |
| ... | update and sum: the masked secret, words modulo 2**piece_bits, all low limbs first |
| ... | update and sum: the low 64 bits of each word, then the high ones where words have 128 |
| 1,216 N | keys: the key that each holder's boxes are sealed to under |

Word j belongs to polynomial j // n, and in it to coefficient (j % n) // 2, plus n / 2 where j is
odd (`ddcai.encryption.compact.ring`); there are as many as the values take
(`CompactShape.words`); which values a word has, `CompactShape.in_lane` says.

Integers are little-endian. Any word is valid, and no byte of a blob is free. Refused by
`MalformedError`: anything else, above all a length that is not exactly right.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from ddcai.encryption.compact.limbs import WordArray
from ddcai.encryption.compact.shapes import COMPACT_SHAPES_BY_NUMBER, CompactShape
from ddcai.encryption.compact.shares import PieceWords, from_bytes, package_bytes, piece_bytes
from ddcai.encryption.threshold.boxes import BOX_OVERHEAD
from ddcai.encryption.threshold.sharing import MOST_PIECES, Sharing
from ddcai.errors import ConfigurationError, MalformedError

VERSION = 1
UPDATE, SUM, KEYS = 5, 6, 7
_NAMES = {
    UPDATE: "an update of the compact scheme",
    SUM: "a sum of the compact scheme",
    KEYS: "keys of the compact scheme",
}
_HEADER = struct.Struct("<BBBBBBHQ")
HEADER_BYTES = _HEADER.size
COMMITMENT_BYTES = 32
MOST_COMMITMENT_BYTES = COMMITMENT_BYTES * MOST_PIECES

Blob = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Parsed:
    """A blob whose every byte was checked.

    Attributes:
        shape, sharing: of the federation.
        values: number of values.
        contributors: updates in it; 1 for an update.
        commitments: digests of the pieces of the secret, 32 bytes each; none in a sum.
        boxes: one a key holder; none in a sum.
        masked: the masked secret, or the sum of such.
        words: uint64[limbs, m], read-only; they lie in the blob where the machine is little-endian.
    """

    shape: CompactShape
    sharing: Sharing
    values: int
    contributors: int
    commitments: tuple[bytes, ...]
    boxes: tuple[bytes, ...]
    masked: PieceWords
    words: WordArray


def box_bytes(sharing: Sharing) -> int:
    """Size of a holder's box."""
    return BOX_OVERHEAD + package_bytes(sharing)


def update_bytes(values: int, shape: CompactShape, sharing: Sharing) -> int:
    """Size of an update."""
    return _start(UPDATE, shape, sharing) + shape.words(values) * shape.bytes_per_word


def header(
    kind: int, shape: CompactShape, sharing: Sharing, values: int, contributors: int
) -> bytes:
    """The first bytes."""
    return _HEADER.pack(
        VERSION, kind, shape.number, sharing.holders, sharing.threshold, 0, contributors, values
    )


def read_header(blob: Blob, kind: int) -> tuple[CompactShape, Sharing, int, int, memoryview]:
    """Checks a blob's first bytes.

    Returns:
        shape, sharing, contributors, values, and the rest.

    Raises:
        MalformedError: if it is of another kind, or of no shape or sharing that there is.
    """
    if not isinstance(blob, bytes | bytearray | memoryview):
        raise MalformedError(f"a {type(blob).__name__} is no blob: give bytes")
    view = memoryview(blob)
    if view.format != "B" or view.ndim != 1 or not view.contiguous:
        raise MalformedError("not a plain buffer of bytes: give bytes")
    if len(view) < HEADER_BYTES:
        raise MalformedError(f"{len(view)} bytes are too few for a header: the blob is cut off")
    fields = _HEADER.unpack_from(view)
    version, found_kind, number, holders, threshold, zero, contributors, values = fields
    if version != VERSION:
        raise MalformedError(f"version {version} of the wire form: this library reads {VERSION}")
    if found_kind != kind:
        name = _NAMES.get(found_kind, f"unknown ({found_kind})")
        raise MalformedError(f"the blob's kind is {name}, not {_NAMES[kind]}")
    shape = COMPACT_SHAPES_BY_NUMBER.get(number)
    if shape is None:
        raise MalformedError(f"no shape of the compact scheme has the number {number}")
    if zero:
        raise MalformedError(f"byte 5 of the header is {zero}: it is 0")
    try:
        sharing = Sharing(holders, threshold)
    except ConfigurationError as error:
        raise MalformedError(str(error)) from error
    return shape, sharing, contributors, values, view[HEADER_BYTES:]


def parse(
    blob: Blob,
    kind: int,
    shape: CompactShape | None = None,
    values: int | None = None,
    sharing: Sharing | None = None,
) -> Parsed:
    """Checks a blob.

    Args:
        blob: from anybody.
        kind: UPDATE or SUM.
        shape, values, sharing: the only ones to accept, where given.

    Raises:
        MalformedError: if it is not exactly what it should be.
    """
    used, among, contributors, found, view = read_header(blob, kind)
    if shape is not None and used != shape:
        raise MalformedError(f"the blob is for {used.id}, the federation uses {shape.id}")
    if sharing is not None and among != sharing:
        raise MalformedError(
            f"the blob is for {among.threshold} of {among.holders} key holders, the federation has "
            f"{sharing.threshold} of {sharing.holders}"
        )
    if kind == UPDATE and contributors != 1:
        raise MalformedError(f"an update of {contributors} contributors: it has one")
    if not 1 <= contributors <= used.max_contributors:
        raise MalformedError(
            f"a sum of {contributors} contributors: {used.id} adds 1 to {used.max_contributors}"
        )
    if found < 1:
        raise MalformedError("a blob of no values")
    if values is not None and found != values:
        raise MalformedError(f"the blob has {found} values, the model needs {values}")
    start = _start(kind, used, among) - HEADER_BYTES
    expected = start + used.words(found) * used.bytes_per_word
    if len(view) != expected:
        raise MalformedError(
            f"{found} values take {HEADER_BYTES + expected} bytes, the blob has "
            f"{HEADER_BYTES + len(view)}"
        )
    commitments: tuple[bytes, ...] = ()
    boxes: tuple[bytes, ...] = ()
    at = 0
    if kind == UPDATE:
        at = COMMITMENT_BYTES * len(among.pieces)
        commitments = _cut(view[:at], COMMITMENT_BYTES)
        end = at + among.holders * box_bytes(among)
        boxes, at = _cut(view[at:end], box_bytes(among)), end
    words = np.frombuffer(view[start:], dtype="<u8").astype(np.uint64, copy=False)
    words.flags.writeable = False
    return Parsed(
        shape=used,
        sharing=among,
        values=found,
        contributors=contributors,
        commitments=commitments,
        boxes=boxes,
        masked=from_bytes(view[at:start], used),
        words=words.reshape(used.limbs, -1),
    )


def _start(kind: int, shape: CompactShape, sharing: Sharing) -> int:
    """Where the words begin."""
    start = HEADER_BYTES + piece_bytes(shape)
    if kind == UPDATE:
        start += COMMITMENT_BYTES * len(sharing.pieces) + sharing.holders * box_bytes(sharing)
    return start


def _cut(view: memoryview, size: int) -> tuple[bytes, ...]:
    return tuple(bytes(view[at : at + size]) for at in range(0, len(view), size))
