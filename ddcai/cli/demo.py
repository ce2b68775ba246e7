"""``ddcai demo``: the main job in one process, on four real hospitals and one that turns labels.

Real chain, contracts, ciphertexts, keys and blobs; only Flower's transport is left out, and
all parties share one machine. All rounds are one window, and the chain's clock is moved past the
time for disputes, so that deposits are paid out. Ends with the audit: exit code 0 only if every
claim passes.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from flwr.app import ArrayRecord, Context, MetricRecord, RecordDict
from rich.console import Console

from clients.app import app as client_app
from ddcai.assessment.root_set import commitment
from ddcai.audit.assessment_queries import AssessmentQueries
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.indexed import stored_history
from ddcai.audit.ledger import Ledger
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.chain.records import WindowRules
from ddcai.cli.demo_data import FLIPPER, Examples, demo_data
from ddcai.cli.demo_tables import (
    Finished,
    print_accuracy,
    print_claims,
    print_deposits,
    print_rounds,
    print_verdicts,
)
from ddcai.cli.progress import Progress
from ddcai.configuration import FederationConfig
from ddcai.data.heart_disease import SITES, judged_config
from ddcai.data.loading import load
from ddcai.flower import EncryptedFedAvg, InProcessGrid, RoundReport
from ddcai.flower.messages import from_arrays
from ddcai.models.anchor import root_set_to_blob
from ddcai.models.encoder import build, load_state
from ddcai.models.training import evaluate, train
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from ddcai.rounds.settling import settle_windows
from ddcai.rounds.trial import Trial, set_up
from ddcai.rounds.verdicts import WindowJudge, WindowVerdicts

_DISPUTE_S = 86_400


def run(*, rounds: int, seed: int, folder: Path | None, out: Console, talk: Console) -> bool:
    """Runs the demo; whether every claim of the audit passed.

    Args:
        rounds: how many, up to 255.
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
        with Progress("accounts, a key of 2 of 3 holders, contracts", None, console=talk):
            data = demo_data(folder, seed)
            config = judged_config(commitment(*data.root_set).hex(), rounds)
            trial = set_up(
                folder,
                chain.url,
                config,
                [*SITES, FLIPPER],
                submit_period_s=600,
                min_contributors=2,
                holders=(2, 3),
                windows=WindowRules(window_rounds=rounds, dispute_period_s=_DISPUTE_S),
            )
        alone = {}
        with Progress("each site alone", len(SITES), "sites", console=talk) as progress:
            for name in SITES:
                alone[name] = _alone(config, data.files[name], data.test, rounds, seed)
                progress.advance()
        started = time.perf_counter()
        with Progress("federated rounds", rounds, "rounds", console=talk) as progress:
            coordinator = Coordinator(
                Party.connect(trial.coordinator), root_set_to_blob(*data.root_set)
            )
            finished = _federate(
                trial, coordinator, data.files, data.test, seed, rounds, progress.advance
            )
            verdicts = _settle(trial, coordinator.party)
        seconds = time.perf_counter() - started
        names = {Party.connect(s).address: name for name, s in trial.contributors.items()}
        print_rounds(out, finished, _gas(trial, folder / "audit.sqlite"))
        print_accuracy(out, alone, finished[-1].accuracy, len(data.test[1]))
        print_verdicts(out, verdicts, names)
        with stored_history(connect(chain.url), trial.deployment.federation) as (history, _):
            print_deposits(out, AssessmentQueries(history).payouts(1), names)
            talk.print(
                f"{rounds} rounds in {seconds:.1f} s; now the audit, from chain and blobs alone"
            )
            return print_claims(out, verify(history, trial.store))


def _alone(config: FederationConfig, path: Path, pooled: Examples, rounds: int, seed: int) -> float:
    """What a site reaches with the same network, recipe and number of epochs by itself."""
    x, y = load(path, config)
    module = build(config)
    for number in range(rounds):
        train(module, x, y, config.training, seed=seed * 1000 + number)
    return evaluate(module, *pooled, head_scale=config.model.head_scale).accuracy


def _federate(
    trial: Trial,
    coordinator: Coordinator,
    files: dict[str, Path],
    pooled: Examples,
    seed: int,
    rounds: int,
    advance: Callable[[], None],
) -> list[Finished]:
    nodes = {}
    parties = {**trial.contributors, **trial.key_holders}
    for node, (name, settings) in enumerate(parties.items(), start=1):
        own: dict[str, str | int | float | bool] = dict(settings.to_mapping())
        own |= {"data": str(files.get(name, "")), "training-seed": seed * 100 + node}
        nodes[node] = (client_app, Context(1, node, own, RecordDict(), {}))
    config = coordinator.party.config
    accuracies: dict[int, float] = {}
    reports: list[RoundReport] = []

    def measure(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        module = build(config)
        load_state(module, from_arrays(arrays))
        found = evaluate(module, *pooled, head_scale=config.model.head_scale)
        accuracies[server_round] = found.accuracy
        return MetricRecord({"accuracy": found.accuracy})

    def report(done: RoundReport) -> None:
        reports.append(done)
        advance()

    strategy = EncryptedFedAvg(coordinator, join_timeout_s=10, report=report)
    while len(reports) < rounds:  # a round of which too few updates pass the gate is cancelled
        last = coordinator.party.federation.last_round() + rounds - len(reports)
        strategy.start(InProcessGrid(nodes), num_rounds=last, evaluate_fn=measure)
    return [Finished(report=item, accuracy=accuracies[item.round]) for item in reports]


def _gas(trial: Trial, path: Path) -> dict[int, int]:
    """Of each round, by number, as the audit's index has it."""
    address = trial.deployment.federation
    with Index(path, writable=True) as index:
        Sync(index, connect(trial.coordinator.rpc_url), address).run()
    with Ledger.open(path) as ledger:
        return {row.number: row.gas for row in ledger.rounds()}


def _settle(trial: Trial, party: Party) -> WindowVerdicts:
    """Lets the time for disputes pass; everybody takes what is its own."""
    w3 = connect(trial.coordinator.rpc_url)
    request(w3, "evm_increaseTime", [_DISPUTE_S + 1])
    request(w3, "evm_mine", [])
    for settings in (*trial.contributors.values(), trial.coordinator):
        own = Party.connect(settings)
        settle_windows(own.federation.assessment(), own.address)
    judge = WindowJudge(party)
    window = judge.assessment.window(1)
    return judge.check(window, window.scores_digest)
