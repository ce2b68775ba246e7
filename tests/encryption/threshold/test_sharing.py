from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.threshold.sharing import MOST_PIECES, Sharing
from ddcai.errors import ConfigurationError, RoundError


@st.composite
def sharings(draw: st.DrawFn) -> Sharing:
    n = draw(st.integers(2, 9))
    t = draw(st.integers(max(2, n // 2 + 1), n))
    if math.comb(n, t - 1) > MOST_PIECES:
        t = n
    return Sharing(n, t)


@given(sharings())
def test_fewer_than_the_threshold_lack_a_piece_and_as_many_have_them_all(sharing: Sharing) -> None:
    everybody = range(sharing.holders)
    for group in combinations(everybody, sharing.threshold - 1):
        held = {piece for holder in group for piece in sharing.held_by(holder)}
        assert set(sharing.pieces) - held == {group}
    for group in combinations(everybody, sharing.threshold):
        held = {piece for holder in group for piece in sharing.held_by(holder)}
        assert held == set(sharing.pieces)


@given(sharings(), st.data())
def test_every_piece_is_assigned_to_a_responder_that_holds_it(
    sharing: Sharing, data: st.DataObject
) -> None:
    present = data.draw(
        st.sets(st.integers(0, sharing.holders - 1), min_size=sharing.threshold), label="present"
    )
    assigned = sharing.assign(present)
    assert list(assigned) == list(sharing.pieces)
    assert all(
        holder in present and piece in sharing.held_by(holder) for piece, holder in assigned.items()
    )
    assert assigned == sharing.assign(sorted(present, reverse=True))
    with pytest.raises(RoundError, match="are needed to open"):
        sharing.assign(list(present)[: sharing.threshold - 1])


@pytest.mark.parametrize(("holders", "threshold"), [(3, 2), (5, 3), (7, 4), (9, 5), (3, 3)])
def test_a_piece_is_held_by_all_but_those_it_is_named_after(holders: int, threshold: int) -> None:
    sharing = Sharing(holders, threshold)
    assert len(sharing.pieces) == math.comb(holders, threshold - 1)
    for piece in sharing.pieces:
        assert len(sharing.holders_of(piece)) == holders - threshold + 1
        assert not set(sharing.holders_of(piece)) & set(piece)


@pytest.mark.parametrize(
    ("holders", "threshold", "words"),
    [
        (1, 1, "from 2 to 64"),
        (65, 64, "from 2 to 64"),
        (3, 1, "could read every update alone"),
        (3, 4, "give 2 to 3"),
        (4, 2, "no holder in common; give at least 3"),
        (11, 6, "462 pieces"),
    ],
)
def test_refuses_numbers_that_protect_nothing(holders: int, threshold: int, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Sharing(holders, threshold)


def test_refuses_responders_that_are_no_holders() -> None:
    with pytest.raises(RoundError, match="numbered 0 to 2"):
        Sharing(3, 2).assign([1, 3])
