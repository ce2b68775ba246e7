"""``ddcai demo``: the main job in one process, on four real hospitals.

Real chain, contracts, ciphertexts, keys and blobs; only Flower's transport is left out, and
all parties share one machine. Ends with the audit: exit code 0 only if every claim passes.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, MetricRecord, RecordDict
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from clients.app import app as client_app
from ddcai.audit.claims import Claim, Status
from ddcai.audit.queries import Queries
from ddcai.audit.reading import read_history
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.chain.transactions import ether
from ddcai.configuration import FederationConfig
from ddcai.data.heart_disease import SITES, TEST_SHARE, heart_config, site_path
from ddcai.data.loading import load
from ddcai.data.partition import stratified_split
from ddcai.flower import EncryptedFedAvg, InProcessGrid, RoundReport
from ddcai.flower.messages import from_arrays
from ddcai.models.encoder import build, load_state
from ddcai.models.training import evaluate, train
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from ddcai.rounds.trial import Trial, set_up

Examples = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class _Round:
    report: RoundReport
    accuracy: float


def run(*, rounds: int, seed: int, folder: Path | None, out: Console, talk: Console) -> bool:
    """Runs the demo; whether every claim of the audit passed.

    Args:
        rounds: how many.
        seed: of the split and of the training, so that a run can be repeated.
        folder: where everything is kept; a temporary folder by default.
        out, talk: consoles for results (stdout) and progress (stderr).
    """
    torch.set_num_threads(1)  # tiny models: threads only cost
    logging.getLogger("ddcai").addHandler(logging.NullHandler())
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ddcai-demo-")))
        chain = stack.enter_context(EmbeddedChain())
        progress = stack.enter_context(
            Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=talk,
            )
        )
        config = heart_config()
        step = progress.add_task("accounts, keys and contracts", total=None)
        pooled = _split_files(folder, config, seed)
        trial = set_up(folder, chain.url, config, SITES, submit_period_s=600)
        progress.update(step, total=1, completed=1)
        step = progress.add_task("each site alone", total=len(SITES))
        alone = {}
        for name in SITES:
            alone[name] = _alone(config, folder / name / "data.csv", pooled, rounds, seed)
            progress.advance(step)
        step = progress.add_task("federated rounds", total=rounds)
        started = time.perf_counter()
        finished = _federate(trial, pooled, rounds, seed, lambda: progress.advance(step))
        seconds = time.perf_counter() - started
        history = read_history(connect(chain.url), trial.deployment.federation)
        queries = Queries(history)
        names = {Party.connect(s).address: name for name, s in trial.contributors.items()}
        progress.stop()
        _print_rounds(out, finished, queries)
        _print_accuracy(out, alone, finished[-1].accuracy, len(pooled[1]))
        _print_deposits(out, queries, names)
        talk.print(f"{rounds} rounds in {seconds:.1f} s; now the audit, from chain and blobs alone")
        return _audit(out, verify(history, trial.store))


def _split_files(folder: Path, config: FederationConfig, seed: int) -> Examples:
    """Writes each hospital's training rows to a file of its own; returns the pooled rest."""
    tests: list[Examples] = []
    for name in SITES:
        x, y = load(site_path(name), config)
        training, testing = stratified_split(y, test_share=TEST_SHARE, seed=seed)
        header, *lines = site_path(name).read_text(encoding="utf-8").splitlines()
        (folder / name).mkdir(parents=True)
        text = "\n".join([header, *(lines[row] for row in training)]) + "\n"
        (folder / name / "data.csv").write_text(text, encoding="utf-8")
        tests.append((x[testing], y[testing]))
    return np.concatenate([x for x, _ in tests]), np.concatenate([y for _, y in tests])


def _alone(config: FederationConfig, path: Path, pooled: Examples, rounds: int, seed: int) -> float:
    """What a site reaches with the same network, recipe and number of epochs by itself."""
    x, y = load(path, config)
    module = build(config)
    for number in range(rounds):
        train(module, x, y, config.training, seed=seed * 1000 + number)
    return evaluate(module, *pooled, head_scale=config.model.head_scale).accuracy


def _federate(
    trial: Trial, pooled: Examples, rounds: int, seed: int, advance: Callable[[], None]
) -> list[_Round]:
    party = Party.connect(trial.coordinator)
    nodes = {}
    parties = {**trial.contributors, "key-holder": trial.key_holder}
    for node, (name, settings) in enumerate(parties.items(), start=1):
        own: dict[str, str | int | float | bool] = dict(settings.to_mapping())
        own |= {"data": str(trial.folder / name / "data.csv"), "training-seed": seed * 100 + node}
        nodes[node] = (client_app, Context(1, node, own, RecordDict(), {}))
    accuracies: dict[int, float] = {}
    reports: list[RoundReport] = []

    def measure(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        module = build(party.config)
        load_state(module, from_arrays(arrays))
        found = evaluate(module, *pooled, head_scale=party.config.model.head_scale)
        accuracies[server_round] = found.accuracy
        return MetricRecord({"accuracy": found.accuracy})

    def report(done: RoundReport) -> None:
        reports.append(done)
        advance()

    strategy = EncryptedFedAvg(Coordinator(party), join_timeout_s=10, report=report)
    strategy.start(InProcessGrid(nodes), num_rounds=rounds, evaluate_fn=measure)
    return [_Round(report=item, accuracy=accuracies[item.round]) for item in reports]


def _print_rounds(out: Console, finished: list[_Round], queries: Queries) -> None:
    table = Table(title="Rounds", title_justify="left")
    for column in ("round", "accuracy", "seconds", "bytes per contributor", "gas", "contributors"):
        table.add_column(column, justify="right")
    gas = {row.number: row.gas for row in queries.rounds()}
    for item in finished:
        report = item.report
        table.add_row(
            str(report.round),
            f"{item.accuracy:.3f}",
            f"{sum(report.seconds.values()):.2f}",
            f"{report.update_bytes:,}",
            f"{gas[report.round]:,}",
            str(len(report.contributors)),
        )
    out.print(table)
    steps = Table(title="Where the seconds go (mean of a round)", title_justify="left")
    steps.add_column("step")
    steps.add_column("seconds", justify="right")
    for name in finished[0].report.seconds:
        mean = sum(item.report.seconds[name] for item in finished) / len(finished)
        steps.add_row(name, f"{mean:.3f}")
    out.print(steps)


def _print_accuracy(
    out: Console, alone: Mapping[str, float], federated: float, patients: int
) -> None:
    table = Table(
        title=f"Accuracy on the {patients} held-out patients of all sites", title_justify="left"
    )
    table.add_column("trained by")
    table.add_column("accuracy", justify="right")
    for name, accuracy in alone.items():
        table.add_row(f"{name} alone", f"{accuracy:.3f}")
    table.add_row("the federation", f"{federated:.3f}", style="bold")
    out.print(table)


def _print_deposits(out: Console, queries: Queries, names: Mapping[str, str]) -> None:
    table = Table(title="Deposits", title_justify="left")
    table.add_column("contributor")
    table.add_column("account")
    for column in ("deposited", "refunded", "taken", "held"):
        table.add_column(column, justify="right")
    for row in queries.money():
        known = names.get(row.address)
        table.add_row(
            known or row.address,
            row.address if known else "",
            ether(row.deposited_wei),
            ether(row.refunded_wei),
            ether(row.taken_wei),
            ether(row.held_wei),
            style=None if known else "bold",
        )
    out.print(table)


def _audit(out: Console, claims: Iterable[Claim]) -> bool:
    """Prints one line a claim; whether all passed."""
    good = True
    for claim in claims:
        good = good and claim.status is Status.PASS
        where = "" if claim.round is None else f"round {claim.round}: "
        about = f" ({claim.subject})" if claim.subject else ""
        values = f"expected {_short(claim.expected)}, found {_short(claim.found)}"
        line = f"{claim.status.name}  {where}{claim.name}{about}: {values}"
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    out.print("Every claim passes." if good else "A claim FAILED.", style="bold")
    return good


def _short(value: str) -> str:
    """A digest as people compare it; anything else as it is."""
    digest = value.startswith("0x") and len(value) == 66
    return f"{value[:10]}...{value[-6:]}" if digest else value
