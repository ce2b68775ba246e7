from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.assessment.configuration import Assessment
from ddcai.assessment.gate import GateState, median, pass_gate
from ddcai.assessment.scores import RoundScores, on_grid
from ddcai.errors import ConfigurationError

RULE = Assessment()


def one(anchor, length=10.0):
    return RoundScores(
        length=length, squared_length=Fraction(1), anchor=on_grid(anchor), replay=0.0
    )


def test_a_standing_remembers():
    state = GateState()
    # .4 * .5, then .6 * .2 - .4 * .5 < 0, then up again.
    for anchor, accepted, standing in ((0.5, True, 0.2), (-0.5, False, -0.08), (0.5, True, 0.152)):
        gate = pass_gate({"a": one(anchor)}, state, clip=100, config=RULE)
        assert (gate.accepted == ("a",)) is accepted
        assert gate.state.standings["a"] == pytest.approx(standing, abs=1e-4)
        state = gate.state


@pytest.mark.parametrize(
    ("length", "median_length", "accepted"),
    [
        (10, None, True),
        (200, None, True),
        (201, None, False),
        (30, 10.0, True),
        (31, 10.0, False),
        (201, 100.0, False),
        (10, 0.0, True),
        (0, 10.0, False),
    ],
)
def test_size_is_held_against_the_median_and_the_clip(length, median_length, accepted):
    state = GateState(median_length=median_length)
    gate = pass_gate({"a": one(0.5, length)}, state, clip=100, config=RULE)
    assert bool(gate.accepted) is accepted
    assert (gate.sizes["a"] <= 1) is (accepted or length == 0)


def test_who_is_refused_does_not_move_the_median_and_who_is_absent_keeps_its_standing():
    state = GateState(standings={"absent": 0.25}, median_length=10.0)
    scores = {"a": one(0.5, 8), "b": one(0.5, 12), "far": one(0.5, 31), "against": one(-0.5, 2)}
    gate = pass_gate(scores, state, clip=100, config=RULE)
    assert gate.accepted == ("a", "b")
    assert gate.state.median_length == 10
    assert gate.state.standings["absent"] == 0.25
    assert gate.state.standings["far"] > 0


@pytest.mark.parametrize("scores", [{}, {"a": one(-1)}])
def test_nobody_accepted_leaves_the_median(scores):
    gate = pass_gate(scores, GateState(median_length=7.0), clip=100, config=RULE)
    assert gate.accepted == ()
    assert gate.state.median_length == 7


def test_without_a_root_set_the_first_round_is_open_and_no_other():
    rule = Assessment(anchor="movement")
    first = {"a": one(0.0), "b": one(0.0), "huge": one(0.0, 999), "zero": one(0.0, 0)}
    gate = pass_gate(first, GateState(), clip=100, config=rule)
    assert gate.accepted == ("a", "b")
    second = pass_gate({"a": one(0.1), "b": one(0.0)}, gate.state, clip=100, config=rule)
    assert second.accepted == ("a",)
    assert pass_gate(first, GateState(), clip=100, config=RULE).accepted == ()


@given(st.permutations(range(12)), st.integers(0, 2**30))
def test_the_order_of_contributors_is_nothing(order, seed):
    made = {f"c{i}": one((seed >> i) % 7 / 10 - 0.3, 5 + (seed >> i) % 40) for i in range(12)}
    shuffled = {f"c{i}": made[f"c{i}"] for i in order}
    state = GateState(median_length=9.0)
    one_way = pass_gate(made, state, clip=100, config=RULE)
    other_way = pass_gate(shuffled, state, clip=100, config=RULE)
    assert one_way.accepted == other_way.accepted
    assert list(one_way.state.standings.items()) == list(other_way.state.standings.items())
    assert one_way.state.median_length == other_way.state.median_length


def test_bad_clip_is_refused():
    for clip in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="the clip is"):
            pass_gate({}, GateState(), clip=clip, config=RULE)


def test_medians():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5


def test_without_a_root_set_standings_are_held_against_their_median():
    rule = Assessment(anchor="movement", gate_share=0.5, decay=0.0)
    scores = {"a": one(0.4), "b": one(0.3), "c": one(0.2), "low": one(0.14), "high": one(0.16)}
    gate = pass_gate(scores, GateState(), clip=100, config=rule)
    assert gate.accepted == ("a", "b", "c", "high", "low")
    scores["low"] = one(0.099)
    gate = pass_gate(scores, GateState(), clip=100, config=rule)
    assert gate.accepted == ("a", "b", "c", "high")
    against = {name: one(-0.2) for name in "abc"} | {"d": one(0.01)}
    assert pass_gate(against, GateState(), clip=100, config=rule).accepted == ("d",)
    rooted = Assessment(gate_share=0.5, decay=0.0)
    assert "low" in pass_gate(scores, GateState(), clip=100, config=rooted).accepted
