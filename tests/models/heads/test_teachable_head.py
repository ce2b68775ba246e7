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
from tests.models.heads.evm import OWNER, Done, Instance, Machine, Reverted, deploy, machine
from tests.models.heads.support import dense_row, load, steps, table

# (features, classes): below, at and above a word of weights and of biases.
SHAPES = [(1, 2), (5, 3), (16, 2), (17, 2), (3, 9)]
INT16, INT32 = (-(2**15), 2**15 - 1), (-(2**31), 2**31 - 1)
RATES, EVERY = (1, 255), (0, 1, 2, 3)
TEACHER, MEMBER = b"\x0b" * 20, bytes(19) + b"\xdd"
# It stands for the federation, of which a head asks for the round, and which alone writes it.
FEDERATION = bytes.fromhex(
    "36602014601657"  # 32 bytes of calldata: go on at 0x16
    "3360dd14601c57"  # by MEMBER: go on at 0x1c
    "5f545f5260205ff3"  # else answer with slot 0, 32 bytes
    "5b5f355f5500"  # 0x16: keep the 32 bytes in slot 0, the round
    "5b602036038060205f37"  # 0x1c: memory is the calldata after its first 32 bytes,
    "5f5f825f5f5f355af1"  # for a call to the address in these
    "3d5f5f3e3d5f82603a57fd"  # which fails as that call fails
    "5bf3"  # 0x3a: or returns what it returned
)


class Federated:
    """The machine, for a head of which `OWNER` is the federation: it does what a member says."""

    def __init__(self, evm: Machine) -> None:
        self._evm = evm
        self._teaches = False

    @contextmanager
    def teaching(self) -> Iterator[None]:
        """Calls come from the teacher meanwhile."""
        self._teaches = True
        try:
            yield
        finally:
            self._teaches = False

    def begin(self, number: int) -> None:
        """Opens a round."""
        with self._evm.acting(MEMBER):
            self._evm.call(OWNER, number.to_bytes(32, "big"))

    def call(self, to: bytes, data: bytes) -> Done:
        """A call of the teacher's or the federation's."""
        with self._evm.acting(TEACHER if self._teaches else MEMBER):
            if self._teaches:
                return self._evm.call(to, data)
            return self._evm.call(OWNER, bytes(12) + to + data)


@cache
def _deployed(features: int, classes: int, rate: int, every: int) -> tuple[Machine, Instance]:
    evm = machine()
    head = deploy(evm, "TeachableHead", features, classes, rate, every)
    head("setTeacher", "0x" + TEACHER.hex())
    evm.set_code(OWNER, FEDERATION)
    return evm, head


@contextmanager
def fresh(twin: TeachableHead) -> Iterator[tuple[Federated, Instance]]:
    """The contract with the twin's head loaded, in a federation; what happens is undone."""
    shape = twin.feature_limit, twin.class_limit, twin.parameter, twin.encoder_every
    evm, deployed = _deployed(*shape)
    federated = Federated(evm)
    head = deployed.on(federated)
    before = evm.snapshot()
    try:
        assert load(head, twin.to_words()) == twin.digest()
        yield federated, head
    finally:
        evm.revert(before)


def _head(weights: Any, bias: Any) -> Head:
    return Head(np.array(weights, np.int16), np.array(bias, np.int32))


@st.composite
def heads(draw: st.DrawFn, shape: tuple[int, int]) -> Head:
    features, classes = shape
    weights = draw(table(classes, features, *INT16))
    return _head(weights, draw(table(1, classes, *INT32))[0])


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
    with fresh(twin) as (federated, contract):
        for number, (lessons, head) in enumerate(rounds, start=1):
            for row, class_ in lessons:
                given = twin.row_bytes(row)
                if class_ is not None:
                    with federated.teaching():
                        assert contract("update", given, class_) == twin.update(row, class_)
                predicted, scores = contract("predict", given)
                assert list(scores) == twin.scores([row])[0].tolist()
                assert predicted == twin.predict([row])[0]
            federated.begin(number)
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
