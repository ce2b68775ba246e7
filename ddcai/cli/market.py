"""``ddcai market``: pay for data by what it does to the errors on a hidden test set."""

from __future__ import annotations

from datetime import UTC, datetime
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
from ddcai.cli.output import emit_one, fields, say
from ddcai.cli.samples import Target, labelled_samples
from ddcai.cli.trainer import TrainerOption, ask, connect_trainer
from ddcai.errors import ConfigurationError, ContractReverted, PolicyError

if TYPE_CHECKING:
    from ddcai.chain.prediction_market import PredictionMarket
    from ddcai.chain.trainer import Trainer
    from ddcai.incentives.hidden_test_set import HiddenTestSet
    from ddcai.models.heads.model_file import Model

group = typer.Typer(
    help="Pay for data by what it does to the errors on a test set that only you know.",
    no_args_is_help=True,
)

FromOption = Annotated[
    Path,
    typer.Option("--from", help="The model: a .safetensors file of `ddcai head export` or deploy."),
]
TestSetOption = Annotated[
    Path,
    typer.Option(
        "--test-set", help="The secret file that `market commit` wrote. Losing it costs the bounty."
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

# What the market's refusals mean, and what to do.
REMEDIES = {
    "DrawTooEarly": "the draw's block is not mined yet: wait for it",
    "DrawLapsed": "the chain has forgotten the draw's block: the bounty is forfeited when the time "
    "to show has passed; next time draw within a day",
    "NotMatched": "replica and model are not compared to the end: run `ddcai market match` first",
    "ModelsDiffer": "the replica is not the trainer's model: do not contribute here",
    "WrongPiece": "this piece is not wanted now, or is revealed already",
    "WrongPieceData": "the file is not the one that this market was deployed with: give the right "
    "--test-set",
    "AlreadyCollected": "it was collected before",
    "InvalidRules": "the market refuses its rules",
}


@group.command("commit")
def commit(
    from_: FromOption,
    out: Annotated[Path, typer.Option("--out", help="The new secret file. Keep a copy.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="The test set: .npz with x and y, or .tsv of class, tab, text."
        ),
    ] = None,
    features: Annotated[
        Path | None, typer.Option("--features", help="Rows without labels, with --label.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Class of all --features, or one a row.")
    ] = None,
    pieces: Annotated[
        int, typer.Option("--pieces", min=2, max=256, help="Pieces; one is shown at the start.")
    ] = 10,
    format_: FormatOption = "table",
) -> None:
    """Deal a test set to pieces, with salts, and keep it in a file until all are revealed.

    Whoever reads the file knows the test set; whoever loses it forfeits the bounty.
    """
    from ddcai.incentives.hidden_test_set import HiddenTestSet
    from ddcai.incentives.prediction_market import Sample

    model = _model(from_)
    target = Target(
        kind=model.twin.kind, features=model.twin.feature_limit, classes=model.class_names
    )
    rows, labels = labelled_samples(target, data, features, [], label)
    samples = [Sample(row, class_) for row, class_ in zip(rows, labels, strict=True)]
    hidden = HiddenTestSet.commit(samples, pieces)
    hidden.save(out)
    emit_one(
        {
            "test_set": out,
            "samples": len(samples),
            "pieces": len(hidden.pieces),
            "largest_piece_bytes": max(map(len, hidden.pieces)),
        },
        format_,
    )
    say(f"keep {out} secret, and keep a copy: without it the bounty is forfeited")


@group.command("deploy")
def deploy(
    from_: FromOption,
    test_set: TestSetOption,
    bounty_wei: Annotated[
        int, typer.Option("--bounty-wei", min=1, help="The most that all rewards come to.")
    ],
    stake_wei: Annotated[
        int,
        typer.Option("--stake-wei", min=1, help="Of each contribution; the most that it can lose."),
    ],
    max_contributions: Annotated[
        int, typer.Option("--max-contributions", min=1, help="Bounds the evaluation's work.")
    ] = 1000,
    draw_delay_blocks: Annotated[
        int,
        typer.Option(
            "--draw-delay-blocks", min=1, max=8191, help="Until the draw; 128 on a public chain."
        ),
    ] = 128,
    show_s: Annotated[
        int, typer.Option("--show-s", min=1, help="Seconds until the drawn piece must be shown.")
    ] = 86_400,
    contribute_s: Annotated[
        int, typer.Option("--contribute-s", min=1, help="Seconds after that to contribute in.")
    ] = 7 * 86_400,
    reveal_s: Annotated[
        int, typer.Option("--reveal-s", min=1, help="Seconds after that to reveal the rest in.")
    ] = 2 * 86_400,
    evaluate_s: Annotated[
        int, typer.Option("--evaluate-s", min=1, help="Seconds after that to evaluate in.")
    ] = 7 * 86_400,
    name: Annotated[
        str, typer.Option("--name", help="Name of the deployment files: a-z, 0-9 and hyphens.")
    ] = "market",
    deployments: Annotated[
        Path, typer.Option("--deployments", help="Folder for the deployment files.")
    ] = Path("deployments"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the cost; send nothing.")
    ] = False,
    yes: YesOption = False,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Deploy a market: the model twice, the market with the bounty, and the trainer.

    Broken off, the same command goes on where it ended, with the deadlines of the first try.
    """
    import time

    from ddcai.chain.market_deployment import deploy_market, plan_market
    from ddcai.chain.node.connection import connect, request
    from ddcai.chain.transactions import ether
    from ddcai.cli.parties import keystore_file, open_account, password
    from ddcai.incentives.prediction_market import Rules

    model, hidden = _model(from_), _hidden(test_set)
    opened = open_account(keystore_file(keystore, account), password(password_file), account)
    w3 = connect(rpc_url)
    chain_id = int(request(w3, "eth_chainId", []), 16)
    path = deployments / f"{chain_id}-{name}.json"
    if path.exists():
        raise ConfigurationError(f"{path} is there already: give another --name, or move it away")
    block = request(w3, "eth_getBlockByNumber", ["latest", False])
    show_by = max(int(block["timestamp"], 16), int(time.time())) + show_s
    rules = Rules(
        sponsor=opened.address,
        stake_wei=stake_wei,
        max_contributions=max_contributions,
        draw_delay_blocks=draw_delay_blocks,
        show_by=show_by,
        contribute_until=show_by + contribute_s,
        reveal_by=show_by + contribute_s + reveal_s,
        evaluate_by=show_by + contribute_s + reveal_s + evaluate_s,
    )
    plan = plan_market(model, len(hidden.pieces), bounty_wei)
    if dry_run:
        emit_one({**fields(plan), **_times(rules)}, format_)
        say("dry run: nothing was sent or written")
        return
    say(
        f"warning: the bounty of {ether(bounty_wei)} is forfeited unless the drawn piece is shown "
        f"by {_utc(rules.show_by)} and all others between {_utc(rules.contribute_until)} and "
        f"{_utc(rules.reveal_by)}: keep a copy of {test_set}"
    )
    if stake_wei < bounty_wei:
        say("warning: the stake is below the bounty: trying one's luck can pay")
    if not yes:
        ask("deploy the market and pay the bounty in?")
    try:
        deployed = deploy_market(
            w3,
            opened,
            model,
            hidden.digests(),
            rules,
            bounty_wei=bounty_wei,
            name=name,
            folder=deployments,
            progress=say,
        )
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one(fields(deployed) | {"deployment": path}, format_)


@group.command("draw")
def draw(
    trainer: TrainerOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Draw the piece that is shown at the start; anyone may, once the draw's block is mined."""
    _, market = _market(trainer, rpc_url, keystore, account, password_file)
    try:
        receipt = market.draw()
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one({"drawn": market.drawn(), "tx_hash": receipt.tx_hash}, format_)


@group.command("match")
def match(
    trainer: TrainerOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Prove that the evaluated model is the trainer's, word by word; before a piece is shown."""
    found, market = _market(trainer, rpc_url, keystore, account, password_file)
    words = found.model_words()
    try:
        receipts = market.match_models(words)
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one({"words": words, "transactions": len(receipts)}, format_)


@group.command("reveal")
def reveal(
    trainer: TrainerOption,
    test_set: TestSetOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Show the drawn piece; or, when contributions have ended, all that are left.

    Run it again after an interruption: what is revealed is not sent twice.
    """
    from ddcai.chain.prediction_market import Phase

    _, market = _market(trainer, rpc_url, keystore, account, password_file)
    hidden = _hidden(test_set)
    if hidden.digests() != market.piece_digests():
        raise ConfigurationError(
            f"{test_set} is not the test set of the market {market.address}: give the file that it "
            "was deployed with"
        )
    phase, drawn = market.phase(), market.drawn()
    if phase == Phase.DRAWN and drawn is not None:
        wanted = [drawn]
    elif phase == Phase.REVEALING:
        wanted = [i for i in range(len(hidden.pieces)) if not market.piece_data(i)]
    else:
        raise PolicyError(
            f"the market's phase is {phase.name}, in which nothing is revealed; `ddcai market "
            "show` has its deadlines"
        )
    try:
        for index in wanted:
            market.reveal(index, hidden.salts[index], hidden.pieces[index])
            say(f"revealed piece {index}")
    except ContractReverted as error:
        raise remedy(error) from error
    emit_one({"revealed": wanted, "phase": market.phase().name.lower()}, format_)


@group.command("evaluate")
def evaluate(
    trainer: TrainerOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Evaluate all contributions, in steps that fit a block; anyone may, and pays the gas.

    Goes on where this or another evaluator stopped.
    """
    from ddcai.chain.prediction_market import Phase

    found, market = _market(trainer, rpc_url, keystore, account, password_file)
    phase = market.phase()
    if phase != Phase.EVALUATING:
        raise PolicyError(
            f"the market's phase is {phase.name}, in which nothing is evaluated; `ddcai market "
            "show` has its deadlines"
        )
    made = found.contributions()
    try:
        receipts = market.evaluate(
            made, report=lambda now: say(f"{now.evaluated} of {len(made)} contributions evaluated")
        )
    except ContractReverted as error:
        raise remedy(error) from error
    done = market.progress()
    emit_one(
        {
            "contributions": done.evaluated,
            "errors": done.errors,
            "samples": done.samples,
            "transactions": len(receipts),
            "gas": sum(one.gas_used for one in receipts),
            "phase": market.phase().name.lower(),
        },
        format_,
    )


@group.command("collect")
def collect(
    trainer: TrainerOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """End a market that is over: what is left of the bounty, and the replica, are the sponsor's.

    Of a forfeited bounty nothing is left. `ddcai claims --withdraw` pays out what is owed.
    """
    _, market = _market(trainer, rpc_url, keystore, account, password_file)
    sponsor = market.rules().sponsor
    before = market.owed_wei(sponsor)
    try:
        receipt = market.collect()
    except ContractReverted as error:
        raise remedy(error) from error
    left = market.owed_wei(sponsor) - before
    emit_one({"sponsor": sponsor, "left_wei": left, "tx_hash": receipt.tx_hash}, format_)


@group.command("show")
def show(
    trainer: TrainerOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Show a market: its phase and deadlines, the test set as far as it is known, the money."""
    found, market = _market(trainer, rpc_url)
    rules, done = market.rules(), market.progress()
    emit_one(
        {
            "market": market.address,
            "trainer": found.address,
            "sponsor": rules.sponsor,
            "phase": market.phase().name.lower(),
            "bounty_wei": market.bounty_wei(),
            "stake_wei": rules.stake_wei,
            "max_contributions": rules.max_contributions,
            "contributions": market.last_id(),
            "pieces": len(market.piece_digests()),
            "drawn": market.drawn(),
            "draw_block": market.draw_block(),
            "matched_words": market.matched_words(),
            "revealed": done.revealed,
            "samples": done.samples,
            "errors": done.errors,
            "evaluated": done.evaluated,
            **_times(rules),
        },
        format_,
    )


def remedy(error: ContractReverted) -> PolicyError:
    """One line that says what the market's refusal means."""
    from ddcai.cli.trainer import remedy as of_a_trainer

    said = REMEDIES.get(error.name)
    return of_a_trainer(error) if said is None else PolicyError(f"{said} ({error})")


def _market(
    file: Path,
    rpc_url: str,
    keystore: Path | None = None,
    account: str | None = None,
    password_file: Path | None = None,
) -> tuple[Trainer, PredictionMarket]:
    """Trainer and market of a deployment file; for a step that sends, with an account."""
    from ddcai.chain.prediction_market import PredictionMarket

    _, trainer = connect_trainer(file, rpc_url, keystore, account, password_file)
    if not isinstance(trainer.incentive, PredictionMarket):
        raise ConfigurationError(
            f"{file} is of a trainer with {trainer.incentive.kind}: give a market's file"
        )
    return trainer, trainer.incentive


def _model(path: Path) -> Model:
    from ddcai.models.heads import model_file

    if path.suffix != ".safetensors" or not model_file.is_model_file(path):
        raise ConfigurationError(
            f"from is {str(path)!r}: give a file that `ddcai head export` wrote, so that both of "
            "the market's models are the same integers"
        )
    return model_file.load(path)


def _hidden(path: Path) -> HiddenTestSet:
    from ddcai.incentives.hidden_test_set import HiddenTestSet

    return HiddenTestSet.load(path)


def _times(rules: Any) -> dict[str, datetime]:
    return {
        name: datetime.fromtimestamp(getattr(rules, name), UTC)
        for name in ("show_by", "contribute_until", "reveal_by", "evaluate_by")
    }


def _utc(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
