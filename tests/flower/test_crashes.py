"""Processes that die at each step of a round, by SIGKILL, and are started again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ddcai import faults
from ddcai.audit.claims import Status
from ddcai.audit.verify import verify
from ddcai.chain.node.anvil import find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.records import RoundState
from tests.audit.node_reading import read_history
from tests.crashing import KILLED
from tests.federation import SmallFederation, make_federation
from tests.flower.crashing import run_coordinator
from tests.flower.support import Nodes

# A round's, of a coordinator: opens, seals, finalises; three updates, sum, opened sum, model.
TRANSACTIONS, BLOBS = 3, 6


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """In the end, its audit is clean."""
    with make_federation(tmp_path_factory.mktemp("federation"), 3, url=chain_url) as federation:
        yield federation
        deployed = federation.deployment
        history = read_history(connect(federation.url), deployed.federation)
        claims = list(verify(history, federation.store))
        assert {claim.status for claim in claims} == {Status.PASS}


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallFederation]:
    """On a chain with a block a second: what was sent is not mined yet."""
    with make_federation(tmp_path_factory.mktemp("slow"), 3) as federation:
        w3 = connect(federation.url)
        request(w3, "evm_setAutomine", [False])
        request(w3, "evm_setIntervalMining", [1])
        yield federation


def _sent(federation: SmallFederation) -> int:
    w3, account = connect(federation.url), federation.coordinator.party.address
    return int(request(w3, "eth_getTransactionCount", [account, "pending"]), 16)


STEPS = [
    f"{place}:{number}"
    for place in faults.PLACES
    if not place.startswith("file")  # a coordinator has no files of its own
    for number in range(1, 1 + (BLOBS if place.startswith("blob") else TRANSACTIONS))
]


@pytest.mark.parametrize("fault", STEPS)
def test_a_coordinator_killed_anywhere_goes_on(three: SmallFederation, fault: str) -> None:
    """It sends nothing twice, and the round has everybody."""
    number, before = three.contract.last_round() + 1, _sent(three)
    grid, settings = Nodes(three).grid(), three.trial.coordinator
    assert run_coordinator(settings, grid, number, fault) == KILLED
    assert run_coordinator(settings, grid, number) == 0
    record = three.contract.round(number)
    assert record.state is RoundState.FINALIZED
    assert {one.address for one in record.sealed} == set(three.addresses)
    assert _sent(three) - before == TRANSACTIONS
    assert three.contract.balance() == 0


def test_there_are_no_more_steps(three: SmallFederation) -> None:
    """The numbers above are a round's: a fault beyond them is not reached."""
    for fault in (f"transaction-before:{TRANSACTIONS + 1}", f"blob-before:{BLOBS + 1}"):
        number = three.contract.last_round() + 1
        assert run_coordinator(three.trial.coordinator, Nodes(three).grid(), number, fault) == 0


def test_another_machine_takes_the_coordinators_place(
    three: SmallFederation, tmp_path: Path
) -> None:
    """With the account's key, the deployment file and the store: all else of the first is lost."""
    number, before = three.contract.last_round() + 1, _sent(three)
    first = three.trial.coordinator
    grid = Nodes(three).grid()
    assert run_coordinator(first, grid, number, "transaction-after:2") == KILLED  # it sealed
    files = {
        name: str(shutil.copy(getattr(first, name), tmp_path))
        for name in ("keystore", "password_file", "deployment")
    }
    second = replace(first, **files, state=str(tmp_path / "state"))
    lost = Path(first.state).parent
    hidden = lost.rename(lost.with_name("lost"))
    try:
        assert run_coordinator(second, Nodes(three).grid(), number) == 0
    finally:
        hidden.rename(lost)
    assert three.contract.round(number).state is RoundState.FINALIZED
    assert _sent(three) - before == TRANSACTIONS


@pytest.mark.skipif(find_anvil() is None, reason="the embedded chain mines at once")
@pytest.mark.parametrize("nth", [1, TRANSACTIONS])
def test_what_it_sent_before_it_died_is_not_sent_again(slow: SmallFederation, nth: int) -> None:
    number, before = slow.contract.last_round() + 1, _sent(slow)
    grid, settings = Nodes(slow).grid(), slow.trial.coordinator
    assert run_coordinator(settings, grid, number, f"transaction-sent:{nth}") == KILLED
    assert run_coordinator(settings, grid, number) == 0
    assert slow.contract.round(number).state is RoundState.FINALIZED
    assert _sent(slow) - before == TRANSACTIONS
