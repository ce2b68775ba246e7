"""A whole round against contributors and parameters: seconds, bytes, gas, memory, and their growth.

    python benchmarks/scale.py [--quick] [--again] [--output FILE] [--plot FILE]

One round each of a federation with 2 of 3 key holders on a play chain: the strategy as it ships in
a process of its own, which is the coordinator, and every contributor and key holder behind the mod
in another, with real keys, ciphertexts, transactions and signatures. Training is left out: a site
moves the model at random. Messages cross a pipe in Flower's wire form and are counted there. Each
point is a fresh pair of processes, and is saved as soon as it is measured; points that the file has
already are not measured again. CPU seconds are the numbers to trust, since others use the cores.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "scale.json"
PLOT = HERE.parent / "docs" / "scale.png"
BFV, COMPACT = "bfv-8192-3x20", "compact-64-2x25"
CLASSES, FEATURES, INPUTS = 10, 64, 512
HOLDERS = (2, 3)
EXAMPLES = 1000
CONTRIBUTORS = (4, 16, 64, 200, 1000)
PARAMETERS = (10_000, 100_000, 1_000_000, 10_000_000)
# For everybody to answer, and for the round.
PERIOD_S = 10**5
# What is fitted and drawn of a point; the rest describes it.
MEASURED = {
    "coordinator_cpu_s": "coordinator, CPU s",
    "contributor_cpu_s": "each contributor, CPU s",
    "holder_cpu_s": "each key holder, CPU s",
    "wall_s": "round, wall s",
    "bytes_up": "to the coordinator, bytes",
    "bytes_down": "from the coordinator, bytes",
    "gas": "gas of all",
    "coordinator_peak_mb": "coordinator's peak, MB",
}


# What runs in the coordinator's process.


def _coordinate(pipe: Connection, settings: dict[str, str]) -> None:
    """One round by the shipped strategy; then what it cost."""
    from ddcai.flower import EncryptedFedAvg
    from ddcai.rounds.coordinator import Coordinator
    from ddcai.rounds.party import Party, Settings

    reports: list[Any] = []
    grid = _pipe_grid(pipe)
    strategy = EncryptedFedAvg(
        Coordinator(Party.connect(Settings.read(settings))), report=reports.append
    )
    libraries_mb = _status_mb("VmRSS")
    cpu, wall = time.process_time(), time.perf_counter()
    strategy.start(grid, num_rounds=1, timeout=PERIOD_S)
    cost = {
        "coordinator_cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "coordinator_peak_mb": _status_mb("VmHWM"),
        "libraries_mb": libraries_mb,
        "bytes_up": grid.up,
        "bytes_down": grid.down,
        "update_bytes": reports[0].update_bytes,
        "contributors_sealed": len(reports[0].contributors),
        "step_wall_s": reports[0].seconds,
    }
    pipe.send(("end", cost))


def _pipe_grid(pipe: Connection) -> Any:
    """Flower's Grid over a pipe, in the wire form of its messages."""
    from flwr.common.serde import message_from_proto, message_to_proto
    from flwr.proto.message_pb2 import Message as Proto

    from ddcai.flower import InProcessGrid

    class PipeGrid(InProcessGrid):
        up = down = 0

        def get_node_ids(self) -> Iterable[int]:
            pipe.send(("nodes", None))
            return list(pipe.recv())

        def push_messages(self, messages: Iterable[Any]) -> list[str]:
            identifiers = []
            for message in messages:
                identifier = str(next(self._ids))
                message.metadata.__dict__["_message_id"] = identifier
                pipe.send(("push", None))
                wire = message_to_proto(message).SerializeToString()
                pipe.send_bytes(wire)
                self.down += len(wire)
                identifiers.append(identifier)
            return identifiers

        def pull_messages(self, message_ids: Iterable[str]) -> list[Any]:
            pipe.send(("pull", list(message_ids)))
            found = []
            for _ in range(pipe.recv()):
                wire = pipe.recv_bytes()
                self.up += len(wire)
                found.append(message_from_proto(Proto.FromString(wire)))
                del wire
            return found

    return PipeGrid({})


def _status_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    kb = next(line.split()[1] for line in status.splitlines() if line.startswith(field))
    return int(kb) * 1024 / 1e6


# What runs beside it: everybody else.


class Everybody:
    """Contributors and key holders as apps behind the mod; the CPU that their answers take."""

    def __init__(self, settings: list[dict[str, str]], contributors: int) -> None:
        from flwr.app import Context, RecordDict

        from ddcai.flower import InProcessGrid

        app = _app()
        self._grid = InProcessGrid(
            {
                number: (app, Context(1, number, dict(own), RecordDict(), {}))
                for number, own in enumerate(settings, start=1)
            }
        )
        self._contributors = contributors
        self._replies: dict[str, bytes] = {}
        self.cpu_s: Counter[str] = Counter()

    def serve(self, pipe: Connection) -> dict[str, Any]:
        """Answers until the coordinator's end, and returns what it cost that one."""
        while True:
            asked, detail = pipe.recv()
            if asked == "end":
                return dict(detail)
            if asked == "nodes":
                pipe.send(list(self._grid.get_node_ids()))
            elif asked == "push":
                self._answer(pipe.recv_bytes())
            else:
                ready = [one for one in detail if one in self._replies]
                pipe.send(len(ready))
                for one in ready:
                    pipe.send_bytes(self._replies.pop(one))

    def _answer(self, wire: bytes) -> None:
        from flwr.common.serde import message_from_proto, message_to_proto
        from flwr.proto.message_pb2 import Message as Proto

        message = message_from_proto(Proto.FromString(wire))
        identifier, node = message.metadata.message_id, message.metadata.dst_node_id
        started = time.process_time()
        (reply,) = self._grid.send_and_receive([message])
        role = "contributor" if node <= self._contributors else "holder"
        self.cpu_s[role] += time.process_time() - started
        reply.metadata.__dict__["_message_id"] = f"reply {identifier}"
        reply.metadata.__dict__["_reply_to_message_id"] = identifier
        self._replies[identifier] = message_to_proto(reply).SerializeToString()


def _app() -> Any:
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    from ddcai.flower import SecureMod
    from ddcai.flower.messages import ARRAYS, METRICS, from_arrays, record_of, to_arrays

    secure = SecureMod()
    app = ClientApp(mods=[secure])
    secure.register(app)

    @app.train()
    def train(message: Any, context: Any) -> Any:
        arrays = record_of(message.content, ARRAYS, ArrayRecord)
        assert arrays is not None
        rng = np.random.default_rng(context.node_id)
        moved = {
            name: value + (rng.random(value.shape, np.float32) - np.float32(0.5)) / 50
            for name, value in from_arrays(arrays).items()
        }
        metrics = MetricRecord({"num-examples": EXAMPLES})
        return Message(RecordDict({ARRAYS: to_arrays(moved), METRICS: metrics}), reply_to=message)

    return app


def model(parameters: int) -> dict[str, Any]:
    """About so many random parameters, the last layer 10 x 64."""
    hidden = max(1, round(parameters / (INPUTS + FEATURES + 1)))
    rng = np.random.default_rng(0)
    shapes = {
        "0.weight": (hidden, INPUTS),
        "0.bias": (hidden,),
        "2.weight": (FEATURES, hidden),
        "2.bias": (FEATURES,),
        "4.weight": (CLASSES, FEATURES),
        "4.bias": (CLASSES,),
    }
    return {
        name: (rng.random(shape, np.float32) - np.float32(0.5)) / 8
        for name, shape in shapes.items()
    }


def measure(parameters: int, contributors: int, set_id: str) -> dict[str, Any]:
    """One point, in this process and another."""
    from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
    from ddcai.chain.node.embedded import EmbeddedChain
    from ddcai.configuration import Aggregation, Encryption, FederationConfig, Task
    from ddcai.rounds.trial import set_up

    config = FederationConfig(
        name="scale",
        task=Task(label="y", classes=tuple(map(str, range(CLASSES))), dataset="made:up"),
        aggregation=Aggregation(clip_norm=100.0, value_range=0.05, max_examples=EXAMPLES),
        encryption=Encryption(parameter_set=set_id, max_contributors=contributors),
    )
    kind = EmbeddedChain if find_anvil() is None else ManagedAnvil
    with tempfile.TemporaryDirectory() as folder, kind() as chain:
        founding = time.perf_counter()
        made = set_up(
            Path(folder) / "federation",
            chain.url,
            config,
            [f"site-{number}" for number in range(contributors)],
            model=model(parameters),
            holders=HOLDERS,
            submit_period_s=PERIOD_S,
            finalize_period_s=PERIOD_S,
        )
        founding = time.perf_counter() - founding
        settings = [one.to_mapping() for one in made.contributors.values()]
        settings += [one.to_mapping() for one in made.key_holders.values()]
        before = _block_number(chain.url)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        coordinator = context.Process(
            target=_coordinate, args=(theirs, made.coordinator.to_mapping()), daemon=True
        )
        coordinator.start()
        theirs.close()  # so that its end shows here
        everybody = Everybody(settings, contributors)
        cost = everybody.serve(ours)
        coordinator.join()
        gas, largest = _gas(chain.url, before)
    assert cost["contributors_sealed"] == contributors, cost
    return {
        "set": set_id,
        "contributors": contributors,
        "parameters": parameters,
        **cost,
        "contributor_cpu_s": everybody.cpu_s["contributor"] / contributors,
        "holder_cpu_s": everybody.cpu_s["holder"] / HOLDERS[1],
        "gas": sum(gas.values()),
        "gas_by_call": dict(gas),
        "gas_of_largest_transaction": largest,
        "founding_wall_s": founding,
        "chain": kind.__name__,
        "load_average": os.getloadavg()[0],
    }


def _block_number(url: str) -> int:
    from ddcai.chain.node.connection import connect, request

    return int(request(connect(url), "eth_blockNumber", []), 16)


def _gas(url: str, after: int) -> tuple[Counter[str], int]:
    """Gas by function since a block, and the most that one transaction took."""
    from ddcai.chain import abi_errors, artifact
    from ddcai.chain.node.connection import connect, request_many

    entries = [one for one in artifact.load("Federation").abi if one["type"] == "function"]
    names = {"0x" + abi_errors.selector(one).hex(): str(one["name"]) for one in entries}
    w3, gas, largest = connect(url), Counter[str](), 0
    numbers = range(after + 1, _block_number(url) + 1)
    blocks = request_many(w3, [("eth_getBlockByNumber", [hex(one), True]) for one in numbers])
    sent = [one for block in blocks for one in block["transactions"]]
    asked = [("eth_getTransactionReceipt", [one["hash"]]) for one in sent]
    for one, receipt in zip(sent, request_many(w3, asked), strict=True):
        used = int(receipt["gasUsed"], 16)
        gas[names.get(one["input"][:10], "other")] += used
        largest = max(largest, used)
    return gas, largest


# The points, the fit and the plot.


def points(quick: bool) -> list[tuple[int, int, str]]:
    """(parameters, contributors, set), the cheap ones first."""
    if quick:
        return [(1000, 3, COMPACT)]
    found = [(PARAMETERS[0], n, chosen) for n in CONTRIBUTORS[:4] for chosen in (COMPACT, BFV)]
    found += [(p, CONTRIBUTORS[0], chosen) for p in PARAMETERS[1:] for chosen in (COMPACT, BFV)]
    return [*found, (PARAMETERS[0], CONTRIBUTORS[-1], COMPACT)]


def growth(found: list[dict[str, Any]], along: str) -> dict[str, dict[str, float]]:
    """By set and measure, the exponent b of a x**b, by least squares of the logarithms; along
    contributors at the fewest parameters, or the other way round."""
    other = {"contributors": "parameters", "parameters": "contributors"}[along]
    fitted: dict[str, dict[str, float]] = {}
    for set_id in sorted({one["set"] for one in found}):
        ours = [one for one in found if one["set"] == set_id]
        ours = [one for one in ours if one[other] == min(each[other] for each in ours)]
        x = [math.log(one[along]) for one in ours]
        if len(set(x)) < 2:
            continue
        fitted[set_id] = {
            name: round(float(np.polyfit(x, [math.log(one[name]) for one in ours], 1)[0]), 3)
            for name in MEASURED
        }
    return fitted


def tables(found: list[dict[str, Any]]) -> list[str]:
    """The points, and how they grow, as rows of two Markdown tables."""
    rows = ["| contributors | parameters | set | " + " | ".join(MEASURED.values()) + " |"]
    rows.append("|---" * (len(MEASURED) + 3) + "|")
    for one in sorted(found, key=lambda one: (one["parameters"], one["contributors"], one["set"])):
        numbers = [
            f"{one[name]:,.0f}" if one[name] >= 1000 else f"{one[name]:.3g}" for name in MEASURED
        ]
        start = f"| {one['contributors']:,} | {one['parameters']:,} | {one['set']} | "
        rows.append(start + " | ".join(numbers) + " |")
    rows += ["| growth with | set | " + " | ".join(MEASURED.values()) + " |"]
    rows.append("|---" * (len(MEASURED) + 2) + "|")
    for along in ("contributors", "parameters"):
        for set_id, fitted in growth(found, along).items():
            exponents = " | ".join(f"{fitted[name]:.2f}" for name in MEASURED)
            rows.append(f"| {along} | {set_id} | {exponents} |")
    return rows


def plot(found: list[dict[str, Any]], path: Path) -> None:
    """Each measure against contributors and parameters, both axes logarithmic."""
    from matplotlib.figure import Figure

    shown = [name for name in MEASURED if name != "wall_s"]
    figure = Figure(figsize=(13, 6), layout="constrained")
    axes = figure.subplots(2, 4)
    panels = [("contributors", name) for name in (*shown[:1], "bytes_up", "gas")]
    panels += [("contributors", "coordinator_peak_mb")]
    panels += [("parameters", name) for name in ("coordinator_cpu_s", "contributor_cpu_s")]
    panels += [("parameters", name) for name in ("bytes_up", "coordinator_peak_mb")]
    for axis, (along, name) in zip(axes.flat, panels, strict=True):
        other = {"contributors": "parameters", "parameters": "contributors"}[along]
        measured: set[int] = set()
        for set_id, style in ((COMPACT, "o-"), (BFV, "s--")):
            ours = [one for one in found if one["set"] == set_id]
            ours = [one for one in ours if one[other] == min(each[other] for each in ours)]
            line = sorted((one[along], one[name]) for one in ours)
            axis.loglog(*zip(*line, strict=True), style, label=set_id)
            measured |= {x for x, _ in line}
        axis.set_xlabel(along)
        axis.set_xticks(sorted(measured), [_short(x) for x in sorted(measured)])
        axis.set_xticks([], minor=True)
        axis.set_title(MEASURED[name], fontsize=10)
        axis.grid(alpha=0.3)
        if name == "coordinator_peak_mb":
            axis.set_ylim(100, 2000)
    axes.flat[0].legend(fontsize=8)
    figure.savefig(path, dpi=80)


def _short(count: int) -> str:
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:g}{letter}"
    return str(count)


def _save(path: Path, found: list[dict[str, Any]]) -> None:
    document = {
        "benchmark": "a round against contributors and parameters",
        "command": "python benchmarks/scale.py",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "key_holders": f"{HOLDERS[0]} of {HOLDERS[1]}",
        "growth": {along: growth(found, along) for along in ("contributors", "parameters")},
        "points": found,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _fresh(point: tuple[int, int, str]) -> dict[str, Any]:
    """A point in a process of its own."""
    command = [sys.executable, __file__, "--point", *map(str, point)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main(arguments: list[str] | None = None) -> None:
    """Measures the points that are not there yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one tiny point, in this process")
    parser.add_argument("--again", action="store_true", help="measure what is there already, too")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--plot", type=Path, help=f"also draw the curves, as in {PLOT.name}")
    parser.add_argument("--point", nargs=3, metavar=("PARAMETERS", "CONTRIBUTORS", "SET"))
    given = parser.parse_args(arguments)
    if given.point is not None:
        parameters, contributors, set_id = given.point
        print(json.dumps(measure(int(parameters), int(contributors), set_id)))
        return
    found: list[dict[str, Any]] = []
    if given.output.exists() and not given.again:
        found = json.loads(given.output.read_text())["points"]
    there = {(one["parameters"], one["contributors"], one["set"]) for one in found}
    for point in points(given.quick):
        if point in there:
            continue
        found.append(measure(*point) if given.quick else _fresh(point))
        _save(given.output, found)
        print(*point, {name: round(found[-1][name], 2) for name in MEASURED}, file=sys.stderr)
    print("\n".join(tables(found)))
    if given.plot is not None:
        plot(found, given.plot)


if __name__ == "__main__":
    main()
