"""One federation with four rounds, for every test here that only reads.

| round | what happens |
|---|---|
| 1 | all three contribute, the first two sign, all settle |
| 2 | `south` commits and never delivers; `north` settles, `east` does not |
| 3 | `north` submits, then the coordinator cancels; nobody settles |
| 4 | all three contribute; sealed and not yet opened |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from ddcai.audit.history import History
from ddcai.chain.node.connection import connect
from tests.audit import walking
from tests.audit.node_reading import read_history
from tests.federation import SmallFederation, make_federation, play_chain
from tests.groups import TwoLevels, make_two_levels
from tests.rounds.judged import CONFIG

# Odd, so that two cannot share it evenly.
DEPOSIT_WEI = 10**15 + 1
STAKE_WEI = 10**14


@pytest.fixture(scope="session")
def chain_url() -> Iterator[str]:
    """A chain for all federations of this process."""
    with play_chain() as chain:
        yield chain.url


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """The federation of the table above; nobody may write to its chain or store."""
    with make_federation(
        tmp_path_factory.mktemp("audited"),
        url=chain_url,
        min_contributors=2,
        deposit_wei=DEPOSIT_WEI,
        registration_stake_wei=STAKE_WEI,
    ) as federation:
        federation.run_round(unsigned=[2])
        federation.run_round(undelivered=[1], settle=False)
        federation.contributors[0].settle()
        third = federation.coordinator.open_round()
        federation.contribute(third, 0)
        federation.coordinator.cancel(third)
        fourth = federation.coordinator.open_round()
        federation.seal(fourth, {i: federation.contribute(fourth, i).blob for i in range(3)})
        yield federation


@pytest.fixture(scope="session")
def history(audited: SmallFederation) -> History:
    """What the chain says of it."""
    return read_history(connect(audited.url), audited.deployment.federation)


@pytest.fixture(scope="session")
def walk(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[walking.Walk]:
    """One whose updates are judged, through every stage of its windows."""
    rule = CONFIG.assessment
    assert rule is not None
    path = tmp_path_factory.mktemp("walk")
    with make_federation(
        path,
        4,
        url=chain_url,
        config=dataclasses.replace(CONFIG, assessment=dataclasses.replace(rule, window=2)),
        windows=walking.WINDOWS,
        deposit_wei=walking.DEPOSIT_WEI,
        registration_stake_wei=walking.STAKE_WEI,
        submit_period_s=10**6,
    ) as made:
        walk = walking.Walk(made, path)
        walking.run_all(walk)
        yield walk


@pytest.fixture(scope="session")
def levels(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[TwoLevels]:
    """One with groups, after an honest round; a test that opens another cancels it."""
    with make_two_levels(tmp_path_factory.mktemp("groups"), chain_url) as made:
        made.run_round()
        yield made
