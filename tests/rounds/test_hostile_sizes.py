"""What a hostile contributor may cost the coordinator: memory for one update, whatever it sends."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from ddcai.errors import MalformedError
from ddcai.rounds import collection
from ddcai.rounds.collection import Collection
from tests.federation import SmallFederation

HUGE = 300 * 2**20
MOST = 16 * 2**20  # an update has 0.1 MB here, and its words take more


def _peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _collect(federation: SmallFederation) -> tuple[Collection, Path]:
    """Two updates have come; the third was committed, and something else is in its place."""
    record = federation.coordinator.open_round()
    for index in range(2):
        federation.contribute(record, index)
    update = federation.contribute(record, 2, deliver=False)
    path = Path(federation.store.url) / update.digest.hex()
    with path.open("wb") as file:
        file.truncate(HUGE)
    base = federation.coordinator.party.model(record.base_model_digest)
    return federation.coordinator.collect(record, base), path


def test_a_huge_blob_in_the_store(federation: SmallFederation) -> None:
    """It is not read to its end, and not again and again; the others' updates are taken in."""
    found, path = _collect(federation)
    assert _peak_bytes(found.add_from_store) < MOST
    assert set(found.accepted) == set(federation.addresses[:2])
    read: list[int] = []
    store = federation.coordinator.party.store
    get = store.get
    store.get = lambda digest, first=None: read.append(1) or get(digest, first)  # type: ignore
    try:
        for _ in range(50):
            found.add_from_store()
    finally:
        del store.get  # type: ignore[attr-defined]
    assert len(read) <= 1
    path.unlink()


def test_one_that_is_mended_counts(
    federation: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_FIRST_S", 0.0)
    found, path = _collect(federation)
    found.add_from_store()
    known = federation.contributors[2].known_update(
        federation.contract.round(federation.contract.last_round())
    )
    assert known is not None
    path.write_bytes(known.blob)
    assert set(found.add_from_store()) == set(federation.addresses)


def test_a_huge_message(federation: SmallFederation) -> None:
    """Refused before it is hashed or taken apart."""
    found, path = _collect(federation)
    blob = bytes(HUGE)

    def send() -> None:
        with pytest.raises(MalformedError, match=f"{HUGE} bytes"):
            found.add(federation.addresses[2], blob)

    assert _peak_bytes(send) < MOST
    path.unlink()
