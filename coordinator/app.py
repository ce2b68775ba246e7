"""The coordinator: runs a federation's rounds and keeps a record of them.

Run configuration (or the environment, for paths): the settings of
`ddcai.rounds.party.Settings`, and ``num-server-rounds``, ``output`` (a folder for
``metrics.jsonl`` and ``model.safetensors``), ``test-data`` (a file to measure the model on
after each round, where the coordinator has one), ``root-set`` (the root set's file, where
updates are judged), ``join-timeout-s``, ``leave-out-key-holders`` (accounts, between commas, of
key holders that are not asked), ``tensorboard`` (whether the numbers go to event files too),
``require-node-keys`` (whether only accounts that bound a node
key on chain take part).

It holds its Ethereum account and no decryption key.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flwr.app import ArrayRecord, Context, MetricRecord, UserConfig
from flwr.serverapp import Grid, ServerApp

from coordinator.journal import Journal
from coordinator.tensorboard import Scalars
from ddcai import event_log
from ddcai.errors import ConfigurationError
from ddcai.flower import EncryptedFedAvg
from ddcai.flower.messages import from_arrays
from ddcai.models import state
from ddcai.models.anchor import read_root_set
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import PATIENCE_S, Party, Settings

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs the rounds; raises, so that Flower marks the run as failed, if one cannot go on."""
    event_log.configure()  # Flower shows its own log only
    config = context.run_config
    rounds = int(_number(config, "num-server-rounds", 10, least=1))
    join_timeout_s = _number(config, "join-timeout-s", 300, least=0)
    left_out = str(config.get("leave-out-key-holders") or "")
    party = Party.connect(Settings.read(config), patience_s=PATIENCE_S)
    output = Path(str(config.get("output") or "."))
    output.mkdir(parents=True, exist_ok=True)
    scalars = Scalars(output) if config.get("tensorboard") is True else None
    journal = Journal(output / "metrics.jsonl", scalars)
    strategy = EncryptedFedAvg(
        _coordinator(party, str(config.get("root-set") or "")),
        join_timeout_s=join_timeout_s,
        leave_out=frozenset(left_out.split(",")) if left_out else frozenset(),
        require_node_keys=config.get("require-node-keys") is True,
        report=journal.report,
    )
    result = strategy.start(
        grid,
        num_rounds=rounds,
        evaluate_fn=_evaluation(party, str(config.get("test-data") or ""), journal),
    )
    model = from_arrays(result.arrays)
    metadata = {"federation": party.federation.address, "digest": state.digest(model).hex()}
    state.save(output / "model.safetensors", model, metadata)


def _coordinator(party: Party, root_set: str) -> Coordinator:
    return Coordinator(party, read_root_set(root_set) if root_set else None)


def _number(config: UserConfig, name: str, default: float, *, least: float) -> float:
    value = config.get(name, default)
    if isinstance(value, bool | str) or not least <= value < float("inf"):
        raise ConfigurationError(f"{name} is {value!r}: give a number from {least:g} up")
    return value


def _evaluation(
    party: Party, path: str, journal: Journal
) -> Callable[[int, ArrayRecord], MetricRecord | None] | None:
    if not path:
        return None
    from ddcai.data.loading import load
    from ddcai.models.encoder import build, load_state
    from ddcai.models.training import evaluate

    x, y = load(path, party.config, for_training=False)

    def measure(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        module = build(party.config)
        load_state(module, from_arrays(arrays))
        found = evaluate(module, x, y, head_scale=party.config.model.head_scale)
        journal.evaluation(server_round, found.accuracy, found.log_loss)
        return MetricRecord({"accuracy": found.accuracy, "log_loss": found.log_loss})

    return measure
