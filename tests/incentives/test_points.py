"""The rules of points: what the contract would refuse is refused here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.incentives.points import MAX_BADGES, PointsRules

U32 = st.integers(1, 2**32 - 1)


@given(wait=U32, limit=U32, badges=st.sets(U32, max_size=MAX_BADGES))
def test_rules_come_back_from_their_abi(wait: int, limit: int, badges: set[int]) -> None:
    rules = PointsRules(
        refund_wait_s=wait, daily_limit=limit, badge_thresholds=tuple(sorted(badges))
    )
    assert PointsRules.from_abi(rules.to_abi()) == rules


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("refund_wait_s", 0),
        ("refund_wait_s", 2**32),
        ("daily_limit", 0),
        ("daily_limit", 2**32),
        ("badge_thresholds", (0,)),
        ("badge_thresholds", (2, 2)),
        ("badge_thresholds", (3, 2)),
        ("badge_thresholds", (2**32,)),
        ("badge_thresholds", tuple(range(1, MAX_BADGES + 2))),
    ],
)
def test_rules_that_cannot_work_are_refused(field: str, value: object) -> None:
    given = {"refund_wait_s": 1, "daily_limit": 1, "badge_thresholds": (1,)}
    with pytest.raises(ConfigurationError, match=field):
        PointsRules(**(given | {field: value}))  # type: ignore[arg-type]
