from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.chain.records import Rules, bitmap, bitmap_indices
from tests.chain.support import default_rules


@given(st.sets(st.integers(0, 1023)))
def test_bitmap_round_trip(indices: set[int]) -> None:
    words = bitmap(indices)
    assert bitmap_indices(words) == tuple(sorted(indices))
    assert all(0 <= word < 2**256 for word in words)
    assert not words or words[-1]  # no longer than it must be


@pytest.mark.parametrize(
    ("indices", "words"), [([], []), ([0], [1]), ([255], [2**255]), ([256, 1], [2, 1])]
)
def test_bitmap_layout(indices: list[int], words: list[int]) -> None:
    assert bitmap(indices) == words


def test_bitmap_refuses_negative_indices() -> None:
    with pytest.raises(ValueError, match="-1"):
        bitmap([-1])


def test_rules_round_trip() -> None:
    rules = default_rules(open_membership=True, quorum_numerator=3, quorum_denominator=4)
    assert Rules.from_abi(rules.to_abi()) == rules
