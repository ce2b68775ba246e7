"""``ddcai audit``: what a federation did, from the chain; whether it is true, with the blobs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.answers import ContractOption, OptionalDeploymentOption
from ddcai.cli.audit_questions import QUESTIONS
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
from ddcai.cli.output import emit, fields, json_value, say
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.audit.assessment_queries import AssessmentQueries
    from ddcai.audit.claims import Claim
    from ddcai.audit.history import History
    from ddcai.chain.node.connection import Connection

CLAIM_FAILED = 1
BLOB_MISSING = 3
# A process takes seconds to start and to import what it needs.
_WORTH_WORKERS = 16

WindowOption = Annotated[int | None, typer.Option("--window", min=1, help="Of this window alone.")]

group = typer.Typer(
    help="Ask the chain what a federation did, and verify it. Needs no account.",
    no_args_is_help=True,
)


def place(
    contract: str | None, deployment: Path | None, rpc_url: str
) -> tuple[Connection, str, int]:
    """A connection, the federation's address, and a block at or before its deployment."""
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.node.connection import connect

    if contract is not None:
        return connect(rpc_url), contract, 0
    if deployment is None:
        raise ConfigurationError("no federation is named: give --contract or --deployment")
    found = Deployment.load(deployment)
    w3 = connect(rpc_url, chain_id=found.chain_id)
    return w3, found.federation, found.deployed_block


@contextmanager
def _history(contract: str | None, deployment: Path | None, rpc_url: str) -> Iterator[History]:
    from ddcai.audit.indexed import stored_history

    with stored_history(*place(contract, deployment, rpc_url)) as (history, _):
        yield history


@contextmanager
def _assessment_queries(
    contract: str | None, deployment: Path | None, rpc_url: str
) -> Iterator[AssessmentQueries]:
    from ddcai.audit.assessment_queries import AssessmentQueries

    with _history(contract, deployment, rpc_url) as history:
        yield AssessmentQueries(history)


for _name, _question in QUESTIONS.items():
    group.command(_name)(_question)


@group.command("keys")
def keys(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """List the keys that key holders shared: who, how many must sign, since when, which rounds.

    With the blob store, also how many ciphertexts each opened, at most, of how many that its noise
    hides, and how many rounds the current one still opens.
    """
    from ddcai.audit.keys import key_rows
    from ddcai.cli.key_use import key_meter

    with _history(contract, deployment, rpc_url) as history:
        holder, meter = history.rules.key_holder, None
        if history.key_epochs:
            meter = key_meter(store, history.rules.config_digest, history.model_digest)
        rows = key_rows(history, meter)
    emit(rows, format_, title="keys", empty=f"one key holder for all rounds: {holder}")


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

    with _assessment_queries(contract, deployment, rpc_url) as queries:
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

    with _assessment_queries(contract, deployment, rpc_url) as queries:
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
    with _assessment_queries(contract, deployment, rpc_url) as queries:
        rows = queries.payouts(number)
    emit(rows, format_, title="payouts")


@group.command("verify")
def verify(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    store: StoreOption = DEFAULT_STORE,
    number: Annotated[
        int | None, typer.Option("--round", min=1, help="Only the claims about this round.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, help="Processes; by default one a core, from 16 rounds on."
        ),
    ] = None,
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal", help="Remember rounds that passed here, and go on from them next time."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write a signed report, JSON; needs --keystore."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write the report as a page to read and to print."),
    ] = None,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Verify everything that can be verified from the chain and the blobs; exit code 1 on a FAIL.

    Exit code 3 if none failed, but the store lacks blobs: claims about these are MISSING.
    A line a claim, with the two values that were compared. Believes the RPC endpoint about
    the chain, and nothing in the blob store. No line can show that an opened sum is what the
    ciphertexts decrypt to: the key holder answers for that with its signature.
    """
    from ddcai.audit.claims import Status
    from ddcai.audit.claims import verdict as verdict_of
    from ddcai.audit.indexed import stored_history
    from ddcai.cli.audit_report import Reporting

    if number is not None and (report, html) != (None, None):
        raise ConfigurationError("a report is of a whole federation: leave --round away")
    reporting = Reporting.of(report, html, keystore, account, password_file)
    counts = dict.fromkeys(Status, 0)
    claims: list[Claim] = []  # kept only for a report: there may be very many
    with stored_history(*place(contract, deployment, rpc_url)) as (history, block):
        for claim in _shown(history, store, number, workers, journal, format_):
            counts[claim.status] += 1
            if reporting is not None:
                claims.append(claim)
        say(", ".join(f"{count} {status.value}" for status, count in counts.items()))
        if reporting is not None:
            reporting.write(history, block, claims)
    come_to = verdict_of(status for status, count in counts.items() if count)
    if come_to is not Status.PASS:
        raise typer.Exit(CLAIM_FAILED if come_to is Status.FAIL else BLOB_MISSING)


def _shown(
    history: History,
    store: str,
    number: int | None,
    workers: int | None,
    journal: Path | None,
    format_: str,
) -> Iterator[Claim]:
    """The claims, each printed as it is made."""
    from ddcai.audit.verify import Work
    from ddcai.audit.verify import verify as verify_history
    from ddcai.cli.client import store_url
    from ddcai.cli.progress import Progress
    from ddcai.store import Store

    if workers is None:
        workers = (os.cpu_count() or 1) if len(history.rounds) >= _WORTH_WORKERS else 1
    work = Work(workers=workers, journal=journal)
    item = ""
    if format_ == "json":
        typer.echo("[")
    with Progress("verifying", len(history.rounds), "rounds") as progress:
        for claim in verify_history(history, Store(store_url(store)), work, round_=number):
            if claim.round is not None:  # those before it are done
                progress.reach(max(progress.done, claim.round - 1))
            if format_ == "table":
                progress.echo(claim_line(claim))
            else:
                if item:
                    progress.echo(f"{item},")
                item = _json_item(claim)
            yield claim
        progress.reach(len(history.rounds))
    if format_ == "json":
        typer.echo(f"{item}\n]")


def _json_item(claim: Claim) -> str:
    """A claim as it stands in a list that is printed a claim at a time, as `emit` prints one."""
    text = json.dumps(json_value(fields(claim)), indent=2, ensure_ascii=False)
    return "  " + text.replace("\n", "\n  ")


def claim_line(claim: Claim) -> str:
    """How a claim turned out, and the two values that were compared."""
    subject = f" of {claim.subject}" if claim.subject else ""
    compared = f"expected {claim.expected}, found {claim.found}"
    return f"{claim.status.value:<7} {claim.where}{claim.name}{subject}: {compared}"
