from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption import updates
from ddcai.encryption.compact import wire as compact_wire
from ddcai.encryption.compact.shapes import COMPACT_SHAPES
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.errors import MalformedError, PlanError
from tests.encryption.compact.making import make

from .conftest import key_pair

BFV, COMPACT = PARAMETER_SETS["bfv-4096-3x19"], COMPACT_SHAPES["compact-64-3x18"]
VALUES = 13_000  # two ciphertexts, and two polynomials


def bfv_update(value: int = 1) -> bytes:
    return key_pair(BFV.id)[1].encrypt(np.full(VALUES, value))


def compact_update(value: int = 1, sharing: Sharing = Sharing(3, 2)) -> bytes:  # noqa: B008
    return make(COMPACT, np.full(VALUES, value), sharing=sharing).blob


BOTH = pytest.mark.parametrize(
    ("parameters", "update"), [(BFV, bfv_update), (COMPACT, compact_update)], ids=["bfv", "compact"]
)


@BOTH
def test_the_first_mark_is_of_the_blob_s_beginning(parameters, update):
    blob = update()
    marks = updates.marks(blob, parameters)
    start = blob[: updates.mark_bytes(parameters)]
    assert updates.first_mark(start, parameters) == marks[0]
    assert updates.marks(blob, parameters) == marks
    assert not set(marks) & set(updates.marks(update(), parameters))
    assert updates.set_of(blob) == parameters
    assert updates.ciphertexts(blob, parameters) == (2 if parameters is BFV else 0)


@pytest.mark.parametrize("sharing", [Sharing(2, 2), Sharing(9, 5)], ids=str)
def test_the_beginning_is_enough_for_any_number_of_holders(sharing):
    blob = compact_update(sharing=sharing)
    start = blob[: updates.mark_bytes(COMPACT)]
    assert updates.first_mark(start, COMPACT) == updates.marks(blob, COMPACT)[0]


@BOTH
def test_a_copy_with_other_words_has_the_same_mark(parameters, update):
    """What a thief can change and still have the victim's randomness: c0, or the words."""
    honest = update()
    stolen = bytearray(honest)
    stolen[len(stolen) - 5 if parameters is COMPACT else 20] ^= 1
    assert updates.marks(bytes(stolen), parameters) == updates.marks(honest, parameters)


@BOTH
def test_sums_are_the_same_in_any_order(parameters, update):
    blobs = [update(value) for value in (1, 2, 3)]
    sums = []
    for order in (blobs, blobs[::-1]):
        accumulator = updates.accumulator(parameters, VALUES)
        for blob in order:
            accumulator.add(blob)
        sums.append(accumulator.to_blob())
        assert accumulator.count == 3
    assert sums[0] == sums[1]


@BOTH
def test_what_is_no_update_of_that_set_and_size_is_refused(parameters, update):
    blob = update()
    updates.check(blob, parameters, VALUES)
    other = COMPACT if parameters is BFV else BFV
    for wrong, wanted, values in (
        (blob, parameters, VALUES + 1),
        (blob, other, VALUES),
        (blob[:-1], parameters, VALUES),
        (b"", parameters, VALUES),
    ):
        with pytest.raises(MalformedError):
            updates.check(wrong, wanted, values)
        with pytest.raises(MalformedError):
            updates.accumulator(wanted, values).add(wrong)
    with pytest.raises(MalformedError):
        updates.marks(blob, other)
    with pytest.raises(MalformedError):
        updates.first_mark(blob[:16], parameters)


@given(st.binary(max_size=400))
def test_no_bytes_make_a_reader_fail_otherwise(blob):
    for read in (
        updates.set_of,
        lambda b: updates.marks(b, BFV),
        lambda b: updates.marks(b, COMPACT),
        lambda b: updates.first_mark(b, COMPACT),
    ):
        try:
            read(blob)
        except MalformedError:
            continue


def test_a_set_is_found_by_its_name():
    assert {updates.any_set(name).id for name in updates.set_names()} == set(updates.set_names())
    assert updates.any_set(BFV.id) is BFV
    assert updates.any_set(COMPACT.id) is COMPACT
    with pytest.raises(PlanError, match="give one of bfv-4096-3x19"):
        updates.any_set("rot13")
    assert compact_wire.UPDATE not in range(5)  # kinds of both schemes are told apart
