"""``ddcai federation``: root-set, deploy, invite, join, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.deploy import deploy
from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    AccountOption,
    BlsKeyOption,
    DeploymentOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit, emit_one, fields, say
from ddcai.cli.root_set import root_set
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.chain.federation import Federation

group = typer.Typer(help="Deploy a federation, invite, join and show it.", no_args_is_help=True)
group.command("root-set")(root_set)
group.command("deploy")(deploy)


def connect_federation(
    deployment: Path,
    rpc_url: str,
    keystore: Path | None = None,
    account: str | None = None,
    password_file: Path | None = None,
) -> Federation:
    """The contract of a deployment file, on its own chain; sends where a keystore is given."""
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.federation import Federation
    from ddcai.chain.node.connection import connect
    from ddcai.chain.transactions import Sender
    from ddcai.cli.parties import keystore_file, open_account, password

    found = Deployment.load(deployment)
    w3 = connect(rpc_url, chain_id=found.chain_id)
    sender = None
    if keystore is not None:
        file = keystore_file(keystore, account)
        sender = Sender(w3, open_account(file, password(password_file), account))
    return Federation.connect(w3, found.federation, sender, from_block=found.deployed_block)


@group.command("invite")
def invite(
    addresses: Annotated[list[str], typer.Argument(help="Accounts that may join.")],
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Invite accounts; the sponsor alone can."""
    from ddcai.cli.parties import check_addresses, keystore_file

    invited = check_addresses("address", addresses)
    file = keystore_file(keystore, account)
    federation = connect_federation(deployment, rpc_url, file, account, password_file)
    receipt = federation.invite(invited)
    emit_one({"invited": invited, "tx_hash": receipt.tx_hash}, format_)


@group.command("join")
def join(
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    bls_key: BlsKeyOption = None,
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Register this account and its attestation key, with a proof of possession.

    The key is the BLS key of `account new`, or the account's own where the quorum is ECDSA.

    Checks invitation, balance and blob store first. An account that has joined already with
    this key is left as it is.
    """
    from ddcai.cli.parties import attesting_key_file, keystore_file, open_account, password
    from ddcai.rounds.founding import join as register
    from ddcai.rounds.party import Party, Settings, attestation_key

    file = keystore_file(keystore, account)
    secret = password(password_file)
    address = open_account(file, secret, account).address
    key_file = attesting_key_file(bls_key, file, address, deployment, rpc_url)
    settings = Settings(
        deployment=str(deployment),
        rpc_url=rpc_url,
        store=store,
        keystore=str(file),
        password_file=str(password_file),
        bls_key="" if key_file is None else str(key_file),
    )
    party = Party.connect(settings)
    key = attestation_key(settings, party)
    _ = party.public_key  # a store of another federation is found out now
    federation = party.federation
    member = federation.member(address)
    if member is not None and member.active:
        if federation.pubkey(member.index) != key.registered:
            raise ConfigurationError(
                f"{address} has joined with another attestation key than {key.public} in "
                f"{key_file or file}: give that one as --bls-key"
            )
        say("this account has joined already")
        emit_one({"address": address, "index": member.index, "tx_hash": None}, format_)
        return
    receipt = register(party, key)
    joined = federation.member(address)
    emit_one(
        {
            "address": address,
            "index": None if joined is None else joined.index,
            "attestation_key": key.public,
            "gas_used": receipt.gas_used,
            "tx_hash": receipt.tx_hash,
        },
        format_,
    )


@group.command("pack")
def pack(
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Copy the members' attestation keys into contract code, so that rounds take less gas.

    Worth its gas where a federation goes on for about ten rounds more. Anyone may do it, best
    when all have joined; members that join later can be packed again. Nothing else changes.
    """
    from ddcai.cli.parties import keystore_file

    file = keystore_file(keystore, account)
    quorum = connect_federation(deployment, rpc_url, file, account, password_file).quorum()
    rows = []
    for page, keys in quorum.unpacked().items():
        receipt = quorum.pack(page)
        rows.append(
            {"page": page, "keys": keys, "gas_used": receipt.gas_used, "tx_hash": receipt.tx_hash}
        )
    emit(rows, format_, title="packed", empty="all keys are packed already")


@group.command("show")
def show(
    deployment: DeploymentOption,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    members: Annotated[
        bool, typer.Option("--members", help="List the members instead of the rules.")
    ] = False,
    format_: FormatOption = "table",
) -> None:
    """Show a federation's rules and state, or its members."""
    federation = connect_federation(deployment, rpc_url)
    if members:
        rows = [
            {"index": item.index, "address": item.address, "active": item.active}
            for item in federation.members()
        ]
        emit(rows, format_, title="members", empty="nobody has joined")
        return
    emit_one(
        {
            "federation": federation.address,
            "chain_id": federation.chain_id,
            "sponsor": federation.sponsor(),
            "head": federation.head_address(),
            "quorum": federation.quorum_address(),
            "quorum_scheme": federation.quorum_scheme(),
            "members": sum(item.active for item in federation.members()),
            "last_round": federation.last_round(),
            "model_digest": federation.model_digest(),
            "held_wei": federation.balance(),
            **fields(federation.rules()),
            **(fields(federation.assessment().rules()) if federation.rules().assessed else {}),
            **_teaching(deployment, rpc_url, federation.head_address()),
        },
        format_,
    )


def _teaching(deployment: Path, rpc_url: str, head: str) -> dict[str, object]:
    """What contributions may do to a head; nothing for one that rounds alone write.

    Raises:
        ConfigurationError: its releases are not those of the configuration.
    """
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.head import checked_teaching
    from ddcai.chain.node.connection import connect
    from ddcai.configuration import FederationConfig

    config = FederationConfig.from_json(Deployment.load(deployment).config)
    found = checked_teaching(connect(rpc_url), head, config)
    return {} if found is None else fields(found)
