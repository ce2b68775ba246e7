"""``ddcai bounty``: pay for points, so that good contributors gain although nobody was bad."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    AccountOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
)
from ddcai.cli.output import emit_one, fields, say
from ddcai.cli.trainer import TrainerOption, connect_trainer
from ddcai.cli.trainer import remedy as of_a_trainer
from ddcai.errors import ConfigurationError, ContractReverted, PolicyError

if TYPE_CHECKING:
    from ddcai.chain.bounty import Bounty, BountyDeployment

group = typer.Typer(
    help="Pay for points: good contributors gain, although nobody was bad.", no_args_is_help=True
)

BountyOption = Annotated[
    Path,
    typer.Option(
        "--bounty",
        envvar="DDCAI_BOUNTY",
        help="The bounty's deployment file, deployments/<chainId>-<name>.json.",
    ),
]

# What a refusal means, and what to do.
REMEDIES = {
    "Over": "the bounty is over: nothing is added or earned any more; the rest can be reclaimed",
    "NotOver": "the bounty runs: what is left can still be earned; reclaim it after its end",
    "NothingReceived": "nothing arrived: give an --amount",
    "NothingToClaim": "nothing is put aside for this account: points that were refunded while the "
    "bounty was attached, and had money left, bring some",
    "NothingLeft": "nothing is left: all of it was earned",
    "BountyRuns": "the incentive has a bounty that runs: one at a time",
    "WrongBounty": "the bounty is on another incentive, or over",
    "NotTrainersOwner": "only the trainer's owner attaches a bounty: give its keystore",
    "InvalidTerms": "the bounty refuses its terms",
}


@group.command("deploy")
def deploy(
    trainer: TrainerOption,
    per_point: Annotated[
        int, typer.Option("--per-point", min=1, help="Wei a point; or the token's smallest unit.")
    ],
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, help="From now, in which points are paid.")
    ] = 30 * 86_400,
    token: Annotated[
        str | None, typer.Option("--token", help="An ERC-20's address; ether by default.")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Name of the deployment file: a-z, 0-9 and hyphens.")
    ] = "bounty",
    deployments: Annotated[
        Path, typer.Option("--deployments", help="Folder for the deployment file.")
    ] = Path("deployments"),
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Deploy a bounty on a trainer's points; this account is its sponsor.

    It pays nothing until the trainer's owner attaches it, and somebody funds it.
    """
    import time

    from ddcai.chain.bounty import Terms, deploy_bounty
    from ddcai.chain.deployment_file import check_name
    from ddcai.chain.incentive import PointsIncentive, SelfAssessment
    from ddcai.chain.node.connection import connect
    from ddcai.chain.records import NOBODY
    from ddcai.cli.parties import check_addresses, keystore_file, open_account, password

    check_name(name)
    found, contract = connect_trainer(trainer, rpc_url)
    if not isinstance(contract.incentive, PointsIncentive | SelfAssessment):
        raise ConfigurationError(
            f"{trainer} is of a trainer with {found.incentive_kind}, which gives no points: a "
            "bounty on it would pay nothing"
        )
    if contract.incentive.is_closed():
        raise PolicyError(f"the trainer {found.trainer} has ended: no more points are given there")
    path = deployments / f"{found.chain_id}-{name}.json"
    if path.exists():
        raise ConfigurationError(f"{path} is there already: give another --name, or move it away")
    asset = NOBODY if token is None else check_addresses("token", [token])[0]
    opened = open_account(keystore_file(keystore, account), password(password_file), account)
    terms = Terms(
        sponsor=opened.address,
        asset=asset,
        per_point=per_point,
        until=max(contract.block_time(), int(time.time())) + seconds,
    )
    w3 = connect(rpc_url, chain_id=found.chain_id)
    try:
        deployed = deploy_bounty(w3, opened, found.incentive, terms, name=name)
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one(
        fields(deployed) | {"until": _utc(terms.until), "deployment": deployed.save(deployments)},
        format_,
    )
    say(f"attach it as {contract.owner()}: `ddcai bounty attach`; then `ddcai bounty fund`")


@group.command("attach")
def attach(
    bounty: BountyOption,
    trainer: TrainerOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Let a bounty pay for the points of a trainer; its owner only. It cannot be taken back."""
    from ddcai.chain.bounty import BountyDeployment
    from ddcai.cli.parties import keystore_file

    file = BountyDeployment.load(bounty)
    found, contract = connect_trainer(
        trainer, rpc_url, keystore_file(keystore, account), account, password_file
    )
    if file.incentive != found.incentive:
        raise ConfigurationError(
            f"{bounty} is a bounty on the incentive {file.incentive}, but the trainer of {trainer} "
            f"has {found.incentive}"
        )
    attached, until = contract.incentive.bounty()
    tx_hash = None
    if attached == file.bounty:
        say("it was attached before")
    else:
        try:
            tx_hash = contract.incentive.attach_bounty(file.bounty).tx_hash
        except ContractReverted as error:
            raise remedy(error) from error
        attached, until = contract.incentive.bounty()
    emit_one(
        {
            "trainer": found.trainer,
            "bounty": attached,
            "until": _utc(until),
            "tx_hash": tx_hash,
        },
        format_,
    )


@group.command("fund")
def fund(
    bounty: BountyOption,
    amount: Annotated[
        int, typer.Option("--amount", min=1, help="Wei, or the token's smallest unit.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would buy; send nothing.")
    ] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Add to what can be earned; anyone may. What nobody earns is the sponsor's in the end."""
    found, contract = _connect(bounty, rpc_url, keystore, account, password_file, sends=True)
    terms = contract.terms()
    left, _ = contract.budget()
    points = (left + amount) // terms.per_point
    if not contract.is_attached():
        say("warning: it is not attached: it pays nothing until the trainer's owner does that")
    try:
        contract.check_runs()
    except ContractReverted as error:
        raise remedy(error) from error
    if dry_run:
        emit_one({"bounty": found.bounty, "amount": amount, "points_paid_for": points}, format_)
        say("dry run: nothing was sent")
        return
    try:
        receipts = contract.fund(amount)
    except ContractReverted as error:
        raise remedy(error) from error
    left, owed = contract.budget()
    emit_one(
        {
            "bounty": found.bounty,
            "left": left,
            "owed": owed,
            "points_paid_for": left // terms.per_point,
            "tx_hash": receipts[-1].tx_hash,
        },
        format_,
    )


@group.command("show")
def show(
    bounty: BountyOption,
    account: AccountOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Show a bounty: terms, what can be earned, what is put aside; for an account, its own."""
    from ddcai.cli.parties import check_addresses

    found, contract = _connect(bounty, rpc_url)
    terms, (left, owed) = contract.terms(), contract.budget()
    row: dict[str, object] = {
        "bounty": found.bounty,
        "incentive": found.incentive,
        **fields(terms),
        "until": _utc(terms.until),
        "left": left,
        "owed": owed,
    }
    if account is not None:
        row["owed_to_account"] = contract.owed_to(check_addresses("account", [account])[0])
    emit_one(row, format_)


@group.command("claim")
def claim(
    bounty: BountyOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Take what this account's points have earned."""
    found, contract = _connect(bounty, rpc_url, keystore, account, password_file, sends=True)
    assert contract.sender is not None
    own = contract.sender.address
    amount = contract.owed_to(own)
    if amount == 0:
        raise PolicyError(f"{REMEDIES['NothingToClaim']} ({own})")
    try:
        receipt = contract.claim(own)
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one(
        {"bounty": found.bounty, "account": own, "amount": amount, "tx_hash": receipt.tx_hash},
        format_,
    )


@group.command("reclaim")
def reclaim(
    bounty: BountyOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """After the end: pay the sponsor what nobody earned; anyone may."""
    found, contract = _connect(bounty, rpc_url, keystore, account, password_file, sends=True)
    try:
        receipt = contract.reclaim()
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one(
        {
            "bounty": found.bounty,
            "sponsor": contract.terms().sponsor,
            "owed": contract.budget()[1],
            "tx_hash": receipt.tx_hash,
        },
        format_,
    )


def remedy(error: ContractReverted) -> PolicyError:
    """One line that says what a refusal means."""
    said = REMEDIES.get(error.name)
    return of_a_trainer(error) if said is None else PolicyError(f"{said} ({error})")


def _connect(
    file: Path,
    rpc_url: str,
    keystore: Path | None = None,
    account: str | None = None,
    password_file: Path | None = None,
    *,
    sends: bool = False,
) -> tuple[BountyDeployment, Bounty]:
    from ddcai.chain.bounty import BountyDeployment, connect_bounty
    from ddcai.chain.node.connection import connect
    from ddcai.chain.transactions import Sender
    from ddcai.cli.parties import keystore_file, open_account, password

    found = BountyDeployment.load(file)
    w3 = connect(rpc_url, chain_id=found.chain_id)
    sender = None
    if sends:
        opened = open_account(keystore_file(keystore, account), password(password_file), account)
        sender = Sender(w3, opened)
    return found, connect_bounty(w3, found, sender)


def _utc(time: int) -> datetime:
    return datetime.fromtimestamp(time, UTC)
