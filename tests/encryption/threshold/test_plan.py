from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.errors import ConfigurationError, DdcaiError

from .rings import accounts, plan_of


@given(
    st.sampled_from([(2, 2), (3, 2), (3, 3), (5, 3), (7, 4)]),
    st.from_regex(r"[A-Za-z0-9_.:-]{1,64}", fullmatch=True),
)
def test_a_plan_comes_back_from_json_and_has_one_digest(size: tuple[int, int], label: str) -> None:
    plan = plan_of(*size, label=label)
    again = KeyPlan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.digest == plan.digest
    assert plan_of(*size, label=label[1:] + "-x").digest != plan.digest
    assert [plan.index(holder) for holder in plan.holders] == list(range(size[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": ""}, "label"),
        ({"label": "a b"}, "label"),
        ({"label": "x" * 65}, "label"),
        ({"holders": accounts(3)[::-1]}, "ascending"),
        ({"holders": [accounts(3)[0]] * 2}, "ascending"),
        ({"holders": [one.lower() for one in accounts(3)]}, "checksum"),
        ({"threshold": 1}, "threshold of 1"),
        ({"threshold": 4}, "threshold of 4"),
        ({"threshold": True}, "another type"),
        ({"threshold": "2"}, "another type"),
        ({"holders": "abc"}, "another type"),
        ({"parameters": "bfv-4096-3x19"}, "no room"),
        ({"parameters": "unknown"}, "give one of"),
        ({"format": "ddcai-key-plan-2"}, "format"),
        ({"more": 1}, "exactly"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    document = plan_of(3, 2).to_json() | change
    with pytest.raises(DdcaiError, match=message):
        KeyPlan.from_json(document)


def test_an_account_that_holds_nothing_has_no_number() -> None:
    plan = plan_of(3, 2)
    (stranger,) = {*accounts(4)} - {*plan.holders}
    with pytest.raises(ConfigurationError, match="none of the plan's key holders"):
        plan.index(stranger)
