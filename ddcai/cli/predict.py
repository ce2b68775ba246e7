"""``ddcai predict``: the local encoder, then the head on chain, or its twin in integers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    DeploymentOption,
    FormatOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit, say
from ddcai.cli.published import current_digest, published_model
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.models.heads import Head


def predict(
    data: Annotated[
        Path, typer.Option("--data", help="Rows to predict: .csv, .parquet or .npz; no label.")
    ],
    deployment: DeploymentOption,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Compute the head here, with the contract's own integers. With --model or "
            "--digest it needs no chain.",
        ),
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="safetensors file of the model, in place of the store's."),
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option(
            "--digest", help="With --local: digest of the model; by default the chain's current."
        ),
    ] = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Predict rows: free, and the same with and without --local.

    Where contributions teach the head between rounds, it is the live head that answers; with
    --model or --digest, --local answers from that model's own.

    The rows themselves never leave: the chain's node sees the encoder's outputs alone (and
    with --local, nothing).
    """
    from ddcai.chain.deploy import Deployment
    from ddcai.configuration import FederationConfig
    from ddcai.data.loading import load_features
    from ddcai.models import heads
    from ddcai.models.encoder import build, load_state

    if digest is not None and not local:
        raise ConfigurationError("--digest goes with --local: the chain has only the current model")
    found = Deployment.load(deployment)
    config = FederationConfig.from_json(found.config)
    rows = load_features(data, config)
    expected = _digest(digest) if digest is not None else None
    if expected is None and not (local and model is not None):
        expected = current_digest(found.federation, found.chain_id, rpc_url)
    state = published_model(model, expected, store)
    module = build(config)
    load_state(module, state)
    features = heads.features(module, rows)
    if local:
        head = heads.head_of(state, config)
        if not (digest is not None or model is not None):
            head = _live(found.head, found.chain_id, rpc_url) or head
        scores = head.scores(features)
        classes = scores.argmax(axis=1)
    else:
        from ddcai.chain.head import Head
        from ddcai.chain.node.connection import connect

        contract = Head(connect(rpc_url, chain_id=found.chain_id), found.head)
        classes, scores = contract.predict(features)
    names = config.task.classes
    answers = [
        {
            "row": index + 1,
            "class": names[int(chosen)],
            **{f"score {name}": int(score) for name, score in zip(names, line, strict=True)},
        }
        for index, (chosen, line) in enumerate(zip(classes, scores, strict=True))
    ]
    emit(answers, format_)
    scale = heads.FEATURE_SCALE * config.model.head_scale
    say(f"scores are integers: divided by {scale} they are logits")


def _live(address: str, chain_id: int, rpc_url: str) -> Head | None:
    """The head as contributions have taught it; None for one that rounds alone write."""
    from ddcai.chain.classifier import Classifier
    from ddcai.chain.head import teaching
    from ddcai.chain.node.connection import connect
    from ddcai.models.heads import Head

    w3 = connect(rpc_url, chain_id=chain_id)
    if teaching(w3, address) is None:
        return None
    classifier = Classifier(w3, address)
    shape = classifier.shape
    return Head.from_words(classifier.words(), shape.features, shape.classes)


def _digest(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise ConfigurationError(f"digest is {text!r}: give 64 hex digits")
    return digest
