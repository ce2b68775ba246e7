"""``ddcai audit``: what a federation did, from the chain; whether it is true, with the blobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    FormatOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit, emit_one, fields, say
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.audit.assessment_queries import AssessmentQueries
    from ddcai.audit.claims import Claim
    from ddcai.audit.history import History
    from ddcai.audit.queries import Queries

CLAIM_FAILED = 1

ContractOption = Annotated[
    str | None,
    typer.Option("--contract", help="The federation's address; needs no deployment file."),
]
OptionalDeploymentOption = Annotated[
    Path | None,
    typer.Option(
        "--deployment",
        envvar="DDCAI_DEPLOYMENT",
        help="The federation's deployment file, in place of --contract.",
    ),
]
WindowOption = Annotated[int | None, typer.Option("--window", min=1, help="Of this window alone.")]

group = typer.Typer(
    help="Ask the chain what a federation did, and verify it. Needs no account.",
    no_args_is_help=True,
)


def _history(contract: str | None, deployment: Path | None, rpc_url: str) -> History:
    from ddcai.audit.reading import read_history
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.node.connection import connect

    if contract is not None:
        return read_history(connect(rpc_url), contract)
    if deployment is None:
        raise ConfigurationError("no federation is named: give --contract or --deployment")
    found = Deployment.load(deployment)
    w3 = connect(rpc_url, chain_id=found.chain_id)
    return read_history(w3, found.federation, found.deployed_block)


def _queries(contract: str | None, deployment: Path | None, rpc_url: str) -> Queries:
    from ddcai.audit.queries import Queries
    from ddcai.chain.deploy import Deployment
    from ddcai.configuration import FederationConfig

    history = _history(contract, deployment, rpc_url)
    if contract is not None or deployment is None:
        return Queries(history)
    config = FederationConfig.from_json(Deployment.load(deployment).config)
    return Queries(history, config)


def _assessment_queries(
    contract: str | None, deployment: Path | None, rpc_url: str
) -> AssessmentQueries:
    from ddcai.audit.assessment_queries import AssessmentQueries

    return AssessmentQueries(_history(contract, deployment, rpc_url))


@group.command("rounds")
def rounds(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """List all rounds; with the deployment file, what each brought epsilon to."""
    rows = _queries(contract, deployment, rpc_url).rounds()
    emit(rows, format_, title="rounds", empty="no round was opened yet")


@group.command("round")
def round_(
    number: Annotated[int, typer.Argument(min=1, help="The round's number.")],
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Show one round, step by step: who did what, when, with which digest, for how much gas."""
    rows = _queries(contract, deployment, rpc_url).round_(number)
    emit(rows, format_, title=f"round {number}")


@group.command("contributor")
def contributor(
    address: Annotated[str, typer.Argument(help="The contributor's account.")],
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Show what one contributor did, and where each of its deposits went."""
    report = _queries(contract, deployment, rpc_url).contributor(address)
    _emit_nested(report, format_, title=f"rounds of {report.address}")


@group.command("model")
def model(
    given: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|DIGEST]",
            help="A safetensors file, or a digest; by default the current model.",
        ),
    ] = None,
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Show which rounds and updates a model descends from."""
    from ddcai.audit.queries import Queries

    history = _history(contract, deployment, rpc_url)
    asked = given if given is not None else "0x" + history.model_digest.hex()
    _emit_nested(Queries(history).model(asked), format_, title="descends from")


@group.command("money")
def money(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """List what each contributor paid in, got back, and may still claim."""
    rows = _queries(contract, deployment, rpc_url).money()
    emit(rows, format_, title="deposits", empty="nobody paid a deposit yet")


@group.command("scores")
def scores(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    number: Annotated[
        int | None, typer.Option("--round", min=1, help="Of this round alone.")
    ] = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """List what judged rounds' updates were judged by, and why some were refused.

    As their documents say, whose digests are on chain; `audit verify` checks these.
    """
    from ddcai.cli.client import store_url
    from ddcai.store import Store

    queries = _assessment_queries(contract, deployment, rpc_url)
    rows = queries.scores(Store(store_url(store)), number)
    emit(rows, format_, title="scores", empty="no round was judged yet")


@group.command("verdicts")
def verdicts(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    number: WindowOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """List, by window and member, whose deposits come back and why, and until when to dispute it.

    Deposits and points are the chain's, scores the documents'; `audit verify` compares them.
    """
    from ddcai.cli.client import store_url
    from ddcai.store import Store

    queries = _assessment_queries(contract, deployment, rpc_url)
    rows = queries.verdicts(Store(store_url(store)), number)
    emit(rows, format_, title="verdicts", empty="no round was finalised yet")


@group.command("payouts")
def payouts(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    number: WindowOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """List, by window and account, deposits, shares of the pot, bonds, and what can be claimed."""
    rows = _assessment_queries(contract, deployment, rpc_url).payouts(number)
    emit(rows, format_, title="payouts")


@group.command("verify")
def verify(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Verify everything that can be verified from the chain and the blobs; exit code 1 on a FAIL.

    A line a claim, with the two values that were compared. Believes the RPC endpoint about
    the chain, and nothing in the blob store. No line can show that an opened sum is what the
    ciphertexts decrypt to: the key holder answers for that with its signature.
    """
    from ddcai.audit.claims import Status, all_hold
    from ddcai.audit.verify import verify as verify_history
    from ddcai.cli.client import store_url
    from ddcai.store import Store

    history = _history(contract, deployment, rpc_url)
    claims: list[Claim] = []
    for claim in verify_history(history, Store(store_url(store))):
        claims.append(claim)
        if format_ == "table":
            typer.echo(claim_line(claim))
    if format_ == "json":
        emit(claims, format_)
    counts = {status: sum(claim.status is status for claim in claims) for status in Status}
    say(", ".join(f"{count} {status.value}" for status, count in counts.items()))
    if not all_hold(claims):
        raise typer.Exit(CLAIM_FAILED)


def claim_line(claim: Claim) -> str:
    """How a claim turned out, and the two values that were compared."""
    subject = f" of {claim.subject}" if claim.subject else ""
    compared = f"expected {claim.expected}, found {claim.found}"
    return f"{claim.status.value:<7} {claim.where}{claim.name}{subject}: {compared}"


def _emit_nested(report: object, format_: FormatOption, *, title: str) -> None:
    """A report that has rows under ``rounds``: one JSON object, or two tables."""
    if format_ == "json":
        emit_one(report, format_)
        return
    values = fields(report)
    rows = values.pop("rounds")
    emit_one(values, format_)
    emit(rows, format_, title=title, empty="no rounds")
