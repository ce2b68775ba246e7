"""A federated client: trains the federation's model on one site's file.

Node configuration (`ddcai client` writes it): the settings of `ddcai.rounds.party.Settings`,
and ``data`` (the site's file), ``label`` (the label column, where it has another name than in
the federation's configuration), ``training-seed`` (only for runs that must be repeatable; by
default the order of examples comes from the operating system).
"""

from __future__ import annotations

import os
import secrets
from functools import lru_cache

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from ddcai.chain.deploy import Deployment
from ddcai.configuration import FederationConfig
from ddcai.errors import ConfigurationError
from ddcai.flower import SecureMod
from ddcai.flower.fleet import node_config
from ddcai.flower.messages import ARRAYS, CONFIG, METRICS, from_arrays, round_context, to_arrays
from ddcai.rounds.party import Settings

secure = SecureMod()
app = ClientApp(mods=[secure])
secure.register(app)


@lru_cache(maxsize=16)
def _examples(
    path: str, changed_ns: int, label: str | None, deployment: str
) -> tuple[FederationConfig, NDArray[np.float32], NDArray[np.int64]]:
    from ddcai.data.loading import load

    config = FederationConfig.from_json(Deployment.load(deployment).config)
    x, y = load(path, config, label=label)
    return config, x, y


@app.train()
def train(message: Message, context: Context) -> Message:
    """One round of local training, by the federation's recipe."""
    # Flower starts a process for every message; only training waits for torch to load.
    from ddcai.models.encoder import build, load_state, state_of
    from ddcai.models.training import train as train_locally

    node = node_config(context.node_config)
    path = str(node.get("data", ""))
    if not path:
        raise ConfigurationError("data is not set: give the site's file with --data")
    label = str(node["label"]) if node.get("label") else None
    settings = Settings.read(node)
    try:
        changed_ns = os.stat(path).st_mtime_ns
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    config, x, y = _examples(path, changed_ns, label, settings.deployment)
    module = build(config)
    load_state(module, from_arrays(message.content.array_records[ARRAYS]))
    train_locally(
        module,
        x,
        y,
        config.training,
        seed=_seed(message, node.get("training-seed")),
        head_only=not config.training.trains_encoder(round_context(message.content).round),
    )
    arrays: ArrayRecord = to_arrays(state_of(module))
    content = RecordDict({ARRAYS: arrays, METRICS: MetricRecord({"num-examples": len(y)})})
    return Message(content, reply_to=message)


def _seed(message: Message, fixed: object) -> int:
    if fixed is None:
        return secrets.randbits(63)
    number = message.content.config_records[CONFIG]["server-round"]
    sequence = np.random.SeedSequence([int(str(fixed)), int(str(number))])
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
