"""``ddcai head``: trained models to contracts that anyone may ask, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    AccountOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
)
from ddcai.cli.output import emit, emit_one, say
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.chain.classifier import Classifier
    from ddcai.chain.classifier_deployment import ClassifierDeployment
    from ddcai.models.heads.classifier import Rows
    from ddcai.models.heads.conversion import Converted

group = typer.Typer(
    help="Put a trained model on chain, ask it for free, and take it home.", no_args_is_help=True
)

HeadOption = Annotated[
    Path,
    typer.Option(
        "--deployment",
        envvar="DDCAI_HEAD",
        help="The model's deployment file, deployments/<chainId>-<name>.json.",
    ),
]


@group.command("deploy")
def deploy(
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            help="A .safetensors file (of `head export`, or with head.weight and head.bias), or "
            "module:function, a function of yours that returns a fitted scikit-learn estimator or "
            "a torch module. Pickles are never loaded: loading one runs what is in it.",
        ),
    ],
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            help="DensePerceptron, SparsePerceptron, NaiveBayes, NearestCentroid or "
            "SparseNearestCentroid; by default the one that fits, dense where two do.",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate", help="Of a Perceptron, in the trained model's own units; 1, or near."
        ),
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option(
            "--scale",
            help="Of a Perceptron: a power of two, the largest that fits by default. A smaller one "
            "rounds more, and leaves weights more room to learn.",
        ),
    ] = None,
    examples: Annotated[
        str | None,
        typer.Option(
            "--examples",
            help="Of a nearest centroid: how many examples each class's mean stands for, such as "
            "120,80; 1000 each by default.",
        ),
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option("--class", help="A class's name; give it once a class, in order."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Name of the deployment file: a-z, 0-9 and hyphens.")
    ] = "head",
    deployments: Annotated[
        Path, typer.Option("--deployments", help="Folder for the deployment file.")
    ] = Path("deployments"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would be and cost; send nothing.")
    ] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Deploy a trained model: convert, load in chunks, seal, verify its digest.

    Broken off, the same command goes on where it ended. The account owns the model, and alone
    may teach it.
    """
    from ddcai.chain.classifier_deployment import deploy_classifier, plan_classifier
    from ddcai.chain.deployment_file import check_name
    from ddcai.chain.node.connection import connect
    from ddcai.chain.transactions import Sender
    from ddcai.cli.parties import keystore_file, open_account, password

    check_name(name)
    options = {
        "kind": kind,
        "learning_rate": learning_rate,
        "scale": scale,
        "examples": None if examples is None else _numbers(examples),
        "class_names": class_name or None,
    }
    converted = _converted(from_, {key: one for key, one in options.items() if one is not None})
    model, plan = converted.model, plan_classifier(converted.model.twin)
    planned = {
        "kind": model.twin.kind,
        "features": model.twin.feature_limit,
        "classes": list(model.class_names),
        "parameter": model.twin.parameter,
        "learning_rate": converted.learning_rate,
        "scale": float(model.scale),
        "largest_rounding_error": converted.rounding,
        "digest": model.twin.digest(),
        "words": plan.words,
        "transactions": plan.chunks + 2,
        "gas_at_most": plan.gas,
    }
    if dry_run:
        emit_one(planned, format_)
        say("dry run: nothing was sent or written")
        return
    opened = open_account(keystore_file(keystore, account), password(password_file), account)
    say(
        f"planned: a {model.twin.kind} of {plan.words} words in {plan.chunks + 2} transactions, at "
        f"most {plan.gas} gas, largest rounding error {converted.rounding:.3g}; digest "
        f"0x{model.twin.digest().hex()}"
    )
    w3 = connect(rpc_url)
    deployed = deploy_classifier(
        w3,
        Sender(w3, opened),
        model.twin,
        name=name,
        class_names=model.class_names,
        scale=model.scale,
        folder=deployments,
        progress=lambda loaded, count: say(f"loaded {loaded} of {count} words"),
    )
    where = {
        "address": deployed.address,
        "chain_id": deployed.chain_id,
        "deployment": deployments / f"{deployed.chain_id}-{deployed.name}.json",
        "gas_used": deployed.gas_used,
    }
    emit_one(where | planned, format_)


@group.command("show")
def show(
    deployment: HeadOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Show a model: what it is, who may teach it, whether it has learned since it was sealed."""
    found, contract = _connect(deployment, rpc_url)
    is_sealed, loaded, count, owner = contract.state()
    now = contract.twin().digest() if is_sealed else None
    emit_one(
        {
            "address": found.address,
            "kind": found.kind,
            "features": found.features,
            "classes": found.class_names,
            "parameter": found.parameter,
            "scale": float(found.scale),
            "owner": owner,
            "sealed": is_sealed,
            "words_loaded": loaded,
            "words": count,
            "digest": found.digest,
            "digest_now": now,
        },
        format_,
    )


@group.command("predict")
def predict(
    deployment: HeadOption,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features",
            help="Rows: .csv or .npz, numbers in [-1, 1] (dense) or 0 and 1 (sparse); or .txt, a "
            "line a row, the indices that are present.",
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            help="A text, hashed to 1,024 words as in ddcai.data.sms, for a sparse model of that "
            "many features; give it once a text.",
        ),
    ] = None,
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Read the model from the chain and compute here: the answers are equal, and the "
            "node does not see the rows.",
        ),
    ] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Predict rows by the contract: a free call."""
    found, contract = _connect(deployment, rpc_url)
    rows = _rows(found, features, text or [])
    if local:
        twin = contract.twin()
        classes, scores = twin.predict(rows), twin.scores(rows)
    else:
        classes, scores = contract.predict(rows)
    names = found.class_names
    answers = [
        {
            "row": index + 1,
            "class": names[int(chosen)],
            **{f"score {name}": int(score) for name, score in zip(names, line, strict=True)},
        }
        for index, (chosen, line) in enumerate(zip(classes, scores, strict=True))
    ]
    emit(answers, format_)
    say(f"scores are integers: divided by {found.scale:.15g} they are the trained model's")


@group.command("export")
def export(
    deployment: HeadOption,
    out: Annotated[Path, typer.Option("--out", help="The new .safetensors file.")],
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Write the model as it stands on chain to a file that `head deploy` takes."""
    from ddcai.models.heads import model_file

    if out.suffix != ".safetensors" or out.exists():
        raise ConfigurationError(f"out is {str(out)!r}: give a new file, ending in .safetensors")
    found, contract = _connect(deployment, rpc_url)
    twin = contract.twin()
    model_file.save(out, model_file.Model(twin, tuple(found.class_names), float(found.scale)))
    emit_one({"file": out, "kind": twin.kind, "digest": twin.digest()}, format_)


def _connect(deployment: Path, rpc_url: str) -> tuple[ClassifierDeployment, Classifier]:
    from ddcai.chain.classifier import Classifier
    from ddcai.chain.classifier_deployment import ClassifierDeployment
    from ddcai.chain.node.connection import connect

    found = ClassifierDeployment.load(deployment)
    contract = Classifier(connect(rpc_url, chain_id=found.chain_id), found.address)
    shape = contract.shape
    if (shape.kind, shape.features, shape.classes, shape.parameter) != (
        found.kind,
        found.features,
        len(found.class_names),
        found.parameter,
    ):
        raise ConfigurationError(
            f"{deployment} does not fit the contract at {found.address}, a {shape.kind} of "
            f"{shape.features} features and {shape.classes} classes: get the file again from who "
            "deployed it"
        )
    return found, contract


def _converted(from_: str, options: dict[str, Any]) -> Converted:
    from ddcai.configuration import ENTRY_POINT
    from ddcai.models import state
    from ddcai.models.entry_points import resolve
    from ddcai.models.heads import model_file
    from ddcai.models.heads.conversion import Converted, convert

    if from_.endswith(".safetensors"):
        if not model_file.is_model_file(from_):
            return convert(state.load(from_)[0], **options)
        if options:
            raise ConfigurationError(
                f"{', '.join(sorted(options))}: {from_} holds integers already, and says what they "
                "are; leave these options out"
            )
        return Converted(model_file.load(from_), 0.0, None)
    if ENTRY_POINT.fullmatch(from_) is None:
        raise ConfigurationError(
            f"from is {from_!r}: give a .safetensors file, or module:function that returns the "
            "fitted model; a pickle is never loaded, since loading one runs what is in it"
        )
    function = resolve(from_)
    try:
        trained = function()
    except Exception as error:  # a user's function may raise anything
        raise ConfigurationError(f"{from_} failed: {type(error).__name__}: {error}") from error
    return convert(trained, **options)


def _rows(found: ClassifierDeployment, features: Path | None, texts: list[str]) -> Rows:
    from ddcai.data import rows, sms
    from ddcai.models.heads import TWINS

    dense = TWINS[found.kind].dense
    if (features is None) == (not texts):
        raise ConfigurationError("give rows by --features, or by --text; one of the two")
    if features is not None:
        return rows.load_rows(features, dense=dense, features=found.features)
    if dense or found.features != sms.WIDTH:
        raise ConfigurationError(
            f"--text hashes to {sms.WIDTH} sparse features, but this {found.kind} has "
            f"{found.features}: give --features"
        )
    return rows.rows_of(sms.hash_features(texts), "text")


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigurationError(f"examples is {text!r}: give a number a class, such as 120,80")
    return [int(part) for part in parts]
