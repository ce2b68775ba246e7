"""``ddcai trainer``: let anyone teach a model on chain."""

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
from ddcai.errors import ConfigurationError, ContractReverted, PolicyError

if TYPE_CHECKING:
    from ddcai.chain.incentive import NewIncentive
    from ddcai.chain.trainer import Trainer
    from ddcai.chain.trainer_deployment import TrainerDeployment

group = typer.Typer(help="Let anyone teach a model on chain, for a deposit.", no_args_is_help=True)

TrainerOption = Annotated[
    Path,
    typer.Option(
        "--trainer",
        envvar="DDCAI_TRAINER",
        help="The trainer's deployment file, deployments/<chainId>-<name>.json.",
    ),
]

# What a contract's refusal means for whoever ran the command, and what to do.
REMEDIES = {
    "PriceTooHigh": "the price rose above --max-price-wei, as somebody contributed just now: it "
    "falls with time, so wait, or raise the bound",
    "DeadlinePassed": "it would be mined after its deadline: send it again, or raise --deadline-s",
    "WrongRelease": "the model was replaced meanwhile: make the features for the new one",
    "ReleaseClosed": "the trainer has ended: nothing is contributed any more; deposits can be "
    "refunded",
    "ReleaseOver": "the contribution's release has ended: its contributor alone may refund it",
    "NoClaim": "it is settled already, or there is no such contribution",
    "TooEarly": "its wait is not over: `ddcai claims` says when it is",
    "WrongPrediction": "the model's answer to it is not what this claim needs: a refund needs one "
    "that equals the label, a report one that does not",
    "NotAllowed": "this account may not: a refund is its contributor's; a report needs points, or "
    "the owner's or anyone's wait to be over",
    "AlreadyReported": "this account had its share of it",
    "DailyLimitReached": "this account has contributed as often as it may today: days begin at "
    "00:00 UTC; send fewer samples, or go on then",
    "NoMoneyHere": "contributions to this trainer cost nothing: give --max-price-wei 0",
    "WrongPhase": "the market is not in that phase: `ddcai market show` says which it is, and "
    "until when",
    "MarketFull": "the market takes no more contributions",
    "NothingToWithdraw": "nothing is owed to this account",
    "UnknownClass": "the model has no such class",
    "OwnableUnauthorizedAccount": "only the owner may: give the keystore of the one that deployed "
    "it",
}


def remedy(error: ContractReverted) -> PolicyError:
    """One line that says what a contract's refusal means."""
    said = REMEDIES.get(error.name)
    return PolicyError(str(error) if said is None else f"{said} ({error})")


def connect_trainer(
    file: Path,
    rpc_url: str,
    keystore: Path | None = None,
    account: str | None = None,
    password_file: Path | None = None,
) -> tuple[TrainerDeployment, Trainer]:
    """The trainer of a deployment file, on its own chain; sends where a keystore is given."""
    from ddcai.chain.node.connection import connect
    from ddcai.chain.trainer import Trainer
    from ddcai.chain.trainer_deployment import TrainerDeployment
    from ddcai.chain.transactions import Sender
    from ddcai.cli.parties import keystore_file, open_account, password

    found = TrainerDeployment.load(file)
    w3 = connect(rpc_url, chain_id=found.chain_id)
    sender = None
    if keystore is not None:
        opened = open_account(keystore_file(keystore, account), password(password_file), account)
        sender = Sender(w3, opened)
    trainer = Trainer.connect(
        w3,
        found.trainer,
        sender,
        incentive_kind=found.incentive_kind,
        from_block=found.deployed_block,
    )
    if (trainer.model_address, trainer.incentive.address) != (found.model, found.incentive):
        raise ConfigurationError(
            f"{file} names the model {found.model}, but the trainer at {trainer.address} has "
            f"{trainer.model_address}: get the file again from who deployed it"
        )
    return found, trainer


@group.command("deploy")
def deploy(
    model: Annotated[
        str | None,
        typer.Option("--model", help="The model: the file that `head deploy` wrote, or 0x..."),
    ] = None,
    federation: Annotated[
        Path | None,
        typer.Option(
            "--federation",
            help="Instead: deployment file of a federation whose head is --teachable.",
        ),
    ] = None,
    incentive: Annotated[
        str,
        typer.Option(
            "--incentive",
            help="What contributions cost and bring: self-assessment (deposits) or points.",
        ),
    ] = "self-assessment",
    cost_weight_wei: Annotated[
        int,
        typer.Option(
            "--cost-weight-wei",
            min=0,
            help="w: a contribution costs 3600 w / sqrt(seconds since the last); 0 is free.",
        ),
    ] = 10**12,
    refund_wait_s: Annotated[
        int, typer.Option("--refund-wait-s", min=0, help="Seconds until anybody may claim.")
    ] = 86_400,
    owner_wait_s: Annotated[
        int,
        typer.Option(
            "--owner-wait-s", min=0, help="Seconds until the owner may take disagreed deposits."
        ),
    ] = 7 * 86_400,
    anyone_wait_s: Annotated[
        int, typer.Option("--anyone-wait-s", min=0, help="Seconds until anyone may take them.")
    ] = 9 * 86_400,
    daily_limit: Annotated[
        int,
        typer.Option(
            "--daily-limit", min=1, help="Of points: contributions of an account a day (UTC)."
        ),
    ] = 100,
    badge: Annotated[
        list[int] | None,
        typer.Option(
            "--badge", min=1, help="Of points: a number of points that brings a badge; repeat it."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Name of the deployment file: a-z, 0-9 and hyphens.")
    ] = "trainer",
    deployments: Annotated[
        Path, typer.Option("--deployments", help="Folder for the deployment file.")
    ] = Path("deployments"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the gas; send nothing.")
    ] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Deploy a trainer for a model of this account: incentive, trainer, then the hand-over.

    A federation's head stays the federation's: the trainer becomes its teacher, until it closes.

    Broken off, the same command goes on where it ended. From then on anyone may teach the model.
    """
    from ddcai.chain.deployment_file import check_name
    from ddcai.chain.node.connection import connect, request
    from ddcai.chain.trainer_deployment import deploy_trainer, plan_trainer
    from ddcai.cli.parties import keystore_file, open_account, password

    check_name(name)
    if (model is None) == (federation is None):
        raise ConfigurationError("give either --model or --federation")
    address, classes = _model(model) if model is not None else _head(federation, rpc_url)
    opened = open_account(keystore_file(keystore, account), password(password_file), account)
    if incentive == "points":
        chosen = _points(refund_wait_s, daily_limit, badge or [])
    else:
        chosen = _incentive(
            incentive, opened.address, cost_weight_wei, refund_wait_s, owner_wait_s, anyone_wait_s
        )
    w3 = connect(rpc_url)
    chain_id = int(request(w3, "eth_chainId", []), 16)
    path = deployments / f"{chain_id}-{name}.json"
    if path.exists():
        raise ConfigurationError(f"{path} is there already: give another --name, or move it away")
    try:
        plan = plan_trainer(w3, opened.address, address, chosen)
        if dry_run:
            emit_one(fields(plan), format_)
            say("dry run: nothing was sent or written")
            return
        deployed = deploy_trainer(w3, opened, address, chosen, name=name, classes=classes)
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one(fields(deployed) | {"deployment": deployed.save(deployments)}, format_)


@group.command("show")
def show(
    trainer: TrainerOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Show a trainer: its model, rules and price, and what became of the money."""
    from ddcai.chain.contributions import Contributed, Refunded, Reported, Withdrawn
    from ddcai.chain.incentive import PointsIncentive, SelfAssessment

    found, contract = connect_trainer(trainer, rpc_url)
    history = contract.history()
    incentive = contract.incentive
    rules: dict[str, object] = {}
    if isinstance(incentive, SelfAssessment | PointsIncentive):
        rules = fields(incentive.rules())
    bounty, until = incentive.bounty()
    emit_one(
        {
            "trainer": found.trainer,
            "model": found.model,
            "model_kind": found.model_kind,
            "classes": found.classes,
            "owner": contract.owner(),
            "incentive": found.incentive,
            "incentive_kind": found.incentive_kind,
            **{key: value for key, value in rules.items() if key != "owner"},
            "closed": incentive.is_closed(),
            "price_wei": incentive.price_wei(),
            "contributions": incentive.last_id(),
            "deposits_wei": sum(one.price_wei for one in history if isinstance(one, Contributed)),
            "refunded_wei": sum(one.amount_wei for one in history if isinstance(one, Refunded)),
            "reported_wei": sum(one.amount_wei for one in history if isinstance(one, Reported)),
            "withdrawn_wei": sum(one.amount_wei for one in history if isinstance(one, Withdrawn)),
            "held_wei": contract.held_wei(),
            "points": sum(one.points for one in history if isinstance(one, Refunded)),
            "bounty": bounty,
            "bounty_until": datetime.fromtimestamp(until, UTC) if bounty else None,
        },
        format_,
    )


@group.command("close")
def close(
    trainer: TrainerOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """End a trainer, for ever: deposits can be refunded, the model is the owner's again."""
    from ddcai.cli.parties import keystore_file

    file = keystore_file(keystore, account)
    found, contract = connect_trainer(trainer, rpc_url, file, account, password_file)
    if contract.incentive.is_closed():
        say("it was closed before")
        emit_one({"trainer": found.trainer, "closed": True, "tx_hash": None}, format_)
        return
    if not yes:
        ask("this ends the trainer for ever. Close it?")
    try:
        receipt = contract.close()
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one({"trainer": found.trainer, "closed": True, "tx_hash": receipt.tx_hash}, format_)


def ask(question: str) -> None:
    """Goes on if the answer is yes.

    Raises:
        PolicyError: it is not, or nobody is there to answer.
    """
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        say("")  # the question's line has no end yet
        agreed = False
    if not agreed:
        raise PolicyError("not confirmed, nothing was sent: answer y, or give --yes")


def _model(text: str) -> tuple[str, list[str] | None]:
    """Address and class names of a model that is given as an address or a file."""
    from ddcai.chain.classifier_deployment import ClassifierDeployment

    if text.startswith("0x"):
        return text, None
    head = ClassifierDeployment.load(Path(text))
    return head.address, head.class_names


def _points(refund_wait: int, daily_limit: int, badges: list[int]) -> NewIncentive:
    from ddcai.chain.incentive import points
    from ddcai.incentives.points import PointsRules

    return points(
        PointsRules(
            refund_wait_s=refund_wait,
            daily_limit=daily_limit,
            badge_thresholds=tuple(sorted(badges)),
        )
    )


def _head(file: Path | None, rpc_url: str) -> tuple[str, list[str]]:
    """Address and class names of a federation's head, checked to be one that can be taught."""
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.head import checked_teaching
    from ddcai.chain.node.connection import connect
    from ddcai.configuration import FederationConfig

    assert file is not None
    found = Deployment.load(file)
    config = FederationConfig.from_json(found.config)
    w3 = connect(rpc_url, chain_id=found.chain_id)
    if checked_teaching(w3, found.head, config) is None:
        raise ConfigurationError(
            f"the head {found.head} is written by rounds alone: deploy the federation with "
            "--teachable"
        )
    return found.head, list(config.task.classes)


def _incentive(
    kind: str, owner: str, weight: int, refund_wait: int, owner_wait: int, anyone_wait: int
) -> NewIncentive:
    from ddcai.chain.incentive import SelfAssessment, self_assessment
    from ddcai.incentives.self_assessment import Rules

    if kind != SelfAssessment.kind:
        raise ConfigurationError(f"incentive is {kind!r}: give {SelfAssessment.kind} or points")
    if not refund_wait <= owner_wait <= anyone_wait < 2**32:
        raise ConfigurationError(
            f"refund-wait-s {refund_wait}, owner-wait-s {owner_wait}, anyone-wait-s {anyone_wait}: "
            "each must be at least the one before, below 2^32"
        )
    return self_assessment(
        Rules(
            owner=owner,
            cost_weight_wei=weight,
            refund_wait_s=refund_wait,
            owner_wait_s=owner_wait,
            anyone_wait_s=anyone_wait,
        )
    )
