"""``ddcai audit sync``: bring an index of events up to date with the chain."""

from __future__ import annotations

from typing import Annotated

import typer

from ddcai.cli.answers import (
    DEFAULT_INDEX,
    ContractOption,
    IndexOption,
    OptionalDeploymentOption,
    TrainerOption,
    beside,
    run_shown,
)
from ddcai.cli.audit import place
from ddcai.cli.options import DEFAULT_RPC_URL, FormatOption, RpcUrlOption
from ddcai.cli.output import emit_one, say

POLL_S = 2.0


def sync(
    contract: ContractOption = None,
    deployment: OptionalDeploymentOption = None,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    index: IndexOption = DEFAULT_INDEX,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until interrupted, and keep up with the chain.")
    ] = False,
    trainer: TrainerOption = None,
    confirmations: Annotated[
        int | None,
        typer.Option(
            "--confirmations",
            min=0,
            help="Blocks that a block must have after it to be taken in; by default 0 on a trial "
            "chain and 12 on others.",
        ),
    ] = None,
    format_: FormatOption = "table",
) -> None:
    """Fill the index with a federation's events, from where the last sync ended.

    May be interrupted at any time. Blocks that the chain dropped are dropped here.
    """
    from ddcai.audit.index.database import Index
    from ddcai.audit.index.sync import Sync
    from ddcai.chain.deploy import Deployment

    w3, address, first = place(contract, deployment, rpc_url)
    named = None if contract is not None or deployment is None else Deployment.load(deployment)
    with Index(index, writable=True) as writer:
        job = Sync(
            writer,
            w3,
            address,
            from_block=first,
            beside=beside(named, trainer or ()),
            confirmations=confirmations,
        )
        synced = run_shown(job)
        emit_one(synced, format_, title=str(index))
        if not follow:
            return
        trouble = None
        for one in job.follow(POLL_S):
            if one.new_events or one.removed_events:
                gone = f", {one.removed_events} removed" if one.removed_events else ""
                say(f"block {one.synced_block}: {one.new_events} new events{gone}")
            if one.trouble and one.trouble != trouble:
                say(f"waiting: {one.trouble}")
            if trouble and not one.trouble:
                say(f"the endpoint answers again: block {one.synced_block}")
            trouble = one.trouble
