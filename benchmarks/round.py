"""A whole round against plain Flower FedAvg: same clients, same Grid, same training.

Encryption, chain, opening by 2 of 3 key holders, quorum and settling are on one side; `FedAvg` on
float arrays is on the other. Both run in this process, in turn, round by round, so that a busy
machine slows both: compare the ratio. Prints a table and writes JSON.

    python benchmarks/round.py [--parameters 1000000] [--contributors 3] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from rich.console import Console
from rich.table import Table
from torch import nn

import clients.app
from ddcai import attestation
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.configuration import Aggregation, FederationConfig, Task
from ddcai.data.heart_disease import SITES, heart_config, site_path
from ddcai.flower import EncryptedFedAvg, InProcessGrid, RoundReport, SecureMod
from ddcai.flower.messages import from_arrays, instruction, to_arrays
from ddcai.models.encoder import initial_state
from ddcai.models.state import State, count, digest
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from ddcai.rounds.trial import set_up

INPUTS, FEATURES, CLASSES, EXAMPLES, BATCH = 512, 64, 10, 4096, 64
RESULTS = Path(__file__).parent / "results" / "round.json"


def network(parameters: int) -> nn.Module:
    """Two hidden layers, of about that many parameters, and a head that fits on chain."""
    hidden = max(1, round(parameters / (INPUTS + FEATURES + 1)))
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(INPUTS, hidden),
        nn.Tanh(),
        nn.Linear(hidden, FEATURES),
        nn.Tanh(),
        nn.Linear(FEATURES, CLASSES),
    )


def training_app(
    parameters: int, steps: int, mods: list[SecureMod], seconds: list[float]
) -> ClientApp:
    """An ordinary app that takes so many steps of SGD on data that it makes up; adds its time."""
    app = ClientApp(mods=list(mods))
    for mod in mods:
        mod.register(app)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(EXAMPLES, INPUTS, generator=generator)
    y = (x[:, :CLASSES]).argmax(dim=1)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        started = time.perf_counter()
        net = network(parameters)
        net.load_state_dict(message.content["arrays"].to_torch_state_dict())
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        for step in range(steps):
            batch = torch.arange(step * BATCH, (step + 1) * BATCH) % EXAMPLES
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
        metrics = MetricRecord({"num-examples": EXAMPLES})
        content = RecordDict({"arrays": ArrayRecord(net.state_dict()), "metrics": metrics})
        seconds.append(time.perf_counter() - started)
        return Message(content, reply_to=message)

    return app


def steps_for(parameters: int, seconds: float) -> int:
    """How many steps take about so many seconds here."""
    arrays = ArrayRecord(network(parameters).state_dict())
    content = RecordDict({"arrays": arrays, "config": ConfigRecord()})

    def seconds_of(steps: int) -> float:
        app = training_app(parameters, steps, [], [])
        grid = InProcessGrid({1: (app, Context(1, 1, {}, RecordDict(), {}))})
        started = time.perf_counter()
        list(grid.send_and_receive([Message(content, 1, "train")]))
        return time.perf_counter() - started

    seconds_of(10)  # what torch loads at its first step is no training
    return max(1, round(100 * seconds / (seconds_of(110) - seconds_of(10))))


def large(parameters: int, contributors: int, rounds: int, train_s: float) -> dict[str, object]:
    """A model of many parameters, and training of about so many seconds a contributor."""
    steps = steps_for(parameters, train_s)
    config = FederationConfig(
        name="benchmark",
        task=Task(label="y", classes=tuple(map(str, range(CLASSES))), dataset="made:up"),
        aggregation=Aggregation(clip_norm=100.0, value_range=0.5, max_examples=EXAMPLES),
    )
    seconds: list[float] = []
    found = compare(
        training_app(parameters, steps, [], seconds),
        training_app(parameters, steps, [SecureMod()], seconds),
        config,
        {name: value.numpy() for name, value in network(parameters).state_dict().items()},
        {f"site-{number}": {} for number in range(contributors)},
        rounds,
    )
    return {"train_s_per_contributor": statistics.median(seconds)} | found


def demo(rounds: int) -> dict[str, object]:
    """The demo's four hospitals: the shipped app's training function, with and without the mod."""
    config = heart_config()
    plain_app = ClientApp()
    plain_app.train()(clients.app.train)
    nodes = {
        name: {"data": str(site_path(name)), "training-seed": number}
        for number, name in enumerate(SITES)
    }
    return compare(plain_app, clients.app.app, config, initial_state(config), nodes, rounds)


def compare(
    plain_app: ClientApp,
    secure_app: ClientApp,
    config: FederationConfig,
    first: State,
    nodes: Mapping[str, Mapping[str, str | int]],
    rounds: int,
) -> dict[str, object]:
    """Runs rounds of both in turn; seconds of each, and the ratio of the medians."""
    plain_s: list[float] = []
    secure_s: list[float] = []
    reports: list[RoundReport] = []
    with tempfile.TemporaryDirectory() as folder, EmbeddedChain() as chain:
        trial = set_up(Path(folder), chain.url, config, list(nodes), model=first, holders=(2, 3))
        own = {
            name: trial.contributors[name].to_mapping() | dict(more) for name, more in nodes.items()
        }
        holders = [dict(settings.to_mapping()) for settings in trial.key_holders.values()]
        plain = _grid(plain_app, list(own.values()))
        secure = _grid(secure_app, [*own.values(), *holders])
        fedavg = FedAvg(fraction_evaluate=0.0)
        coordinator = Coordinator(Party.connect(trial.coordinator))
        encrypted = EncryptedFedAvg(coordinator, report=reports.append)
        arrays = to_arrays(first)
        # The first round of each loads what is loaded once; it is not counted.
        for number in range(1, rounds + 2):
            started = time.perf_counter()
            sent = list(fedavg.configure_train(number, arrays, ConfigRecord(), plain))
            for message in sent:  # the shipped app asks for which round it trains
                message.content.update(instruction(coordinator.party.context(number)))
            averaged, _ = fedavg.aggregate_train(number, plain.send_and_receive(sent))
            plain_s.append(time.perf_counter() - started)
            assert averaged is not None
            arrays = averaged
            started = time.perf_counter()
            result = encrypted.start(secure, num_rounds=number)
            secure_s.append(time.perf_counter() - started)
        # Both did the same work: their models differ by the quantisation only.
        ours, theirs = from_arrays(result.arrays), from_arrays(arrays)
        apart = max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours)
        moved = max(float(np.abs(theirs[name] - first[name]).max()) for name in ours)
        assert apart < 0.1 * moved, (apart, moved)
        assert digest(ours) == reports[-1].model_digest
    size = count(first)
    counted = reports[1:]
    return {
        "parameters": size,
        "contributors": len(nodes),
        "bytes_per_update": counted[0].update_bytes,
        "bytes_per_parameter": counted[0].update_bytes / size,
        "encrypt_s_per_contributor": statistics.median(
            report.metrics["encrypt_s"] for report in counted
        ),
        "plain_round_s": plain_s[1:],
        "encrypted_round_s": secure_s[1:],
        "encrypted_steps_s": {
            name: statistics.median(report.seconds[name] for report in counted)
            for name in counted[0].seconds
        },
        "ratio": statistics.median(secure_s[1:]) / statistics.median(plain_s[1:]),
        "largest_difference": apart,
        "largest_movement": moved,
    }


def _grid(app: ClientApp, nodes: list[dict[str, str | int]]) -> InProcessGrid:
    return InProcessGrid(
        {
            number: (app, Context(1, number, dict(node), RecordDict(), {}))
            for number, node in enumerate(nodes, start=1)
        }
    )


def show(name: str, found: dict[str, Any]) -> None:
    """One case as a table."""
    table = Table("step", "seconds", title=f"{name}: {found['parameters']:,} parameters")
    for step, seconds in found["encrypted_steps_s"].items():
        table.add_row(step, f"{seconds:.3f}")
    table.add_row("whole round, plain", f"{statistics.median(found['plain_round_s']):.3f}")
    table.add_row("whole round, encrypted", f"{statistics.median(found['encrypted_round_s']):.3f}")
    table.add_row("ratio", f"{found['ratio']:.3f}")
    table.add_row("bytes a parameter", f"{found['bytes_per_parameter']:.3f}")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=int, default=1_000_000)
    parser.add_argument("--contributors", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train-s", type=float, default=5.0, help="local training, about")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = (arguments.parameters, arguments.contributors, arguments.rounds, arguments.train_s)
    cases = {"large": large(*sizes), "demo": demo(arguments.rounds)}
    document = {
        "benchmark": "a whole round against plain FedAvg",
        "command": " ".join(["python", "benchmarks/round.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "bls": attestation.BACKEND,
        **cases,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(document, indent=1) + "\n")
    for name, found in cases.items():
        show(name, found)


if __name__ == "__main__":
    main()
