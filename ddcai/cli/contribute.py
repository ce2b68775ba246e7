"""``ddcai contribute``: labelled samples to a trainer, for a deposit. They become public."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    AccountOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
)
from ddcai.cli.output import emit, say
from ddcai.cli.trainer import TrainerOption, ask, connect_trainer, remedy
from ddcai.errors import ConfigurationError, ContractReverted, DataError

if TYPE_CHECKING:
    from ddcai.chain.trainer_deployment import TrainerDeployment
    from ddcai.models.heads.classifier import Row

# Others may contribute between: the price of the first sample then is that of the others.
MARGIN = 1.1
_PUBLIC = (
    "features and labels become public, for ever, with this account's address: contribute nothing "
    "that must not be read by all"
)


def contribute(
    trainer: TrainerOption,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Labelled samples: .npz with x and y (as `data export` writes), or .tsv, a class, "
            "a tab and a text a line.",
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("--features", help="Rows without labels: files as for `head predict`."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", help="A text, hashed to 1,024 words; give it once a text."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="Class of all --features or --text; or one a sample."),
    ] = None,
    max_price_wei: Annotated[
        int | None,
        typer.Option(
            "--max-price-wei",
            min=0,
            help="Most to pay for all together; by default the price now and a tenth more.",
        ),
    ] = None,
    deadline_s: Annotated[
        int, typer.Option("--deadline-s", min=1, help="Seconds from now to be mined in.")
    ] = 600,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask whether the data may become public.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cost and the model's answers; send nothing.")
    ] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Teach a model labelled samples, in one transaction, for a deposit.

    The deposit comes back after a wait, while the model agrees with the labels: run
    `ddcai claims --watch`.
    """
    import time

    from ddcai.chain.transactions import ether
    from ddcai.cli.parties import keystore_file

    file = keystore_file(keystore, account)
    found, contract = connect_trainer(trainer, rpc_url, file, account, password_file)
    sender = contract.sender
    assert sender is not None
    release = contract.model_release()
    samples, labels = _samples(found, contract.model_features(), data, features, text or [], label)
    price = contract.incentive.batch_price_wei(len(samples))
    bound = int(price * MARGIN) if max_price_wei is None else max_price_wei
    owed = contract.incentive.owed_wei(sender.address)
    now = max(contract.block_time(), int(time.time()))
    say(f"warning: {_PUBLIC}")
    try:
        said = contract.predict_many(samples)
        call = {
            "release": release,
            "maximum_wei": bound,
            "deadline": now + deadline_s,
            "value_wei": max(0, bound - owed),
        }
        gas = contract.estimate(samples, labels, **call)
    except ContractReverted as error:
        raise remedy(error) from error
    fee = gas * sender.gas_price()
    say(
        f"{len(samples)} samples: deposit {ether(price)} now, at most {ether(bound)}; about {gas} "
        f"gas, at most {ether(fee)}. {ether(call['value_wei'])} is sent; what is above the price "
        "stays on the account with the incentive (`ddcai claims --withdraw`)"
    )
    names = found.classes
    rows = [
        {
            "sample": place + 1,
            "label": names[given] if names else given,
            "model_says": names[answer] if names else answer,
        }
        for place, (given, answer) in enumerate(zip(labels, said, strict=True))
    ]
    if dry_run:
        emit(rows, format_)
        say("dry run: nothing was sent")
        return
    if not yes:
        ask("make these samples public?")
    try:
        receipt = contract.teach(samples, labels, **call)
    except ContractReverted as error:
        raise remedy(error) from error
    made = contract.contributed_in(receipt)
    emit(
        [
            {"id": one.id, **row, "price_wei": one.price_wei, "tx_hash": one.tx_hash}
            for row, one in zip(rows, made, strict=True)
        ],
        format_,
    )


def _samples(
    found: TrainerDeployment,
    width: int,
    data: Path | None,
    features: Path | None,
    texts: list[str],
    label: list[str] | None,
) -> tuple[list[bytes], list[int]]:
    """Features in the model's byte form, and class numbers."""
    from ddcai.data import rows, sms
    from ddcai.models.heads import TWINS

    twin = TWINS[found.model_kind]
    given = [name for name, one in (("data", data), ("features", features), ("text", texts)) if one]
    if len(given) != 1:
        raise ConfigurationError("give samples by --data, by --features or by --text; one of them")
    needs_words = bool(texts) or (data is not None and data.suffix != ".npz")
    if needs_words and (twin.dense or width != sms.WIDTH):
        raise ConfigurationError(
            f"texts hash to {sms.WIDTH} sparse features, but this {found.model_kind} has {width}: "
            "give --features, or .npz as --data"
        )
    if data is not None:
        if label:
            raise ConfigurationError("--label goes with --features or --text: --data has labels")
        found_rows, labels = _labelled(found, data, width)
    else:
        found_rows = list(
            rows.load_rows(features, dense=twin.dense, features=width)
            if features is not None
            else rows.rows_of(sms.hash_features(texts), "text")
        )
        labels = _labels(found, label or [], len(found_rows))
    return [twin.bytes_of(row, width) for row in found_rows], labels


def _labelled(found: TrainerDeployment, data: Path, width: int) -> tuple[list[Row], list[int]]:
    from ddcai.data import rows, sms
    from ddcai.data.tables import read_npz
    from ddcai.models.heads import TWINS

    if data.suffix == ".npz":
        arrays = read_npz(data)
        if "y" not in arrays or arrays["y"].dtype.kind not in "iu" or arrays["y"].ndim != 1:
            raise DataError(f"{data} has no labels y: give integers, int64[n]")
        x = rows.load_rows(data, dense=TWINS[found.model_kind].dense, features=width)
        labels = [int(one) for one in arrays["y"]]
        if len(labels) != len(x):
            raise DataError(f"{data} has {len(x)} rows x and {len(labels)} labels y: give as many")
        return list(x), _labels(found, [str(one) for one in labels], len(x))
    try:
        lines = [one for one in data.read_text(encoding="utf-8").split("\n") if one.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {data}: {error}") from error
    split = [line.partition("\t") for line in lines]
    for number, (_, tab, _text) in enumerate(split, 1):
        if not tab:
            raise DataError(f"{data} line {number} has no tab: give a class, a tab, and the text")
    texts = [one for _, _, one in split]
    if not texts:
        raise DataError(f"{data} has no rows: there is nothing to contribute")
    labels = _labels(found, [one for one, _, _ in split], len(texts))
    return list(rows.rows_of(np.asarray(sms.hash_features(texts)), str(data))), labels


def _labels(found: TrainerDeployment, given: list[str], count: int) -> list[int]:
    if len(given) == 1:
        given = given * count
    if len(given) != count:
        raise ConfigurationError(f"{len(given)} labels for {count} samples: give one, or one each")
    numbers = []
    for one in given:
        if one in found.classes:
            numbers.append(found.classes.index(one))
        elif one.isdecimal() and (not found.classes or int(one) < len(found.classes)):
            numbers.append(int(one))
        else:
            classes = ", ".join(found.classes) or "a number"
            raise ConfigurationError(f"label is {one!r}: give a class of the model ({classes})")
    return numbers
