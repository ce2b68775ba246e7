"""What judging adds to a round: seconds, bytes and gas, a contributor and round.

Two federations of the same contributors, data and network, one that judges its updates, in this
process and on one chain, in turn, round by round, so that a busy machine slows both. Prints a
table and writes JSON.

    python benchmarks/judging.py [--contributors 5 20] [--windows 2]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import Context, RecordDict
from rich.console import Console
from rich.table import Table

import clients.app
from ddcai import attestation
from ddcai.assessment.configuration import Assessment
from ddcai.assessment.root_set import commitment
from ddcai.audit import Ledger
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.indexed import stored_history
from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.chain.records import WindowRules
from ddcai.configuration import (
    Aggregation,
    Encryption,
    Feature,
    FederationConfig,
    Model,
    Task,
    Training,
)
from ddcai.flower import EncryptedFedAvg, InProcessGrid, RoundReport
from ddcai.models.anchor import root_set_to_blob
from ddcai.models.encoder import parameter_count
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from ddcai.rounds.settling import settle_windows
from ddcai.rounds.trial import Trial, set_up

COLUMNS, EXAMPLES, ROOT_SET, WINDOW = 128, 512, 200, 4
RESULTS = Path(__file__).parent / "results" / "judging.json"


def made_up(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """x float32[n, 256], y int64[n]: a line through the middle, as many on each side."""
    rng = np.random.default_rng(seed)
    x = np.zeros((size, 2 * COLUMNS), np.float32)
    x[:, ::2] = rng.uniform(-1, 1, (size, COLUMNS))
    score = x[:, :32:2].sum(axis=1)
    return x, (score > np.median(score)).astype(np.int64)


def configuration(name: str, root_set: str | None) -> FederationConfig:
    """About 100,000 parameters; judged where there is a root set."""
    features = tuple(
        Feature(name=f"column {number}", kind="numeric", low=-1, high=1)
        for number in range(COLUMNS)
    )
    config = FederationConfig(
        name=name,
        task=Task(label="y", classes=("no", "yes"), features=features),
        model=Model(hidden=(300, 64)),
        training=Training(learning_rate=0.002, momentum=0.0),  # slow: updates agree throughout
        aggregation=Aggregation(weighting="uniform"),
        encryption=Encryption(parameter_set="bfv-4096-3x19", max_contributors=64),
    )
    if root_set is None:
        return config
    return dataclasses.replace(
        config,
        encryption=Encryption(parameter_set="bfv-8192-2x30", max_contributors=64),
        assessment=Assessment(root_set=root_set, window=WINDOW, movement_lag=1),
    )


def federation(
    folder: Path, url: str, contributors: int, root_set: tuple[np.ndarray, np.ndarray] | None
) -> tuple[Trial, EncryptedFedAvg, InProcessGrid, list[RoundReport]]:
    """A trial, its strategy and its nodes."""
    committed = None if root_set is None else commitment(*root_set).hex()
    config = configuration("judged" if committed else "plain", committed)
    names = [f"site-{number}" for number in range(contributors)]
    rules: dict[str, Any] = {"submit_period_s": 10**6}
    if committed:
        rules["windows"] = WindowRules(window_rounds=WINDOW, dispute_period_s=60)
    trial = set_up(folder, url, config, names, **rules)
    nodes = {}
    for number, (name, own) in enumerate(trial.contributors.items(), start=1):
        x, y = made_up(number, EXAMPLES)
        data = folder / f"{name}.npz"
        np.savez(data, x=x, y=y)
        more = {"data": str(data), "training-seed": number}
        context = Context(1, number, dict(own.to_mapping()) | more, RecordDict(), {})
        nodes[number] = (clients.app.app, context)
    number = len(nodes) + 1
    holder = Context(1, number, dict(trial.key_holder.to_mapping()), RecordDict(), {})
    nodes[number] = (clients.app.app, holder)
    reports: list[RoundReport] = []
    blob = None if root_set is None else root_set_to_blob(*root_set)
    coordinator = Coordinator(Party.connect(trial.coordinator), blob)
    return trial, EncryptedFedAvg(coordinator, report=reports.append), InProcessGrid(nodes), reports


def gas(trial: Trial, url: str, rounds: int) -> float:
    """Of all transactions but founding and joining, a round; windows' claims included."""
    counted = ("VerdictPosted", "Refunded", "Taken", "BondReleased", "Withdrawn")
    with stored_history(connect(url), trial.deployment.federation) as (history, _):
        entries = () if history.assessment is None else history.assessment.entries
        hashes = {one.step.tx_hash for one in entries if one.name in counted and one.window != 1}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "index.sqlite"
        with Index(path, writable=True) as index:
            Sync(index, connect(url), trial.deployment.federation).run()
        with Ledger.open(path) as ledger:
            total = sum(row.gas for row in ledger.rounds()[1:])
    w3 = connect(url)
    for hash_ in hashes:
        receipt = request(w3, "eth_getTransactionReceipt", [hash_])
        total += int(receipt["gasUsed"], 16)
    return total / rounds


def measure(contributors: int, windows: int) -> dict[str, Any]:
    """Medians over the rounds after the first window, which loads what is loaded once."""
    root_set = made_up(0, ROOT_SET)
    rounds = WINDOW * (windows + 1)
    with tempfile.TemporaryDirectory() as name, EmbeddedChain() as chain:
        folder = Path(name)
        plain = federation(folder / "plain", chain.url, contributors, None)
        judged = federation(folder / "judged", chain.url, contributors, root_set)
        for number in range(1, rounds + 1):
            for _, strategy, grid, _ in (plain, judged):
                strategy.start(grid, num_rounds=number)
        w3 = connect(chain.url)
        request(w3, "evm_increaseTime", [61])
        request(w3, "evm_mine", [])
        for own in (*judged[0].contributors.values(), judged[0].coordinator):
            party = Party.connect(own)
            settle_windows(party.federation.assessment(), party.address)
        config = judged[1].coordinator.party.config
        store = Path(judged[0].coordinator.store)
        kept = sum(path.stat().st_size for path in store.iterdir()) / rounds
        kept -= (contributors + 1) * judged[3][-1].update_bytes
        found: dict[str, Any] = {
            "parameters": parameter_count(config),
            "contributors": contributors,
            "rounds": rounds - WINDOW,
            "window": WINDOW,
            "bytes_per_update": {
                "plain": plain[3][-1].update_bytes,
                "judged": judged[3][-1].update_bytes,
            },
            "store_bytes_per_round_beside_updates_and_sum": kept,
            "gas_per_round": {
                "plain": gas(plain[0], chain.url, rounds - 1),
                "judged": gas(judged[0], chain.url, rounds - WINDOW),
            },
        }
        for side, (_, _, _, reports) in (("plain", plain), ("judged", judged)):
            counted = reports[WINDOW:]
            found[f"{side}_steps_s"] = {
                step: statistics.fmean(one.seconds.get(step, 0.0) for one in counted)
                for step in counted[0].seconds
            }
            found[f"{side}_round_s"] = [sum(one.seconds.values()) for one in counted]
    means = {side: statistics.fmean(found[f"{side}_round_s"]) for side in ("plain", "judged")}
    found["added_s_per_contributor_and_round"] = (means["judged"] - means["plain"]) / contributors
    gases = found["gas_per_round"]
    found["added_gas_per_contributor_and_round"] = (gases["judged"] - gases["plain"]) / contributors
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contributors", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--windows", type=int, default=2)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [measure(contributors, arguments.windows) for contributors in arguments.contributors]
    document = {
        "benchmark": "what judging adds to a round",
        "command": " ".join(["python", "benchmarks/judging.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "bls": attestation.BACKEND,
        "cases": cases,
    }
    arguments.output.write_text(json.dumps(document, indent=1) + "\n")
    for case in cases:
        title = f"seconds of a round, {case['contributors']} contributors"
        table = Table("step", "plain", "judged", title=title)
        for step, seconds in case["judged_steps_s"].items():
            table.add_row(step, f"{case['plain_steps_s'].get(step, 0):.3f}", f"{seconds:.3f}")
        for what in ("s", "gas"):
            added = case[f"added_{what}_per_contributor_and_round"]
            table.add_row(f"added a contributor, {what}", "", f"{added:,.3f}")
        Console().print(table)


if __name__ == "__main__":
    main()
