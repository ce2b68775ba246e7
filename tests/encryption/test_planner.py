from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.planner import LEAST_MARGIN_SIGMA, choose, plan
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.errors import PlanError
from ddcai.quantise import COUNT_DIGITS

from .conftest import key_pair


@settings(max_examples=6, deadline=None)
@given(st.sampled_from(sorted(PARAMETER_SETS)), st.integers(1, 30_000))
def test_the_plan_is_what_encryption_then_takes(set_id, num_parameters):
    _, public = key_pair(set_id)
    planned = plan(num_parameters, 4, set_id)
    blob = public.encrypt(np.zeros(num_parameters + COUNT_DIGITS, dtype=np.int64))
    assert len(blob) == planned.bytes_per_update
    assert planned.num_values == num_parameters + COUNT_DIGITS
    assert planned.bytes_per_parameter == len(blob) / num_parameters


def test_large_models_stay_within_the_promised_size():
    assert plan(1_000_000, 64, "bfv-4096-3x19").bytes_per_parameter <= 6.1
    assert plan(1_000, 64, "bfv-4096-3x19").ciphertexts == 1


def test_fewer_contributors_get_more_bits():
    four, sixty_four = (plan(10, k, "bfv-4096-3x19") for k in (4, 64))
    assert four.value_limit == 65535
    assert sixty_four.value_limit == 4095
    assert four.effective_bits > sixty_four.effective_bits > 12.9
    assert four.noise_margin_sigma > sixty_four.noise_margin_sigma > LEAST_MARGIN_SIGMA


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ((0, 4, "bfv-4096-3x19"), "parameters"),
        ((10, 65, "bfv-4096-3x19"), r"encryption\.max_contributors"),
        ((10, 1025, "bfv-4096-2x23"), r"encryption\.max_contributors"),
        ((10, 16385, "bfv-8192-3x20"), r"encryption\.max_contributors"),
        ((10, 0, "bfv-4096-2x23"), r"encryption\.max_contributors"),
        ((10, 4, "unheard-of"), r"encryption\.parameter_set"),
        ((2**30, 4, "bfv-4096-3x19"), r"model\.hidden"),
    ],
)
def test_impossible_plans_name_the_setting(arguments, setting):
    with pytest.raises(PlanError, match=setting):
        plan(*arguments)


def test_contributors_of_groups_count_one_by_one():
    """Lanes and noise of a sum of 10 groups of 1,000 are those of a sum of 10,000 contributors."""
    ten_of_thousand = plan(10, 10_000, "bfv-8192-3x20", group_size=1000)
    assert ten_of_thousand == plan(10, 10_000, "bfv-8192-3x20")
    assert ten_of_thousand.value_limit == 52
    sharing = Sharing(3, 2)
    with pytest.raises(PlanError, match=r"encryption\.group_size is 2, .*compact-64-3x18"):
        plan(10, 8, "compact-64-3x18", sharing, group_size=2)
    assert choose(10, 8, sharing).parameters.id == "compact-64-3x18"
    assert choose(24_000, 8, sharing, group_size=2).parameters.id == "bfv-8192-3x20"


def test_too_little_noise_margin(monkeypatch):
    monkeypatch.setattr("ddcai.encryption.planner.LEAST_MARGIN_SIGMA", 20.0)
    with pytest.raises(PlanError, match=r"encryption\.max_contributors .* sigma"):
        plan(10, 1024, "bfv-4096-2x23")


def test_choosing_for_a_single_key_holder():
    for contributors, expected in ((2, "3x19"), (64, "3x19"), (65, "2x23"), (1024, "2x23")):
        assert choose(1_000_000, contributors).parameters.id == f"bfv-4096-{expected}"
    assert choose(100, 2).parameters.id == "bfv-4096-2x23"  # a single, smaller ciphertext
    assert choose(1000, 10, assessable=True).parameters.id == "bfv-8192-2x30"
    assert choose(1_000_000, 1025).parameters.id == "bfv-8192-3x20"
    for contributors in (0, 16385):
        with pytest.raises(PlanError, match=r"encryption\.max_contributors"):
            choose(1000, contributors)


@pytest.mark.parametrize("sharing", [Sharing(3, 2), Sharing(5, 3), Sharing(9, 5)], ids=str)
def test_choosing_for_several_takes_the_smallest_update(sharing):
    for size in (10, 1810, 1_000_000):
        for contributors, expected in (
            (2, "compact-64-3x18"),
            (62, "compact-64-3x18"),
            (63, "compact-64-3x17"),
            (257, "compact-64-2x25"),
            (1024, "compact-64-2x25"),
        ):
            chosen = choose(size, contributors, sharing)
            assert chosen.parameters.id == expected
            of_bfv = plan(size, contributors, "bfv-8192-3x20", sharing)
            assert chosen.bytes_per_update < of_bfv.bytes_per_update
    assert choose(1000, 10, sharing, assessable=True).parameters.id == "compact-128-3x36"
    big = choose(1_000_000, 10, Sharing(3, 2))
    assert big.bytes_per_parameter < 2.7
    assert big.threshold is None


def test_the_compact_scheme_takes_several_key_holders():
    with pytest.raises(PlanError, match="only several key holders"):
        plan(1000, 10, "compact-64-3x18")


def test_the_plan_of_a_threshold_says_what_a_key_opens():
    two_of_three, five_of_nine = Sharing(3, 2), Sharing(9, 5)
    few = plan(1_000_000, 64, "bfv-8192-3x20", two_of_three)
    many = plan(1_000_000, 1024, "bfv-8192-3x20", five_of_nine)
    assert few.bytes_per_parameter < 12.1
    assert few.threshold is not None
    assert many.threshold is not None
    assert (few.threshold.smudging_bits, many.threshold.smudging_bits) == (80, 75)
    for planned in (few, many):
        opened = planned.threshold
        assert opened.most_rounds == opened.most_openings // planned.ciphertexts
        assert 40 <= opened.statistical_bits < 41
    assert few.threshold.most_rounds > 10_000
    assert many.threshold.most_rounds > 20
    assert plan(1_000_000, 64, "bfv-8192-3x20").threshold is None


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ((10, 8, "bfv-4096-3x19", Sharing(3, 2)), "parameter_set is bfv-4096-3x19"),
        ((30_000_000, 1024, "bfv-8192-3x20", Sharing(9, 5)), r"opens \d+ with 40 bits"),
    ],
)
def test_a_key_that_could_open_no_sum_is_not_planned(arguments, setting):
    with pytest.raises(PlanError, match=setting):
        plan(*arguments)
