from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.planner import LEAST_MARGIN_SIGMA, choose, plan
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
        ((10, 0, "bfv-4096-2x23"), r"encryption\.max_contributors"),
        ((10, 4, "unheard-of"), r"encryption\.parameter_set"),
        ((2**30, 4, "bfv-4096-3x19"), r"model\.hidden"),
    ],
)
def test_impossible_plans_name_the_setting(arguments, setting):
    with pytest.raises(PlanError, match=setting):
        plan(*arguments)


def test_too_little_noise_margin(monkeypatch):
    monkeypatch.setattr("ddcai.encryption.planner.LEAST_MARGIN_SIGMA", 20.0)
    with pytest.raises(PlanError, match=r"encryption\.max_contributors .* sigma"):
        plan(10, 1024, "bfv-4096-2x23")


def test_choosing_a_set():
    assert choose(2).id == choose(64).id == "bfv-4096-3x19"
    assert choose(65).id == choose(1024).id == "bfv-4096-2x23"
    for contributors in (0, 1025):
        with pytest.raises(PlanError, match="from 1 to 1024"):
            choose(contributors)
