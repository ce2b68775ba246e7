"""TeachableHead: the twin and the contract, on 1,000 heads near the ends of their types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.errors import ConfigurationError
from ddcai.models.heads import DensePerceptron, Head, TeachableHead
from tests.models.heads.evm import OWNER, Evm, Instance, Reverted
from tests.models.heads.support import dense_row, load, near, steps, table

# (features, classes): below, at and above a word of weights and of biases.
SHAPES = [(1, 2), (5, 3), (16, 2), (17, 2), (3, 9)]
INT16, INT32 = (-(2**15), 2**15 - 1), (-(2**31), 2**31 - 1)
RATES, EVERY = (1, 255), (0, 1, 2, 3)
TEACHER = b"\x0b" * 20
# Answers any call with the number that it was last called with, of 32 bytes: it stands for the
# federation, of which a head asks for the round. CALLDATASIZE PUSH1 32 EQ PUSH1 14 JUMPI;
# PUSH0 SLOAD PUSH0 MSTORE PUSH1 32 PUSH0 RETURN; JUMPDEST PUSH0 CALLDATALOAD PUSH0 SSTORE STOP.
FEDERATION = bytes.fromhex("36602014600f575f545f5260205ff35b5f355f5500")


@cache
def _deployed(features: int, classes: int, rate: int, every: int) -> tuple[Evm, Instance]:
    evm = Evm()
    head = evm.deploy("TeachableHead", features, classes, rate, every)
    evm.state.set_code(OWNER, FEDERATION)
    head("setTeacher", "0x" + TEACHER.hex())
    return evm, head


@contextmanager
def fresh(twin: TeachableHead) -> Iterator[tuple[Evm, Instance]]:
    """The contract with the twin's head loaded, in a federation; what happens is undone."""
    shape = twin.feature_limit, twin.class_limit, twin.parameter, twin.encoder_every
    evm, head = _deployed(*shape)
    before = evm.snapshot()
    try:
        assert load(head, twin.to_words()) == twin.digest()
        yield evm, head
    finally:
        evm.revert(before)


def _head(weights: Any, bias: Any) -> Head:
    return Head(np.array(weights, np.int16), np.array(bias, np.int32))


@st.composite
def heads(draw: st.DrawFn, shape: tuple[int, int]) -> Head:
    features, classes = shape
    weights = draw(table(classes, features, near(*INT16)))
    return _head(weights, draw(table(1, classes, near(*INT32)))[0])


@st.composite
def histories(draw: st.DrawFn) -> tuple[TeachableHead, list[tuple[Any, Head]]]:
    """A head, and rounds of it: what is taught before each, and what it writes."""
    shape = draw(st.sampled_from(SHAPES))
    rate, every = draw(st.sampled_from(RATES)), draw(st.sampled_from(EVERY))
    taught = steps(dense_row(shape[0]), shape[1])
    rounds = draw(st.lists(st.tuples(taught, heads(shape)), min_size=1, max_size=3))
    return TeachableHead(draw(heads(shape)), rate, every), rounds


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(histories())
def test_twin_and_contract_agree(history: tuple[TeachableHead, list[tuple[Any, Head]]]) -> None:
    twin, rounds = history
    with fresh(twin) as (evm, contract):
        for number, (lessons, head) in enumerate(rounds, start=1):
            for row, class_ in lessons:
                given = twin.row_bytes(row)
                if class_ is not None:
                    with evm.acting(TEACHER):
                        assert contract("update", given, class_) == twin.update(row, class_)
                predicted, scores = contract("predict", given)
                assert list(scores) == twin.scores([row])[0].tolist()
                assert predicted == twin.predict([row])[0]
            evm.run(OWNER, number.to_bytes(32, "big"))
            contract("write", head.to_words())
            twin.write(head, number)
            assert list(contract("words(uint256,uint256)", 0, twin.word_count)) == twin.to_words()
            assert list(contract("words()")) == twin.written.to_words() == head.to_words()
            assert contract("release") == twin.release


def test_what_was_taught_survives_a_round_of_the_head() -> None:
    start = _head([[5, -5], [0, 0]], [0, 0])
    twin = TeachableHead(start, 3, 2)
    row = np.array([100, 50], np.int8)
    assert twin.update(row, 1) == (0, True)
    twin.write(_head([[6, -5], [0, -1]], [7, 0]), 1)
    assert twin.head.weights.tolist() == [[5 - 300 + 1, -5 - 150], [300, 150 - 1]]
    assert twin.head.bias.tolist() == [7 - 3 * 127**2, 3 * 127**2]
    assert twin.predict([row])[0] == 1
    again = _head([[1, 1], [1, 1]], [1, 1])
    twin.write(again, 2)
    assert (twin.head, twin.release) == (again, 1)


def test_without_contributions_it_is_what_was_written() -> None:
    twin = TeachableHead(_head([[-(2**15)], [2**15 - 1]], [-(2**31), 2**31 - 1]), 1, 0)
    for number, value in enumerate((2**15 - 1, -(2**15), 0), start=1):
        head = _head([[value], [-value - 1]], [value << 16, -1 - (value << 16)])
        twin.write(head, number)
        assert twin.head == head
    with pytest.raises(ConfigurationError, match="no round's"):
        twin.write(_head([[1, 2], [3, 4]], [0, 0]), 4)


def test_nobody_but_the_teacher_teaches() -> None:
    twin = TeachableHead(_head([[1], [2]], [0, 0]), 1, 0)
    with fresh(twin) as (_, contract), pytest.raises(Reverted, match="UnauthorizedAccount"):
        contract("update", b"\x01", 0)  # by the owner
    assert DensePerceptron.kind == TeachableHead.kind
