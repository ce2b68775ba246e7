from __future__ import annotations

import pytest

from ddcai.errors import ChainError
from ddcai.simulation.agents import make_agents
from ddcai.simulation.contract_world import ContractWorld, account
from ddcai.simulation.incentive import default_rules, simulate, start_wallets_wei
from ddcai.simulation.task import heart_task, sms_task
from tests.simulation.support import NOW, run

EVERYBODY = ["honest", "flipper", "random", "farmer", "copycat", "sybil:2", "sniper"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sms", "heart"])
def test_contracts_and_twins_end_alike(name: str) -> None:
    task = {"sms": sms_task, "heart": heart_task}[name](3)
    agents = make_agents(EVERYBODY, task, 3)
    wallets = start_wallets_wei(agents)
    rules = default_rules(account(len(wallets)).address)
    with ContractWorld(task.model(), rules, wallets, NOW) as world:
        outcome = simulate(world, agents, task, days=0.08)
        assert world.counts["contribute"] > 30
        assert world.counts["claim"] > 5
    expected, _ = run(task, EVERYBODY, days=0.08, seed=3)
    assert outcome == expected


def test_a_twin_that_errs_is_found_out() -> None:
    task = heart_task(3)
    agents = make_agents(["honest"], task, 3)
    rules = default_rules(account(1).address)
    with ContractWorld(task.model(), rules, start_wallets_wei(agents), NOW) as world:
        row, label = task.pool[0], int(task.pool_labels[0])
        world.now += 600
        made = world.contribute(0, row, label)
        assert made is not None
        world.now += 12 * 3600
        world.ledger.left_wei[made.id] -= 1
        with pytest.raises(ChainError, match="differ in claims"):
            world.claim(0, [made], [])
