"""What an auditor should look at, on chains where it happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.ledger import Ledger
from ddcai.audit.ledger.findings import AnomalyRow
from ddcai.chain.node.connection import connect
from tests.chain.support import CONTRIBUTORS, COORDINATOR, Scene, advance, digest, stage
from tests.federation import play_chain

THREE = CONTRIBUTORS[:3]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A federation on a chain whose clock may be moved."""
    with play_chain() as chain:
        yield stage(connect(chain.url))


def anomalies(scene: Scene, path: Path) -> tuple[AnomalyRow, ...]:
    with Index(path, writable=True) as index:
        Sync(index, scene.w3, scene.deployment.federation).run()
    with Ledger.open(path) as ledger:
        return ledger.anomalies()


def wait_until(scene: Scene, time: int) -> None:
    """The next block is not before this time."""
    advance(scene.w3, time - scene.by(None).block_time())


def test_a_round_stalls_once_its_time_is_over(scene: Scene, tmp_path: Path) -> None:
    number = scene.open()
    record = scene.by(None).round(number)
    wait_until(scene, record.finalize_deadline)
    path = tmp_path / "index.sqlite"
    assert anomalies(scene, path) == ()
    advance(scene.w3, 2)
    [row] = anomalies(scene, path)
    assert (row.kind, row.round, row.account) == ("stalled", number, None)
    assert int(row.since.timestamp()) == record.finalize_deadline
    assert "still open" in row.what
    scene.by(COORDINATOR).cancel_round(number)
    assert anomalies(scene, path) == ()


def test_a_sum_that_was_given_up_and_sealed_again(scene: Scene, tmp_path: Path) -> None:
    first = scene.open()
    scene.submit(first, *THREE)
    scene.by(COORDINATOR).seal_round(first, digest(), [0, 1, 2])
    scene.by(COORDINATOR).cancel_round(first)
    assert anomalies(scene, tmp_path / "index.sqlite") == ()
    second = scene.open()
    [row] = anomalies(scene, tmp_path / "index.sqlite")
    assert (row.kind, row.round) == ("reopened", first)
    scene.submit(second, *THREE)
    scene.by(COORDINATOR).seal_round(second, digest(), [0, 1, 2])
    [row] = anomalies(scene, tmp_path / "index.sqlite")
    assert (row.kind, row.round, row.account) == ("re-sealed", first, COORDINATOR.address)
    assert f"round {second} sealed another" in row.what


@pytest.mark.parametrize("late", [False, True])
def test_a_sum_that_is_sealed_late(scene: Scene, tmp_path: Path, late: bool) -> None:
    number = scene.open()
    scene.submit(number, *THREE)
    record = scene.by(None).round(number)
    quarter = (record.finalize_deadline - record.submit_deadline) // 4
    wait_until(scene, record.finalize_deadline - quarter + (10 if late else -20))
    scene.by(COORDINATOR).seal_round(number, digest(), [0, 1, 2])
    found = anomalies(scene, tmp_path / "index.sqlite")
    assert [(row.kind, row.round, row.account) for row in found] == [
        ("sealed late", number, COORDINATOR.address)
    ] * late


def test_one_that_is_on_no_list_and_one_that_never_signs(scene: Scene, tmp_path: Path) -> None:
    """The fourth's updates are left out, the third's are in, and it signs nothing."""
    path = tmp_path / "index.sqlite"
    for place in range(2):
        number = scene.open()
        scene.submit(number, *CONTRIBUTORS)
        wait_until(scene, scene.by(None).round(number).submit_deadline + 1)
        scene.by(COORDINATOR).seal_round(number, digest(), [0, 1, 2])
        scene.by(COORDINATOR).finalize_round(number, **scene.result(number, (0, 1)))
        found = {(row.kind, row.account, row.round) for row in anomalies(scene, path)}
        twice = {
            ("never attests", CONTRIBUTORS[2].address, None),
            ("never sealed", CONTRIBUTORS[3].address, None),
        }
        assert found == (twice if place else set())
