"""``ddcai contribute``: labelled samples to a trainer, for a deposit. They become public."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    AccountOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit, say
from ddcai.cli.samples import Target, encoded_samples, labelled_samples
from ddcai.cli.trainer import TrainerOption, ask, connect_trainer, remedy
from ddcai.errors import ConfigurationError, ContractReverted

# Where the price moves, others may contribute between: the price of the first sample then is that
# of the others.
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
    federation: Annotated[
        Path | None,
        typer.Option(
            "--federation",
            help="Of a federation's head: its deployment file; --data are rows as its members have "
            "them, which its encoder turns into features here.",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
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
    target = Target(
        kind=found.model_kind, features=contract.model_features(), classes=found.classes
    )
    if federation is None:
        samples, labels = labelled_samples(target, data, features, text or [], label)
    elif data is None or features is not None or text or label:
        raise ConfigurationError("--federation goes with --data alone, which has the labels")
    else:
        samples, labels = encoded_samples(target, federation, found.model, data, rpc_url, store)
        say("the rows stay here: what the federation's encoder makes of them is what is sent")
    price = contract.incentive.batch_price_wei(len(samples))
    usual = int(price * MARGIN) if contract.incentive.price_moves else price
    bound = usual if max_price_wei is None else max_price_wei
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
