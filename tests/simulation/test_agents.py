from __future__ import annotations

import pytest

from ddcai.errors import ConfigurationError
from ddcai.simulation.agents import KINDS, make_agents
from ddcai.simulation.task import Task, heart_task, task
from tests.simulation.support import run


@pytest.fixture(scope="module")
def heart() -> Task:
    return heart_task(1)


def test_accounts_are_numbered_through(heart: Task) -> None:
    agents = make_agents(["honest", "sybil:5", "honest", "sniper"], heart, 0)
    assert [agent.name for agent in agents] == ["honest", "sybil", "honest 2", "sniper"]
    assert [agent.accounts for agent in agents] == [[0], [1, 2, 3, 4, 5], [6], [7]]


@pytest.mark.parametrize("word", ["thief", "", "sybil:0", "sybil:65", "sybil:x", "honest:2"])
def test_refused(heart: Task, word: str) -> None:
    with pytest.raises(ConfigurationError, match="agent is"):
        make_agents(["honest", word], heart, 0)


def test_no_such_data() -> None:
    with pytest.raises(ConfigurationError, match="give one of sms, heart"):
        task("imdb", 0)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"sniper", "copycat"}))
def test_each_contributes(heart: Task, kind: str) -> None:
    outcome, _ = run(heart, ["honest", kind], days=0.5, seed=1)
    assert outcome.summaries[1].contributions > 0


def test_a_sniper_takes_in_the_first_second_of_anyones_time(heart: Task) -> None:
    outcome, _ = run(heart, ["random", "sniper"], days=1, seed=1)
    random, sniper = outcome.summaries
    assert sniper.contributions == 0
    assert sniper.balance > 1.3
    assert random.balance < 0.7


def test_a_copycat_only_copies_others(heart: Task) -> None:
    outcome, _ = run(heart, ["copycat"], days=0.5, seed=1)
    assert outcome.summaries[0].contributions == 0


def test_a_farmer_earns_no_points(heart: Task) -> None:
    outcome, _ = run(heart, ["honest", "farmer"], days=2, seed=1)
    assert outcome.summaries[1].contributions > 100
    assert outcome.summaries[1].points == 0
