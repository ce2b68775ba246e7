"""A store that loses or corrupts a sealed update before key holders have opened the sum."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from flwr.app import Message

from ddcai.audit.claims import Status
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect
from ddcai.chain.records import RoundState
from ddcai.errors import RoundPaused
from ddcai.flower import InProcessGrid
from tests.audit.node_reading import read_history
from tests.federation import SmallFederation, make_federation
from tests.flower.support import Nodes

BACK_S = 1.0


def _lose(path: Path) -> None:
    path.unlink()


def _corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


HARMS = [(_lose, "UpdateMissing", Status.MISSING), (_corrupt, "UpdateMismatch", Status.FAIL)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """Each test ends its round, and leaves the store as it should be."""
    with make_federation(tmp_path_factory.mktemp("federation"), url=chain_url) as federation:
        yield federation


class Harmed(InProcessGrid):
    """Does something to the second update's blob when the key holder is asked."""

    def __init__(self, made: SmallFederation, harm: Callable[[Path], None]) -> None:
        super().__init__(Nodes(made).members)
        self._made, self._harm, self.refusals = made, harm, list[str]()
        self.blob: Path | None = None

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        sent = list(messages)
        if sent[0].metadata.message_type == "query.open_sum" and self.blob is None:
            record = self._made.contract.round(self._made.contract.last_round())
            self.blob = Path(self._made.store.url) / record.sealed[1].digest.hex()
            self.content = self.blob.read_bytes()
            self._harm(self.blob)
            self.harmed()
        return super().push_messages(sent)

    def harmed(self) -> None:
        """Told when it was done."""

    def restore(self) -> None:
        assert self.blob is not None
        self.blob.write_bytes(self.content)


@pytest.mark.parametrize(("harm", "kind", "status"), HARMS)
def test_a_round_waits_for_it(
    made: SmallFederation,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path], None],
    kind: str,
    status: Status,
) -> None:
    class Restored(Harmed):
        def harmed(self) -> None:
            threading.Timer(BACK_S, self.restore).start()

    number = made.contract.last_round() + 1
    Nodes(made).strategy().start(Restored(made, harm), num_rounds=number)
    record = made.contract.round(number)
    assert record.state is RoundState.FINALIZED
    assert len(record.sealed) == 3
    assert f"not open round {number}: {kind}" in caplog.text


@pytest.mark.parametrize(("harm", "kind", "status"), HARMS)
def test_without_it_every_deposit_goes_back(
    made: SmallFederation, harm: Callable[[Path], None], kind: str, status: Status
) -> None:
    """And the audit says which it is: a blob that is missing, or one that is another."""
    number = made.contract.last_round() + 1
    grid = Harmed(made, harm)
    with pytest.raises(RoundPaused, match=kind):
        Nodes(made).strategy().start(grid, num_rounds=number, timeout=2)
    record = made.contract.round(number)
    assert record.state is RoundState.SEALED
    history = read_history(connect(made.url), made.deployment.federation)
    found = {one.status for one in verify(history, made.store) if one.round == number}
    assert status in found
    assert found <= {Status.PASS, status, Status.SKIPPED}
    made.coordinator.cancel(record)
    for contributor in made.contributors:
        contributor.settle()
    assert made.contract.round(number).state is RoundState.CANCELLED
    assert made.contract.balance() == 0
    grid.restore()
