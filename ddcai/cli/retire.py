"""``ddcai keys retire``: destroying a holder's pieces of keys that are over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DeploymentOption,
    FormatOption,
    RpcUrlOption,
)
from ddcai.cli.output import emit, say


def retire(
    path: Annotated[
        Path, typer.Argument(help="A holder's folder of key files, or one key-pieces.json.")
    ],
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be destroyed; destroy nothing.")
    ] = False,
    format_: FormatOption = "table",
) -> None:
    """Destroy this holder's pieces of keys that are over and that no round can need any more.

    What is kept, and why, is listed as well. Believes the RPC endpoint: ask a node that you trust.
    Needs no password and no account. Copies elsewhere, such as backups, are not found.
    """
    from ddcai.cli.federation import connect_federation
    from ddcai.rounds.retiring import Retiring
    from ddcai.rounds.retiring import retire as destroy

    found = Retiring(connect_federation(deployment, rpc_url)).look(path)
    over = [one for one in found if not one.keep]
    if not dry_run:
        destroy(over)
    emit(
        [
            {
                "file": one.file,
                "label": one.label,
                "epoch": one.epoch,
                "outcome": "kept" if one.keep else "to be destroyed" if dry_run else "destroyed",
                "why": one.why,
            }
            for one in found
        ],
        format_,
        title="key files",
    )
    if dry_run:
        say("dry run: nothing was destroyed")
    elif over:
        say(
            "destroy copies in backups too, and start the key holder's client again: a running one "
            "still has the pieces in memory"
        )
