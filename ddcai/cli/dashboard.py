"""``ddcai dashboard``: the audit's rows as a page for a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.answers import (
    DEFAULT_INDEX,
    ContractOption,
    IndexOption,
    OptionalDeploymentOption,
    beside,
)
from ddcai.cli.options import DEFAULT_RPC_URL, RpcUrlOption
from ddcai.cli.output import say
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.chain.deploy import Deployment


def dashboard(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    index: IndexOption = DEFAULT_INDEX,
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Interface to listen on; others than loopback let others read."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes any free one.")
    ] = 8080,
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name", help="A name that browsers ask this server by, besides localhost; repeatable."
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow/--offline",
            help="Bring the index up to date while the page is shown, or only read it.",
        ),
    ] = True,
    metrics: Annotated[
        Path | None,
        typer.Option(
            "--metrics", help="The coordinator's metrics.jsonl: accuracy, on its word alone."
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="What `audit verify --report` wrote."),
    ] = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
) -> None:
    """Show a federation as a page for a browser, live, until interrupted.

    The page reads the index, and sends nothing to anybody: no transaction, no request to another
    server. It needs no account.
    """
    from ddcai.chain.deploy import Deployment
    from ddcai.cli.processes import is_loopback
    from ddcai.configuration import FederationConfig
    from ddcai.dashboard import Dashboard, Following, Server

    found = Deployment.load(deployment) if deployment is not None and contract is None else None
    address = contract if found is None else found.federation
    following = None
    if follow:
        following = Following(_synchroniser(index, address, found, rpc_url))
    if not is_loopback(host):
        say(
            f"listening on {host}: whoever reaches this machine there can read the page, without "
            "a password and without TLS. What the chain holds is public anyway; the coordinator's "
            "measurements and the report are not"
        )
    Server(
        Dashboard(
            index=index,
            federation=address,
            config=None if found is None else FederationConfig.from_json(found.config),
            following=following,
            metrics=metrics,
            report=report,
            names=tuple(name or ()),
        ),
        host,
        port,
        lambda url: say(f"the page is at {url} (ctrl-C stops)"),
    ).run()


def _synchroniser(
    path: Path, address: str | None, deployment: Deployment | None, rpc_url: str
) -> Callable[[], object]:
    """What brings the index up to date: connects when it is first called, and when it failed."""
    from ddcai.audit import Ledger
    from ddcai.audit.index.database import Index
    from ddcai.audit.index.sync import Sync
    from ddcai.chain.node.connection import connect

    chain_id = None if deployment is None else deployment.chain_id
    from_block = 0 if deployment is None else deployment.deployed_block
    if address is None:
        if not path.exists():
            raise ConfigurationError(
                f"there is no index at {path}, and no federation is named: give --contract or "
                "--deployment"
            )
        with Ledger.open(path) as ledger:
            row = ledger.federation()
        address, chain_id = row.address, row.chain_id
    followed = address
    index = Index(path, writable=True)
    sync: list[Sync] = []

    def synchronise() -> None:
        if not sync:
            w3 = connect(rpc_url, chain_id=chain_id)
            others = beside(deployment)
            sync.append(Sync(index, w3, followed, from_block=from_block, beside=others))
        sync[0].run()

    return synchronise
