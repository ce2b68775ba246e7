from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.digests import RoundContext
from ddcai.encryption.compact import summation, wire
from ddcai.encryption.compact.opening import check_secrets, open_sum
from ddcai.encryption.compact.shapes import COMPACT_SHAPES, CompactShape
from ddcai.errors import ForgedUpdate, MalformedError, PlanError, RoundError
from tests.encryption.compact.making import CONTEXT, encrypted, words_at

SHAPES = pytest.mark.parametrize("shape", COMPACT_SHAPES.values(), ids=lambda shape: shape.id)
SHAPE = COMPACT_SHAPES["compact-64-3x18"]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(list(COMPACT_SHAPES.values())),
    st.integers(1, 4),
    st.integers(1, 30_000),
    st.integers(0, 2**32),
)
def test_opens_to_exactly_the_sum(
    shape: CompactShape, contributors: int, values: int, seed: int
) -> None:
    limit = shape.value_limit(contributors)
    rng = np.random.default_rng(seed)
    updates = rng.integers(-limit, limit + 1, (contributors, values))
    blobs, secrets = encrypted(shape, updates)
    opened = open_sum(summation.add(blobs, shape), secrets, CONTEXT, limit=limit)
    assert opened.dtype == np.int64
    assert (opened == updates.sum(axis=0)).all()


@SHAPES
@pytest.mark.parametrize("sign", [1, -1])
def test_exact_with_as_many_as_may_and_all_at_the_limit(shape: CompactShape, sign: int) -> None:
    most = min(shape.max_contributors, 256)
    limit = shape.value_limit(most)
    updates = np.full((most, 2 * shape.lanes + 1), sign * limit)
    updates[:, ::2] *= -1
    blobs, secrets = encrypted(shape, updates)
    opened = open_sum(summation.add(blobs), secrets, CONTEXT, limit=limit)
    assert (opened == updates.sum(axis=0)).all()


@SHAPES
def test_another_secret_or_round_opens_nothing(shape: CompactShape) -> None:
    blobs, secrets = encrypted(shape, np.full((2, 5000), 3))
    total = summation.add(blobs)
    wrong = secrets.copy()
    wrong[0] += 1
    for guess in (wrong, -secrets, np.zeros_like(secrets)):
        with pytest.raises(ForgedUpdate):
            open_sum(total, guess, CONTEXT, limit=5)
    other = RoundContext(chain_id=31337, contract=CONTEXT.contract, round=8)
    with pytest.raises(ForgedUpdate):
        open_sum(total, secrets, other, limit=5)


def _changed(shape: CompactShape, blob: bytes, word: int, amount: int) -> bytes:
    """A blob with an amount added to one of its words: what a forger can do to its own."""
    words = wire.parse(blob, wire.UPDATE).words
    value = sum(int(words[limb, word]) << 64 * limb for limb in range(shape.limbs)) + amount
    out = bytearray(blob)
    for limb in range(shape.limbs):
        at = words_at(shape) + 8 * (limb * words.shape[1] + word)
        out[at : at + 8] = (value >> 64 * limb & (2**64 - 1)).to_bytes(8, "little")
    return bytes(out)


@SHAPES
@pytest.mark.parametrize("sign", [1, -1])
def test_a_forged_field_of_any_word_is_refused(shape: CompactShape, sign: int) -> None:
    # 10 values a lane; the last lane lacks one, so that word 9 has an unused lane.
    count, contributors, limit = 10, 3, 100
    updates = np.full((contributors, count * shape.lanes - 1), sign * limit)
    blobs, secrets = encrypted(shape, updates)
    top = shape.lane_shift(shape.lanes - 1)
    forgeries = [
        (0, sign * 2 * shape.most_error(contributors), "errors"),
        (9, sign * (1 << shape.error_bits - 1), "errors"),
        (0, sign << shape.error_bits, "values"),
        (4, sign << top, "values"),
        (9, sign << top, "unused lanes"),
    ]
    for word, amount, what in forgeries:
        forged = [_changed(shape, blobs[0], word, amount), *blobs[1:]]
        with pytest.raises(ForgedUpdate, match=what):
            open_sum(summation.add(forged), secrets, CONTEXT, limit=limit)
    assert (open_sum(summation.add(blobs), secrets, CONTEXT, limit=limit) == 3 * sign * limit).all()


def test_secrets_that_honest_contributors_do_not_have_are_refused() -> None:
    rng = np.random.default_rng(3)
    good = np.sum([rng.binomial(168, 0.5, 4096) - 84 for _ in range(4)], axis=0)
    check_secrets(good, SHAPE, 4)
    one_large = good.copy()
    one_large[7] = SHAPE.most_error(4) + 1
    for wrong in (one_large, -one_large, np.full(4096, 20), np.full(4096, 2**62)):
        with pytest.raises(ForgedUpdate, match="shared out something else"):
            check_secrets(wrong, SHAPE, 4)
    for shapeless in (good[:-1], good.astype(np.int32)):
        with pytest.raises(RoundError, match=r"give int64\[4096\]"):
            check_secrets(shapeless, SHAPE, 4)


def test_an_update_is_not_opened_as_a_sum() -> None:
    blobs, secrets = encrypted(SHAPE, np.full((1, 10), 1))
    with pytest.raises(MalformedError, match="kind is an update"):
        open_sum(blobs[0], secrets, CONTEXT, limit=1)


def test_what_is_added_may_come_in_any_order_and_form() -> None:
    blobs, _ = encrypted(SHAPE, np.arange(3 * 200).reshape(3, 200))
    total = summation.add(blobs)
    assert total == summation.add([memoryview(blobs[2]), bytearray(blobs[0]), blobs[1]])
    parsed = wire.parse(total, wire.SUM, SHAPE, 200)
    assert parsed.contributors == 3


def test_a_blob_that_is_refused_leaves_the_sum_as_it_was() -> None:
    (first, second), secrets = encrypted(SHAPE, np.full((2, 10), 4))
    (longer,), _ = encrypted(SHAPE, np.full((1, 11), 4))
    (other,), _ = encrypted(COMPACT_SHAPES["compact-64-3x17"], np.full((1, 10), 4))
    accumulator = summation.SumAccumulator()
    accumulator.add(first)
    for wrong in (b"", longer, other, first[:-1]):
        with pytest.raises(MalformedError):
            accumulator.add(wrong)
    accumulator.add(second)
    assert accumulator.count == 2
    assert (open_sum(accumulator.to_blob(), secrets, CONTEXT, limit=4) == 8).all()


def test_more_than_the_shape_adds_are_refused() -> None:
    (blob,), _ = encrypted(SHAPE, np.full((1, 10), 1))
    accumulator = summation.SumAccumulator(SHAPE, 10)
    with pytest.raises(RoundError, match="needs at least one"):
        accumulator.to_blob()
    for _ in range(SHAPE.max_contributors):
        accumulator.add(blob)
    with pytest.raises(PlanError, match="adds 1 to 62"):
        accumulator.add(blob)
