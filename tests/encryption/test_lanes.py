from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.lanes import (
    lane_values,
    pack_lanes,
    slots_of,
    split_lanes,
    unpack_lanes,
)
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.errors import RoundError

SETS = st.sampled_from(list(PARAMETER_SETS.values()))


@given(SETS, st.integers(1, 30_000), st.integers(0, 2**32))
def test_round_trip(parameters, count, seed):
    top = parameters.lane_max
    values = np.random.default_rng(seed).integers(-top, top, count, endpoint=True)
    slots = pack_lanes(values, parameters)
    assert slots.shape == (parameters.ciphertexts(count), parameters.poly_modulus_degree)
    assert np.abs(slots).max() * 2 < parameters.plain_modulus
    assert (unpack_lanes(slots, count, parameters) == values).all()


@given(SETS, st.integers(0, 2**32), st.booleans())
def test_slots_add_as_values_add_up_to_the_largest_sum(parameters, seed, extreme):
    rng = np.random.default_rng(seed)
    contributors = parameters.max_contributors
    limit = parameters.value_limit(contributors)
    if extreme:
        value = rng.choice([-limit, limit], 20_000)
        slots, total = pack_lanes(value, parameters) * contributors, value * contributors
    else:
        values = rng.integers(-limit, limit, (4, 20_000), endpoint=True)
        slots = sum(pack_lanes(value, parameters) for value in values)
        total = values.sum(axis=0)
    assert (unpack_lanes(slots, 20_000, parameters) == total).all()


def test_value_i_is_in_lane_i_div_n_of_slot_i_mod_n(parameters):
    degree = parameters.poly_modulus_degree
    if parameters.assessable:
        pytest.skip("its lanes alternate: the next test")
    values = np.zeros(degree + 6, dtype=np.int64)
    values[5], values[degree + 5] = 7, -3
    slots = pack_lanes(values, parameters)
    assert slots[0, 5] == 7 - (3 << parameters.lane_bits)
    assert np.count_nonzero(slots) == 1


def test_in_an_assessable_set_lanes_alternate():
    [parameters] = [one for one in PARAMETER_SETS.values() if one.assessable]
    values = np.zeros(parameters.values_per_ciphertext + 6, dtype=np.int64)
    values[10], values[11], values[-1] = 7, -3, 5
    slots = pack_lanes(values, parameters)
    first = parameters.reserved
    assert slots[0, first + 5] == 7 - (3 << parameters.lane_bits)
    assert slots[1, first + 2] == 5 << parameters.lane_bits
    assert np.count_nonzero(slots) == 2


@given(SETS, st.integers(1, 30_000))
def test_every_value_has_one_place(parameters, count):
    places = [lane_values(lane, count, parameters) for lane in range(parameters.lanes)]
    assert np.array_equal(np.sort(np.concatenate(places)), np.arange(count))
    slots = pack_lanes(np.arange(1, count + 1) % 100 + 1, parameters)
    for lane, there in enumerate(places):
        blocks, within = slots_of(there, parameters)
        found = split_lanes(slots, parameters)[blocks, lane, within]
        assert np.array_equal(found, (there + 1) % 100 + 1)


def test_any_slot_can_be_unpacked(parameters):
    half = parameters.plain_modulus // 2
    slots = np.full((1, parameters.poly_modulus_degree), half, dtype=np.int64)
    slots[0, ::2] = -half
    values = unpack_lanes(slots, parameters.values_per_ciphertext, parameters)
    assert np.abs(values).max() <= parameters.lane_max + 1


@pytest.mark.parametrize(
    "values",
    [
        np.array([], dtype=np.int64),
        np.array([[1]], dtype=np.int64),
        np.array([1.0]),
        np.array([1], dtype=np.int32),
    ],
)
def test_only_int64_vectors(parameters, values):
    with pytest.raises(RoundError, match="int64"):
        pack_lanes(values, parameters)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_value_beyond_its_lane(parameters, sign):
    with pytest.raises(RoundError, match="value limit"):
        pack_lanes(np.array([0, sign * (parameters.lane_max + 1)]), parameters)
    with pytest.raises(RoundError, match="value limit"):
        pack_lanes(np.array([np.iinfo(np.int64).min]), parameters)
