"""What tests of simulations share."""

from __future__ import annotations

from ddcai.incentives.ledger import SelfAssessmentLedger
from ddcai.simulation.agents import make_agents
from ddcai.simulation.contract_world import account
from ddcai.simulation.incentive import Outcome, default_rules, simulate, start_wallets_wei
from ddcai.simulation.task import Task
from ddcai.simulation.world import World

NOW = 1_700_000_000


def run(
    task: Task,
    wanted: list[str],
    *,
    days: float,
    seed: int,
    ledger: type[SelfAssessmentLedger] = SelfAssessmentLedger,
) -> tuple[Outcome, World]:
    """A simulation by twins alone."""
    agents = make_agents(wanted, task, seed)
    wallets = start_wallets_wei(agents)
    addresses = [account(number).address for number in range(len(wallets))]
    rules = default_rules(account(len(wallets)).address)
    world = World(task.model(), ledger(rules, NOW), addresses, wallets, NOW)
    return simulate(world, agents, task, days=days), world
