"""Facts in a file: the same rounds, and a memory that does not grow with rounds."""

from __future__ import annotations

import dataclasses
import gc
import pickle
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import pytest

from ddcai.audit.claims import Status
from ddcai.audit.history import History, RoundHistory
from ddcai.audit.stored import Changing, Grouped, Kept, Stored
from ddcai.audit.verify import verify
from ddcai.store import Store
from tests.audit.test_verify import of
from tests.federation import SmallFederation


def test_rounds_are_read_as_they_were_written(history: History, tmp_path: Path) -> None:
    stored = Stored.write(tmp_path / "facts", iter(history.rounds))
    assert tuple(stored) == history.rounds
    assert [stored[place] for place in (0, 3, -1)] == [history.rounds[n] for n in (0, 3, -1)]
    assert tuple(stored[1:3]) == history.rounds[1:3]
    assert list(reversed(stored)) == list(reversed(history.rounds))
    for place in (4, -5):
        with pytest.raises(IndexError, match="4 values"):
            stored[place]
    with pytest.raises(AttributeError):
        stored.append(history.rounds[0])  # type: ignore[attr-defined]


def test_another_process_gets_the_path_alone(history: History, tmp_path: Path) -> None:
    stored = Stored.write(tmp_path / "facts", history.rounds * 50)
    sent = pickle.dumps(stored)
    assert len(sent) < 1000
    assert tuple(pickle.loads(sent)) == history.rounds * 50


def test_an_audit_finds_the_same(
    history: History, audited: SmallFederation, tmp_path: Path
) -> None:
    """`test_verifying.py` tries it with several processes."""
    written = Stored.write(tmp_path / "facts", history.rounds)
    stored = dataclasses.replace(history, rounds=written)
    assert list(verify(stored, audited.store)) == list(verify(history, audited.store))


# Memory.


def long(history: History, count: int) -> Iterator[RoundHistory]:
    """So many rounds, sealed and not opened, whose updates the store lacks."""
    like = of(history, 4)
    for number in range(1, count + 1):
        commitments = tuple(
            dataclasses.replace(one, digest=sha256(f"{number} {one.index}".encode()).digest())
            for one in like.commitments
        )
        yield dataclasses.replace(
            like,
            number=number,
            base_model_digest=history.initial_model_digest,
            commitments=commitments,
        )


def peak(facts: Callable[[], History], store: Store) -> int:
    """Bytes that an audit has at once, with what it reads of the rounds."""
    gc.collect()
    tracemalloc.start()
    try:
        for claim in verify(facts(), store):
            assert claim.round is None or claim.status is not Status.PASS
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_rounds(
    history: History, audited: SmallFederation, tmp_path: Path
) -> None:
    """twice as many rounds: with facts in a file no more memory, else more by the facts."""
    store = Store(str(tmp_path / "blobs"))
    for digest in (
        history.rules.config_digest,
        history.rules.encryption_key_digest,
        history.initial_model_digest,
    ):
        store.put(digest, audited.store.get(digest))
    few, many = 110, 220
    written = Stored.write(tmp_path / f"{many}", long(history, many))
    for count in (50, few):
        Stored.write(tmp_path / f"{count}", written[:count])
    start = dataclasses.replace(history, model_digest=history.initial_model_digest)

    def of_rounds(count: int, in_memory: bool) -> int:
        def facts() -> History:
            stored = Stored(tmp_path / f"{count}")
            rounds = tuple(stored) if in_memory else stored
            return dataclasses.replace(start, last_round=count, rounds=rounds)

        return peak(facts, store)

    of_rounds(50, in_memory=False)  # what is imported and cached once
    growth = of_rounds(many, in_memory=False) - of_rounds(few, in_memory=False)
    assert growth < 100 * (many - few)
    # The same measurement sees facts that are kept.
    assert of_rounds(few, in_memory=True) - of_rounds(50, in_memory=True) > 1000 * (few - 50)


def test_values_are_kept_by_number_and_copied() -> None:
    kept = Kept[Mapping[str, list[int]]]()
    assert kept.get(1) is None
    values = [1]
    kept.put(1, MappingProxyType({"a": values}))
    values.append(2)
    assert kept.get(1) == {"a": [1]}
    assert isinstance(kept.get(1), MappingProxyType)
    kept.put(1, {"a": values})
    assert kept.get(1) == {"a": [1, 2]}
    assert kept.get(2) is None
    assert (list(kept.numbers()), len(kept)) == ([1], 1)


def test_values_are_changed_where_they_are() -> None:
    """Of more than are in memory, several times over."""
    values, numbers = Changing[list[int]](), range(100, 0, -1)
    for number in numbers:
        values.add(number, [number])
    for _ in range(3):
        for number in numbers:
            values[number].append(number)
    assert list(values) == sorted(numbers)
    assert all(values[number] == [number] * 4 for number in numbers)
    assert (len(values), 100 in values, 101 in values) == (100, True, False)
    with pytest.raises(KeyError):
        values[101]


def test_numbers_are_found_by_what_they_belong_to() -> None:
    grouped = Grouped((number % 3, number) for number in (5, 2, 3, 8, 2))
    assert [grouped.of(owner) for owner in range(3)] == [[3], [], [2, 5, 8]]
