from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.compact import ring
from ddcai.encryption.compact.shapes import (
    COMPACT_SHAPES,
    COMPACT_SHAPES_BY_NUMBER,
    DEVIATION,
    LEAST_MARGIN_SIGMA,
    CompactShape,
)
from ddcai.encryption.updates import any_set
from ddcai.errors import PlanError

SHAPES = list(COMPACT_SHAPES.values())

# HomomorphicEncryption.org, "Homomorphic Encryption Standard" (2018), table 1: log2 q, 192 bits.
CLASS_192 = {4096: 75, 8192: 152}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.id)
def test_every_shape_fits_its_words_and_the_table(shape: CompactShape) -> None:
    assert sum(shape.field_widths) == shape.word_bits
    assert shape.word_bits <= CLASS_192[shape.n]
    assert COMPACT_SHAPES_BY_NUMBER[shape.number] is any_set(shape.id) is shape
    assert shape.id == f"compact-{shape.word_bits}-{shape.lanes}x{shape.lane_bits}"


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.id)
def test_as_many_as_may_leave_ten_sigma_and_a_value(shape: CompactShape) -> None:
    most = shape.max_contributors
    room = 2 ** (shape.error_bits - 1) - 1
    assert room / math.sqrt(42 * most) == pytest.approx(shape.noise_margin_sigma(most))
    assert shape.noise_margin_sigma(most) >= LEAST_MARGIN_SIGMA
    assert shape.most_error(most) <= room
    assert 1 <= shape.value_limit(most) * most <= shape.lane_max
    assert shape.value_limit(most) * shape.block_weight <= shape.lane_max
    for wrong in (0, most + 1):
        with pytest.raises(PlanError, match=f"adds 1 to {most}"):
            shape.value_limit(wrong)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.id)
def test_the_errors_of_the_longest_vector_fit_their_field(shape: CompactShape) -> None:
    longest = math.sqrt(128 * shape.block_weight)  # of magnitudes of 128, as int8 has at most
    assert LEAST_MARGIN_SIGMA * DEVIATION * longest < 2 ** (shape.error_bits - 1)
    assert ring.error_bound(shape.n, 128 * shape.block_weight) < 0.02


@given(st.sampled_from(SHAPES), st.integers(1, 100))
def test_every_value_is_in_one_lane_and_words_are_filled_from_the_first(
    shape: CompactShape, values: int
) -> None:
    lanes = [np.arange(values)[shape.in_lane(lane, values)] for lane in range(shape.lanes)]
    assert sorted(np.concatenate(lanes)) == list(range(values))
    assert max(map(len, lanes)) == shape.words(values)
    full = [lane for lane in lanes if len(lane)]
    step = shape.lanes if shape.assessable else 1
    assert all((np.diff(lane) == step).all() for lane in full)
    # Only the last lanes, or the last word, lack values.
    assert all(len(one) >= len(later) for one, later in itertools.pairwise(lanes))


def test_too_little_room_for_errors_is_refused() -> None:
    tight = CompactShape(
        id="tight",
        number=99,
        n=4096,
        word_bits=64,
        lanes=3,
        lane_bits=18,
        error_bits=10,
        max_contributors=256,
    )
    assert tight.value_limit(62) == 2114
    with pytest.raises(PlanError, match=r"leave 9\.9 sigma"):
        tight.value_limit(63)


def test_updates_are_smaller_than_float32() -> None:
    assert any_set("compact-64-3x18").bytes_per_value < 2.7
    assert any_set("compact-64-3x17").bytes_per_value < 2.7
    assert any_set("compact-128-3x36").bytes_per_value < 5.4
    with pytest.raises(PlanError, match="compact-64-3x18"):
        any_set("compact-32")
