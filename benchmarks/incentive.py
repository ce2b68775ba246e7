"""What becomes of agents and a model under the self-assessment deposit, on both data sets.

    python benchmarks/incentive.py [--quick]

Contracts: the published pair of agents for 7 days on each data set, every step on an embedded
chain and by its twins, compared; the plots go to docs/. Twins alone: all kinds of agents, ten
seeds, and the rule for points against the first system's. Writes results/incentive.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ddcai.incentives.ledger import SelfAssessmentLedger
from ddcai.simulation import report
from ddcai.simulation.agents import make_agents
from ddcai.simulation.contract_world import ContractWorld, account
from ddcai.simulation.incentive import Outcome, default_rules, simulate, start_wallets_wei
from ddcai.simulation.task import TASKS, task
from ddcai.simulation.world import FirstSystemLedger, World

HERE = Path(__file__).parent
START_TIME = 1_700_000_000
PUBLISHED = ["honest", "flipper"]


def on_chain(name: str, days: float, seed: int) -> tuple[dict[str, Any], Outcome]:
    """The published pair against the contracts."""
    chosen = task(name, seed)
    agents = make_agents(PUBLISHED, chosen, seed)
    wallets = start_wallets_wei(agents)
    rules = default_rules(account(len(wallets)).address)
    started = time.perf_counter()
    with ContractWorld(chosen.model(), rules, wallets, START_TIME) as world:
        outcome = simulate(world, agents, chosen, days=days)
        gas = {kind: world.gas[kind] // count for kind, count in sorted(world.counts.items())}
        found = row(outcome) | {
            "transactions": dict(sorted(world.counts.items())),
            "gas_each": gas,
            "seconds": round(time.perf_counter() - started, 1),
        }
    return found, outcome


def by_twins(name: str, wanted: list[str], days: float, seed: int, first: bool) -> Outcome:
    """Any agents, without a chain."""
    chosen = task(name, seed)
    agents = make_agents(wanted, chosen, seed)
    wallets = start_wallets_wei(agents)
    rules = default_rules(account(len(wallets)).address)
    ledger = (FirstSystemLedger if first else SelfAssessmentLedger)(rules, START_TIME)
    addresses = [account(number).address for number in range(len(wallets))]
    world = World(chosen.model(), ledger, addresses, wallets, START_TIME)
    return simulate(world, agents, chosen, days=days)


def row(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON."""
    return {
        "accuracy_start": round(outcome.accuracy_start, 4),
        "accuracy_end": round(outcome.accuracy_end, 4),
        "accuracy_least": round(outcome.accuracy_least, 4),
        "agents": [asdict(one) for one in outcome.summaries],
    }


def means(outcomes: list[Outcome]) -> dict[str, Any]:
    """Balances of several seeds: mean, least and largest; and the accuracy lost."""
    agents = {}
    for place, name in enumerate(outcomes[0].names):
        shares = [outcome.summaries[place].balance for outcome in outcomes]
        points = [outcome.summaries[place].points for outcome in outcomes]
        agents[name] = {
            "balance_mean": round(statistics.mean(shares), 3),
            "balance_least": round(min(shares), 3),
            "balance_most": round(max(shares), 3),
            "points_mean": round(statistics.mean(points), 1),
        }
    lost = [outcome.accuracy_start - outcome.accuracy_end for outcome in outcomes]
    return {
        "accuracy_lost_mean": round(statistics.mean(lost), 4),
        "accuracy_lost_most": round(max(lost), 4),
        "agents": agents,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="an hour and one seed: to try it")
    quick = parser.parse_args().quick
    days, seeds = (0.04, 1) if quick else (7.0, 10)
    results: dict[str, Any] = {
        "command": "python benchmarks/incentive.py",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": f"{platform.machine()}, Python {platform.python_version()}, "
        f"numpy {np.__version__}",
        "days": days,
        "contracts": {},
        "twins": {},
    }
    for name in TASKS:
        found, outcome = on_chain(name, days, seed=0)
        results["contracts"][name] = found
        print(f"{name} on chain: {json.dumps(found)}", file=sys.stderr, flush=True)
        if not quick:
            with tempfile.TemporaryDirectory() as folder:
                title = f"{name}: {', '.join(PUBLISHED)}"
                plot = report.write(outcome, Path(folder), title)["plot.png"].read_bytes()
            (HERE.parent / "docs" / f"incentive-{name}.png").write_bytes(plot)
    others = ("random", "farmer", "copycat", "sybil:4", "sniper")
    groups = [PUBLISHED, *([*PUBLISHED, other] for other in others), [*PUBLISHED, *others]]
    for name in TASKS:
        for wanted in groups:
            for first in (False, True):
                if first and wanted != [*PUBLISHED, "farmer"]:
                    continue
                key = f"{name}: {', '.join(wanted)}" + ("; first system's points" * first)
                results["twins"][key] = means(
                    [by_twins(name, wanted, days, seed, first) for seed in range(seeds)]
                )
                print(f"{key}: {json.dumps(results['twins'][key])}", file=sys.stderr, flush=True)
    if not quick:
        target = HERE / "results" / "incentive.json"
        target.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    else:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
