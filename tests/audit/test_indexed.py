"""A history from an index has what one from the node has, of one moment, in bounded memory."""

from __future__ import annotations

import dataclasses
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ddcai.audit import indexed
from ddcai.audit.history import History, RoundHistory
from ddcai.audit.index import contracts, reading, schema, steps
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.indexed import read_stored, stored_history
from ddcai.audit.stored import Stored
from ddcai.audit.verify import verify
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import Connection, connect, request
from ddcai.configuration import Encryption
from ddcai.errors import ChainError, NotAFederation
from tests.audit import walking
from tests.audit.node_reading import in_memory, read_history
from tests.chain.holders import facade, finalize, rekeyed, sealed, stage_holders
from tests.chain.support import CONTRIBUTORS, COORDINATOR, Scene, digest, stage
from tests.federation import SmallFederation, make_federation, small_config

pytestmark = pytest.mark.skipif(find_anvil() is None, reason="anvil is not installed")


def check(w3: Connection, address: str, folder: Path) -> History:
    """Both ways of reading give the same values."""
    folder.mkdir(exist_ok=True)
    found, block = read_stored(w3, address, 0, folder)
    assert isinstance(found.rounds, Stored)
    assessment = None if found.assessment is None else in_memory(found.assessment)
    changes = {"rounds": tuple(found.rounds), "assessment": assessment}
    assert dataclasses.replace(found, **changes) == read_history(w3, address)
    latest = request(w3, "eth_getBlockByNumber", ["latest", False])
    assert (block.number, "0x" + block.hash.hex()) == (int(latest["number"], 16), latest["hash"])
    assert block.time == int(latest["timestamp"], 16)
    return found


def test_of_ordinary_rounds(audited: SmallFederation, history: History, tmp_path: Path) -> None:
    w3 = connect(audited.url)
    found = check(w3, audited.deployment.federation, tmp_path)
    assert len(found.rounds) == 4
    assert all(member.proof for member in found.members)
    assert list(verify(found, audited.store)) == list(verify(history, audited.store))


@pytest.mark.parametrize("at_once", [1, 7, 500])
def test_of_judged_rounds_and_windows(
    walk: walking.Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Events that come to the file some at a time, or all at once."""
    monkeypatch.setattr(steps, "_BATCH", at_once)
    made = walk.made
    found = check(connect(made.url), made.deployment.federation, tmp_path)
    assessment = walking.of(found)
    verdicts = [one for n in assessment.windows for one, _ in assessment.verdicts(n.number)]
    assert verdicts
    assert all(one.signature for one in verdicts)
    drawn = [one.judging for one in found.rounds if one.judging and one.judging.drawn]
    assert drawn
    assert all(one.prev_randao for one in drawn)


def test_events_come_in_batches_of_whole_blocks(
    walk: walking.Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_BATCH", 4)
    of_assessment = schema.events.c.kind == contracts.ASSESSMENT
    check(connect(walk.made.url), walk.made.deployment.federation, tmp_path)
    with Index(tmp_path / "index.sqlite") as index, index.reading() as connection:
        found = reading.find(connection)
        whole = steps.IndexedSteps(connection, found, of_assessment).events
        batches = [one.events for one in steps.in_batches(connection, found, of_assessment)]
    assert sum(batches, ()) == whole
    assert len(batches) > 5
    blocks = [{event.block_number for event in batch} for batch in batches]
    assert sum(map(len, blocks)) == len(set.union(*blocks))
    # A batch ends with the block that fills it.
    assert all(
        len([e for e in batch if e.block_number < batch[-1].block_number]) < 4
        for batch in batches
        if batch
    )


def test_of_the_compact_scheme_and_a_shared_key(tmp_path: Path, chain_url: str) -> None:
    chosen = Encryption(max_contributors=8, parameter_set="compact-64-3x18")
    config = small_config(encryption=chosen)
    folder = tmp_path / "federation"
    with make_federation(folder, 3, url=chain_url, config=config, holders=(2, 3)) as made:
        made.run_round()
        found = check(connect(made.url), made.deployment.federation, tmp_path / "facts")
        assert found.rounds[0].finalisation is not None
        assert all(claim.passed for claim in verify(found, made.store))


def test_of_a_key_that_was_shared_anew(tmp_path: Path, chain_url: str) -> None:
    """Key holders without encryption: the first epoch opens a round, then the second."""
    made = stage_holders(connect(chain_url))
    finalize(made, sealed(made), facade(made).current(), (0, 2))
    finalize(made, sealed(made), rekeyed(made))
    found = check(made.w3, made.deployment.federation, tmp_path)
    assert [epoch.number for epoch in found.key_epochs] == [1, 2]
    assert len(found.rounds) == 2


# Memory.


def test_memory_does_not_grow_with_rounds(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the 15th round on to the 45th, while they go from the index to the file."""
    monkeypatch.setattr(reading, "_AT_ONCE", 5)
    first, last = 15, 45
    by, federation = scene.by(COORDINATOR), scene.by(None)
    by.cancel_round(1)
    for number in range(2, last + 1):
        scene.submit(scene.open(), CONTRIBUTORS[0])
        by.cancel_round(number)
    with Index(tmp_path / "index", writable=True) as index:
        Sync(index, scene.w3, federation.address).run()

        def growth(keep: Callable[[RoundHistory], object]) -> int:
            held = {}

            def claimable(_: object, round_: RoundHistory) -> int:
                keep(round_)
                if round_.number in (first, last):
                    gc.collect()
                    held[round_.number] = tracemalloc.get_traced_memory()[0]
                return 0

            monkeypatch.setattr(indexed, "claimable_wei", claimable)
            tracemalloc.start()
            try:
                indexed.read_parts(scene.w3, federation, index, tmp_path)
            finally:
                tracemalloc.stop()
            return held[last] - held[first]

        growth(lambda round_: None)  # what is imported and cached once
        assert growth(lambda round_: None) < 500 * (last - first)
        # The same measurement sees facts that are kept.
        kept: list[RoundHistory] = []
        assert growth(kept.append) > 1000 * (last - first)


# One moment.


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A federation with an open round, on an anvil of its own."""
    with ManagedAnvil() as chain:
        staged = stage(connect(chain.url))
        staged.submit(staged.open(), *CONTRIBUTORS[:2])
        yield staged


def last_block(scene: Scene) -> int:
    return int(request(scene.w3, "eth_blockNumber", []), 16)


def test_what_happens_while_it_is_read_is_in_it(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round is sealed after its events were taken, before the contract was asked."""
    read, moments = indexed.read_parts, []

    def late(*given: Any) -> History:
        if not moments:
            scene.by(COORDINATOR).seal_round(1, digest(), [0, 1])
        moments.append(read(*given))
        return moments[-1]

    monkeypatch.setattr(indexed, "read_parts", late)
    found = check(scene.w3, scene.deployment.federation, tmp_path)
    assert len(moments) == 2
    assert found.rounds[0].sealing is not None


def test_a_block_without_events_changes_nothing(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block that is named is the one whose state was read, not a later one."""
    read, before = indexed.read_parts, last_block(scene)

    def late(*given: Any) -> History:
        request(scene.w3, "anvil_mine", ["0x3"])
        return read(*given)

    monkeypatch.setattr(indexed, "read_parts", late)
    _, block = read_stored(scene.w3, scene.deployment.federation, 0, tmp_path)
    assert block.number == before
    assert last_block(scene) == before + 3


def test_a_block_that_is_replaced_while_it_is_read(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last block, which has no event of the federation, gives way to another."""
    request(scene.w3, "anvil_mine", ["0x1"])
    read, moments = indexed.read_parts, []

    def late(*given: Any) -> History:
        if not moments:
            request(scene.w3, "anvil_reorg", [1, []])
        moments.append(read(*given))
        return moments[-1]

    monkeypatch.setattr(indexed, "read_parts", late)
    check(scene.w3, scene.deployment.federation, tmp_path)
    assert len(moments) == 2


def test_a_federation_that_does_not_rest_is_refused(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, moments = indexed.read_parts, []

    def late(*given: Any) -> History:
        by = scene.by(COORDINATOR)
        if moments:
            scene.open()
        moments.append(read(*given))
        by.cancel_round(len(moments))
        return moments[-1]

    monkeypatch.setattr(indexed, "read_parts", late)
    with pytest.raises(ChainError, match="went on while it was read, 5 times"):
        read_stored(scene.w3, scene.deployment.federation, 0, tmp_path)
    assert len(moments) == 5


@pytest.mark.parametrize("what", ["head", "account", "no address"])
def test_another_address_is_refused(audited: SmallFederation, what: str, tmp_path: Path) -> None:
    addresses = {"head": audited.deployment.head, "account": audited.addresses[0]}
    with pytest.raises(NotAFederation):
        read_stored(connect(audited.url), addresses.get(what, "0x12"), 0, tmp_path)


def test_a_block_that_is_too_late_is_refused(
    history: History, audited: SmallFederation, tmp_path: Path
) -> None:
    after_joining = history.rounds[0].opened.block_number
    within_a_round = history.rounds[1].opened.block_number + 1
    for first in (after_joining, within_a_round, 10**6):
        folder = tmp_path / str(first)
        folder.mkdir()
        with pytest.raises(ChainError, match="earlier"):
            read_stored(connect(audited.url), audited.deployment.federation, first, folder)


def test_the_folder_goes_with_the_audit(audited: SmallFederation) -> None:
    with stored_history(connect(audited.url), audited.deployment.federation) as (history, _):
        assert isinstance(history.rounds, Stored)
        folder = history.rounds.path.parent
        assert history.rounds[3].number == 4
    assert not folder.exists()
