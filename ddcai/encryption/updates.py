"""Updates of either scheme, for whoever handles them without a key: parsed, marked, added.

The one place that knows which scheme a parameter set is of.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol

import numpy as np

from ddcai.digests import DIGEST_BYTES
from ddcai.encryption import lanes, summation, wire
from ddcai.encryption.compact import summation as compact_summation
from ddcai.encryption.compact import wire as compact_wire
from ddcai.encryption.compact.shapes import COMPACT_SHAPES, CompactShape
from ddcai.encryption.lanes import IntArray
from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet
from ddcai.errors import MalformedError, PlanError, RoundError

AnySet = ParameterSet | CompactShape
_ALL: dict[str, AnySet] = {**PARAMETER_SETS, **COMPACT_SHAPES}


class Accumulator(Protocol):
    """A sum under way."""

    count: int

    def add(self, blob: bytes) -> None:
        """Adds an update, or refuses it and stays as it was."""

    def to_blob(self) -> bytes:
        """The sum in the wire form: the same bytes in whatever order updates were added."""


def set_names() -> tuple[str, ...]:
    """All parameter sets' names."""
    return tuple(_ALL)


def any_set(set_id: str) -> AnySet:
    """The parameter set of that name, of either scheme.

    Raises:
        PlanError: naming the known sets.
    """
    try:
        return _ALL[set_id]
    except KeyError:
        raise PlanError(
            f"encryption.parameter_set is {set_id!r}: give one of {', '.join(_ALL)}"
        ) from None


def set_of(blob: bytes) -> AnySet:
    """The parameter set that an update says it is of.

    Raises:
        MalformedError: it is no update.
    """
    if wire.kind_of(blob) == compact_wire.UPDATE:
        return compact_wire.read_header(blob, compact_wire.UPDATE)[0]
    return wire.known_set(wire.read_header(blob, wire.CIPHERTEXTS)[0])


def accumulator(parameters: AnySet, values: int | None = None) -> Accumulator:
    """An empty sum of updates of that set, and of so many values where that is known."""
    if isinstance(parameters, CompactShape):
        return compact_summation.SumAccumulator(parameters, values)
    return summation.SumAccumulator(parameters, values)


def check(blob: bytes, parameters: AnySet, values: int) -> None:
    """Raises MalformedError unless a blob is exactly an update of that set and size."""
    if isinstance(parameters, CompactShape):
        compact_wire.parse(blob, compact_wire.UPDATE, parameters, values)
    else:
        wire.check(blob, parameters, values)


def lane_values(lane: int, values: int, parameters: AnySet) -> IntArray:
    """Which of so many values, by index from 0, are in a lane: int64[k], ascending.

    A scalar is of values of one lane (`ddcai.encryption.scalars.Vectors`).

    Raises:
        RoundError: there is no such lane.
    """
    if not isinstance(parameters, CompactShape):
        return lanes.lane_values(lane, values, parameters)
    if not 0 <= lane < parameters.lanes:
        raise RoundError(f"lane {lane} of {parameters.id}: give 0 to {parameters.lanes - 1}")
    return np.arange(values, dtype=np.int64)[parameters.in_lane(lane, values)]


def marks(blob: bytes, parameters: AnySet) -> list[bytes]:
    """What copies of an update, or of a part of it, have in common with it.

    Of BFV one a ciphertext: its c1, fresh at every encryption, unchanged if c0 is altered. Of the
    compact scheme one: the commitments, bound to contributor and round, without which an update
    opens with nothing.

    Raises:
        MalformedError: header or length are wrong.
    """
    if isinstance(parameters, CompactShape):
        update = compact_wire.parse(blob, compact_wire.UPDATE, parameters)
        return [_hash(b"".join(update.commitments))]
    ciphertexts = wire.open_blob(blob, parameters)
    return [_c1_mark(ciphertexts.packed(block)) for block in range(len(ciphertexts))]


def first_mark(start: bytes, parameters: AnySet) -> bytes:
    """The first of `marks`, from the first `mark_bytes` of a blob of that set.

    It is what a key holder remembers of a round that it opened.

    Raises:
        MalformedError: they are the start of something else.
    """
    if isinstance(parameters, CompactShape):
        shape, sharing, _, _, body = compact_wire.read_header(start, compact_wire.UPDATE)
        size = compact_wire.COMMITMENT_BYTES * len(sharing.pieces)
        if shape != parameters or len(body) < size:
            raise MalformedError(f"the start of another update than of {parameters.id}")
        return _hash(bytes(body[:size]))
    set_number, _, body = wire.read_header(start, wire.CIPHERTEXTS)
    wire.known_set(set_number, parameters)
    if len(body) < parameters.bytes_per_ciphertext:
        raise MalformedError(f"{len(start)} bytes are no whole ciphertext of {parameters.id}")
    return _c1_mark(body[: parameters.bytes_per_ciphertext])


def about_bytes(values: int, parameters: AnySet) -> int:
    """Size of an update of so many values; of the compact scheme without its boxes, which take
    a few kilobytes for each key holder."""
    if isinstance(parameters, CompactShape):
        return parameters.words(values) * parameters.bytes_per_word
    return wire.HEADER_BYTES + parameters.ciphertexts(values) * parameters.bytes_per_ciphertext


def mark_bytes(parameters: AnySet) -> int:
    """How much of a blob `first_mark` needs."""
    if isinstance(parameters, CompactShape):
        return compact_wire.HEADER_BYTES + compact_wire.MOST_COMMITMENT_BYTES
    return wire.HEADER_BYTES + parameters.bytes_per_ciphertext


def ciphertexts(blob: bytes, parameters: AnySet) -> int:
    """How many ciphertexts of a lasting key a sum has; none of the compact scheme."""
    if isinstance(parameters, CompactShape):
        return 0
    return len(wire.open_blob(blob, parameters))


def _c1_mark(packed: memoryview) -> bytes:
    return _hash(packed[len(packed) // 2 :])


def _hash(content: bytes | memoryview) -> bytes:
    return blake2b(content, digest_size=DIGEST_BYTES).digest()
