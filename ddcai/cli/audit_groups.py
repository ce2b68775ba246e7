"""What groups did in a round: ``ddcai audit groups``, and their contributors' receipts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.audit import BLOB_MISSING, CLAIM_FAILED, claim_line
from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    DeploymentOption,
    FormatOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit, emit_one, fields, say, say_error
from ddcai.errors import ConfigurationError, RoundError, StoreError, VerificationError

if TYPE_CHECKING:
    from ddcai.chain.federation import Federation
    from ddcai.chain.update_batches import UpdateBatches
    from ddcai.configuration import FederationConfig

RoundOption = Annotated[int, typer.Option("--round", min=1, help="The round.")]


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A federation with groups, for reading."""

    federation: Federation
    batches: UpdateBatches
    config: FederationConfig
    from_block: int


def _place(deployment: Path, rpc_url: str) -> _Place:
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.federation import Federation
    from ddcai.chain.node.connection import connect
    from ddcai.chain.update_batches import UpdateBatches
    from ddcai.configuration import FederationConfig

    found = Deployment.load(deployment)
    if found.update_batches is None:
        raise ConfigurationError(
            f"{deployment} names no update_batches: members of this federation are no groups"
        )
    w3 = connect(rpc_url, chain_id=found.chain_id)
    batches = UpdateBatches(w3, found.update_batches)
    batches.require_there()
    return _Place(
        federation=Federation.connect(w3, found.federation, from_block=found.deployed_block),
        batches=batches,
        config=FederationConfig.from_json(found.config),
        from_block=found.deployed_block,
    )


def groups(
    deployment: DeploymentOption,
    number: RoundOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Verify that each group's update is the sum of its contributors'; exit code 1 on a FAIL.

    Exit code 3 if none failed, but the store lacks blobs. A line a claim, as `audit verify`, which
    shows the rest: that the round's sum is that of the groups' updates.
    """
    from ddcai.audit.claims import Status
    from ddcai.audit.claims import verdict as verdict_of
    from ddcai.audit.groups import check_groups
    from ddcai.cli.client import store_url
    from ddcai.store import Store

    place, claims = _place(deployment, rpc_url), []
    found = check_groups(
        place.federation,
        place.batches,
        Store(store_url(store)),
        place.config,
        number,
        from_block=place.from_block,
    )
    for claim in found:
        claims.append(claim)
        if format_ == "table":
            typer.echo(claim_line(claim))
    if format_ == "json":
        emit([fields(claim) for claim in claims], format_)
    if not claims:
        say(f"no group posted a list in round {number}")
    counts = {status: sum(one.status is status for one in claims) for status in Status}
    say(", ".join(f"{count} {status.value}" for status, count in counts.items()))
    come_to = verdict_of(one.status for one in claims)
    if come_to is not Status.PASS:
        raise typer.Exit(CLAIM_FAILED if come_to is Status.FAIL else BLOB_MISSING)


def group_receipt(
    deployment: DeploymentOption,
    number: RoundOption,
    contributor: Annotated[str, typer.Option("--contributor", help="Whose update; an address.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write, JSON.")],
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Show an outsider that a contributor's update is on its group's list of a round.

    From the lists in the store. `check-group-receipt` checks it. Nothing in the file is secret.
    """
    from ddcai import digests
    from ddcai.audit.report.group_receipt import GroupReceipt
    from ddcai.cli.client import store_url
    from ddcai.digests import RoundContext
    from ddcai.rounds.batch import BatchList
    from ddcai.store import Store

    place, blobs = _place(deployment, rpc_url), Store(store_url(store))
    address = place.federation.address
    context = RoundContext(chain_id=place.federation.chain_id, contract=address, round=number)
    for posted in place.batches.posted(address, number, place.from_block):
        blob = blobs.get(posted.list_digest)
        if digests.batch_list_digest(context, posted.group, blob) != posted.list_digest:
            raise StoreError(f"the store's list of the group {posted.group} is another")
        listed = BatchList.from_blob(blob)
        if contributor.lower() in {one.contributor.lower() for one in listed.given}:
            made = GroupReceipt.of(
                listed,
                contributor,
                context=context,
                group=posted.group,
                update_batches=place.batches.address,
            )
            made.save(out)
            say(f"wrote {out}: {made.contributor} is on the list of the group {made.group}")
            return
    raise RoundError(f"{contributor} is on no group's list of round {number}")


def check_group_receipt(
    file: Annotated[Path, typer.Argument(help="A file of `audit group-receipt`.")],
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    format_: FormatOption = "table",
) -> None:
    """Check a receipt of a contributor of a group; exit code 1 if it does not hold.

    By what the endpoint says of the two contracts that the deployment file names. That the group's
    update is the sum of its list, `audit groups` shows.
    """
    from ddcai.audit.report.group_receipt import GroupReceipt

    receipt, place = GroupReceipt.load(file), _place(deployment, rpc_url)
    try:
        shown = receipt.check(place.federation, place.batches)
    except VerificationError as error:
        say_error(f"{file} does not hold: {error}")
        raise typer.Exit(CLAIM_FAILED) from error
    emit_one(fields(shown), format_)
