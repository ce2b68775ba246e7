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
    """Integers in [low, high]: half of them within 300 of a bound, or of zero."""
    close = [
        st.integers(low, min(high, low + 300)),
        st.integers(max(low, high - 300), high),
        st.integers(max(low, -300), min(high, 300)),
    ]
    return st.one_of(st.sampled_from([low, high]), *close, st.integers(low, high))


def dense_row(features: int) -> st.SearchStrategy[Any]:
    """int8[features], often at the ends."""
    one = st.one_of(st.sampled_from([-128, -127, -1, 0, 1, 127]), st.integers(-128, 127))
    return st.lists(one, min_size=features, max_size=features).map(
        lambda row: np.array(row, np.int8)
    )


def sparse_row(features: int) -> st.SearchStrategy[Any]:
    """Ascending indices of features."""
    present = st.sets(st.integers(0, features - 1))
    return present.map(lambda row: np.array(sorted(row), np.int64))


def table(rows: int, columns: int, one: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """int64[rows, columns]."""
    line = st.lists(one, min_size=rows * columns, max_size=rows * columns)
    return line.map(lambda flat: np.array(flat, np.int64).reshape(rows, columns))


def steps(rows: st.SearchStrategy[Any], classes: int) -> st.SearchStrategy[list[Step]]:
    """Examples to ask about or to teach; one is often taught again and again."""
    one = st.tuples(rows, st.one_of(st.integers(0, classes - 1), st.none()))
    repeated = st.tuples(one, st.integers(1, 3)).map(lambda drawn: [drawn[0]] * drawn[1])
    return st.one_of(st.lists(one, min_size=1, max_size=2), repeated)
