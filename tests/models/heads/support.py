"""What the tests of the twins share: a contract beside its twin, and numbers near bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ddcai.models.heads import TWINS, Classifier
from tests.models.heads.evm import Instance, Machine, deploy, machine

# A row and the class that it is taught as; None where it is only asked about.
Step = tuple[Any, int | None]


@cache
def _deployed(kind: str, features: int, classes: int, parameter: int) -> tuple[Machine, Instance]:
    evm = machine()
    arguments = (features, classes, parameter)
    return evm, deploy(evm, kind, *arguments[: 3 if TWINS[kind].max_parameter else 2])


@contextmanager
def fresh(kind: str, features: int, classes: int, parameter: int = 0) -> Iterator[Instance]:
    """A contract with nothing loaded; what happens to it is undone."""
    evm, contract = _deployed(kind, features, classes, parameter)
    before = evm.snapshot()
    try:
        yield contract
    finally:
        evm.revert(before)


def load(contract: Instance, words: Sequence[int], chunk: int | None = None) -> bytes:
    """Loads in chunks and seals; the digest that the contract emits."""
    size = chunk or max(1, len(words))
    for start in range(0, len(words), size):
        contract("load", start, list(words[start : start + size]))
    contract("seal")
    [((_, digest), _)] = contract.logs
    return digest.to_bytes(32, "big")


def assert_agree(twin: Classifier, steps: Sequence[Step]) -> None:
    """The contract gives what the twin gives, all the way: answers, words and digests.

    The last row is asked about when all is learned.
    """
    shape = (twin.feature_limit, twin.class_limit, twin.parameter)
    loaded = twin.to_words()
    again = type(twin).from_words(loaded, *shape)
    last: list[Step] = [(row, None) for row, class_ in steps[-1:] if class_ is not None]
    with fresh(twin.kind, *shape) as contract:
        assert load(contract, loaded) == twin.digest() == again.digest()
        for row, class_ in [*steps, *last]:
            given = twin.row_bytes(row)
            assert np.array_equal(twin.row_of(given), row)
            if class_ is None:
                predicted, scores = contract("predict", given)
                assert list(scores) == twin.scores([row])[0].tolist()
                assert predicted == twin.predict([row])[0]
            else:
                assert contract("update", given, class_) == again.update(row, class_)
                twin.update(row, class_)
        assert list(contract("words", 0, twin.word_count)) == twin.to_words() == again.to_words()


def near(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers in [low, high]: most of them at a bound, or within 300 of one or of zero."""
    return table(1, 1, low, high).map(lambda drawn: int(drawn[0, 0]))


def dense_row(features: int) -> st.SearchStrategy[Any]:
    """int8[features], often at the ends or beside zero."""
    ends = np.array([-128, -127, -1, 0, 1, 127])

    def row(drawn: bytes) -> Any:
        choice, value = np.frombuffer(drawn, np.uint8).reshape(2, features)
        return np.where(choice & 1, value - 128, ends[value % len(ends)]).astype(np.int8)

    return st.binary(min_size=2 * features, max_size=2 * features).map(row)


def sparse_row(features: int) -> st.SearchStrategy[Any]:
    """Ascending indices of features."""
    present = st.sets(st.integers(0, features - 1))
    return present.map(lambda row: np.array(sorted(row), np.int64))


def table(rows: int, columns: int, low: int, high: int) -> st.SearchStrategy[Any]:
    """int64[rows, columns] in [low, high], less than 2^63 apart: each as in `near`.

    Drawn as bytes, nine a number: to draw number by number took three times as long as the EVM.
    """
    count, width = rows * columns, high - low + 1
    close = min(301, width)

    def numbers(drawn: bytes) -> Any:
        raw = np.frombuffer(drawn, np.uint8).reshape(count, 9)
        choice = raw[:, 0] % 8
        value = (raw[:, 1:].copy().view("<u8")[:, 0] >> np.uint64(1)).astype(np.int64)
        found = np.select(
            [choice == 0, choice == 1, choice == 2, choice == 3, choice == 4],
            [
                np.clip(value % 601 - 300, low, high),
                np.full(count, low),
                np.full(count, high),
                low + value % close,
                high - value % close,
            ],
            low + value % width,
        )
        return found.reshape(rows, columns)

    return st.binary(min_size=9 * count, max_size=9 * count).map(numbers)


def steps(rows: st.SearchStrategy[Any], classes: int) -> st.SearchStrategy[list[Step]]:
    """Examples to ask about or to teach; one is often taught again and again."""
    one = st.tuples(rows, st.one_of(st.integers(0, classes - 1), st.none()))
    repeated = st.tuples(one, st.integers(1, 3)).map(lambda drawn: [drawn[0]] * drawn[1])
    return st.one_of(st.lists(one, min_size=1, max_size=2), repeated)
