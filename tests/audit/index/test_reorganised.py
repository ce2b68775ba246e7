"""The index follows a chain that drops blocks, on a chain that really does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ddcai.audit.history import History
from ddcai.audit.index import reading, schema
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.errors import ChainError
from tests.audit.node_reading import read_history
from tests.chain.support import CONTRIBUTORS, COORDINATOR, Scene, digest, stage

pytestmark = pytest.mark.skipif(find_anvil() is None, reason="anvil is not installed")


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A federation with an open round, on an anvil of its own."""
    with ManagedAnvil() as chain:
        staged = stage(connect(chain.url))
        number = staged.open()
        staged.submit(number, *CONTRIBUTORS[:2])
        yield staged


def sync(index: Index, scene: Scene, **options: Any) -> Any:
    return Sync(index, scene.w3, scene.deployment.federation, **options).run()


def check(index: Index, scene: Scene) -> History:
    """The index has the rounds that the chain has, and a fresh index has the same rows."""
    history = read_history(scene.w3, scene.deployment.federation)
    with index.reading() as connection:
        federation = reading.find(connection, scene.deployment.federation)
        numbers = connection.execute(select(schema.rounds.c.number)).scalars().all()
        assert tuple(reading.round_histories(connection, federation, numbers)) == history.rounds
    fresh = index.path.with_suffix(".fresh")
    fresh.unlink(missing_ok=True)
    with Index(fresh, writable=True) as other:
        sync(other, scene, confirmations=0)
        for table in (schema.events, schema.rounds, schema.submissions, schema.members):
            with index.reading() as mine, other.reading() as theirs:
                assert mine.execute(select(table)).all() == theirs.execute(select(table)).all()
    return history


def test_events_that_went_away(tmp_path: Path, scene: Scene) -> None:
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        scene.by(COORDINATOR).seal_round(1, digest(), [0, 1])
        sync(index, scene)
        assert check(index, scene).rounds[0].sealing is not None
        request(scene.w3, "anvil_reorg", [2, []])  # drops the sealing and the last submission
        synced = sync(index, scene)
        assert synced.removed_events == 2
        assert synced.done
        after = check(index, scene)
        assert after.rounds[0].sealing is None
        assert len(after.rounds[0].commitments) == 1


def test_another_history_takes_the_place(tmp_path: Path, scene: Scene) -> None:
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        snapshot = request(scene.w3, "evm_snapshot", [])
        first = digest()
        scene.by(COORDINATOR).seal_round(1, first, [0, 1])
        sync(index, scene)
        request(scene.w3, "evm_revert", [snapshot])
        scene.submit(1, CONTRIBUTORS[2])
        second = digest()
        scene.by(COORDINATOR).seal_round(1, second, [0, 1, 2])
        sync(index, scene)
        (round_,) = check(index, scene).rounds
        assert round_.sealing is not None
        assert round_.sealing.sum_digest == second
        with index.reading() as connection:
            digests = connection.execute(select(schema.events.c.digest)).scalars().all()
        assert "0x" + first.hex() not in digests


def test_a_shorter_chain(tmp_path: Path, scene: Scene) -> None:
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        snapshot = request(scene.w3, "evm_snapshot", [])
        scene.submit(1, CONTRIBUTORS[2])
        sync(index, scene)
        request(scene.w3, "evm_revert", [snapshot])
        assert sync(index, scene).removed_events == 1
        check(index, scene)


def test_a_node_that_is_behind_is_no_reorganisation(tmp_path: Path, scene: Scene) -> None:
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        snapshot = request(scene.w3, "evm_snapshot", [])
        request(scene.w3, "anvil_mine", ["0x5"])
        sync(index, scene, confirmations=1)
        request(scene.w3, "evm_revert", [snapshot])
        with pytest.raises(ChainError, match="it is behind"):
            sync(index, scene, confirmations=1)


def test_confirmations_hold_back(tmp_path: Path, scene: Scene) -> None:
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        held = sync(index, scene, confirmations=1)
        with index.reading() as connection:
            kept = connection.execute(select(schema.submissions)).all()
        assert len(kept) == 1  # of two
        assert held.last_block == int(request(scene.w3, "eth_blockNumber", []), 16) - 1
        request(scene.w3, "anvil_mine", ["0x1"])
        assert sync(index, scene, confirmations=1).new_events == 1
        check(index, scene)


def test_every_federation_of_the_chain_is_rolled_back(tmp_path: Path, scene: Scene) -> None:
    other = stage(scene.w3)
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        snapshot = request(scene.w3, "evm_snapshot", [])
        other.open()
        scene.submit(1, CONTRIBUTORS[2])
        sync(index, scene)
        sync(index, other)
        request(scene.w3, "evm_revert", [snapshot])
        scene.submit(1, CONTRIBUTORS[3])
        request(scene.w3, "anvil_mine", ["0x5"])
        sync(index, scene)  # sees the reorganisation, and the other's round is gone with it
        with index.reading() as connection:
            gone = reading.find(connection, other.deployment.federation)
            assert (
                list(
                    reading.events(
                        connection,
                        schema.events.c.round == 1,
                        schema.events.c.federation_id == gone.id,
                    )
                )
                == []
            )
        sync(index, other)
        for one in (scene, other):
            history = read_history(one.w3, one.deployment.federation)
            with index.reading() as connection:
                found = reading.find(connection, one.deployment.federation)
                assert tuple(reading.round_histories(connection, found, [1])) == history.rounds


def test_a_reorganisation_while_a_range_is_read(
    tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ddcai.audit.index.fetching import Fetcher

    fetch, done = Fetcher.logs, []

    def logs(self: Fetcher, *given: Any) -> Any:
        found = fetch(self, *given)
        if found and not done:
            done.append(request(scene.w3, "anvil_reorg", [1, []]))
        return found

    monkeypatch.setattr(Fetcher, "logs", logs)
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        assert sync(index, scene).done
        assert done
        check(index, scene)
