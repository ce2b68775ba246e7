from __future__ import annotations

import pytest
import tenseal.sealapi as seal

from ddcai.configuration import MOST_CONTRIBUTORS
from ddcai.encryption.parameters import (
    PARAMETER_SETS,
    PARAMETER_SETS_BY_NUMBER,
    ParameterSet,
    parameter_set,
)
from ddcai.errors import PlanError


def test_the_primes_are_the_ones_that_seal_chooses(parameters: ParameterSet):
    degree = parameters.poly_modulus_degree
    chosen = seal.CoeffModulus.Create(degree, list(parameters.coeff_mod_bit_sizes))
    assert tuple(modulus.value() for modulus in chosen) == parameters.primes
    bits = parameters.lanes * parameters.lane_bits
    assert seal.PlainModulus.Batching(degree, bits).value() == parameters.plain_modulus


def test_the_modulus_is_inside_the_128_bit_class(parameters: ParameterSet):
    degree = parameters.poly_modulus_degree
    most = seal.CoeffModulus.MaxBitCount(degree, seal.SEC_LEVEL_TYPE.TC128)
    assert sum(parameters.coeff_mod_bit_sizes) <= most == {4096: 109, 8192: 218}[degree]


def test_a_sum_at_its_extreme_fits_a_slot(parameters: ParameterSet):
    slot = sum(
        parameters.lane_max << (lane * parameters.lane_bits) for lane in range(parameters.lanes)
    )
    assert 2 * slot < parameters.plain_modulus
    limit = parameters.value_limit(parameters.max_contributors)
    assert limit * parameters.max_contributors <= parameters.lane_max
    # Two count digits reach 2**18 - 1, and 1,023 where a sum has 16 times as many.
    assert limit >= (31 if parameters.max_contributors > 1024 else 511)
    assert limit * parameters.block_weight <= parameters.lane_max
    assert parameters.assessable == (parameters.id == "bfv-8192-2x30")


def test_words_fill_whole_bytes_and_reduce_as_summation_expects(parameters: ParameterSet):
    assert len({prime.bit_length() for prime in parameters.data_primes}) == 1
    assert parameters.words_per_ciphertext * parameters.word_bits % 8 == 0
    for prime in parameters.data_primes:
        assert (1 << parameters.word_bits) - prime < 1 << 19
    assert parameters.word_bits + parameters.max_contributors.bit_length() < 64
    assert parameters.max_contributors << 19 < 1 << parameters.word_bits
    assert parameters.max_contributors <= MOST_CONTRIBUTORS


def test_bytes_a_parameter():
    sizes = {
        name: entry.bytes_per_ciphertext / entry.values_per_ciphertext
        for name, entry in PARAMETER_SETS.items()
    }
    assert sizes == {
        "bfv-4096-3x19": 6.0,
        "bfv-4096-2x23": 7.5,
        "bfv-8192-2x30": 294_912 / 16_256,
        "bfv-8192-3x20": 12.0,
    }


def test_only_the_wide_sets_have_room_for_a_threshold():
    able = {name for name, entry in PARAMETER_SETS.items() if entry.opened_by_threshold}
    assert able == {"bfv-8192-2x30", "bfv-8192-3x20"}


def test_numbers_are_unique_and_names_are_checked():
    assert len(PARAMETER_SETS_BY_NUMBER) == len(PARAMETER_SETS)
    assert parameter_set("bfv-4096-3x19").number == 1
    with pytest.raises(PlanError, match="bfv-4096-3x19, bfv-4096-2x23"):
        parameter_set("ckks")


@pytest.mark.parametrize("contributors", [0, -1, 65, 10**9])
def test_more_contributors_than_the_set_adds(contributors: int):
    with pytest.raises(PlanError, match=r"encryption\.max_contributors"):
        parameter_set("bfv-4096-3x19").value_limit(contributors)
