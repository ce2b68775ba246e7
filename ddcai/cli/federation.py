"""``ddcai federation``: root-set, deploy, invite, join, pack, rekey, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.deploy import deploy
from ddcai.cli.invite import invite
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
from ddcai.cli.plan import plan_sets
from ddcai.cli.rekey import rekey
from ddcai.cli.root_set import root_set

if TYPE_CHECKING:
    from ddcai.chain.federation import Federation
    from ddcai.chain.key_holders import KeyEpoch

group = typer.Typer(help="Deploy a federation, invite, join and show it.", no_args_is_help=True)
group.command("root-set")(root_set)
group.command("plan")(plan_sets)
group.command("deploy")(deploy)
group.command("rekey")(rekey)
group.command("invite")(invite)


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
    from ddcai.rounds.founding import register_once
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
    _ = party.encryption_key()  # a store of another federation is found out now
    receipt = register_once(party, key, key_file or file)
    joined = party.federation.member(address)
    index = None if joined is None else joined.index
    if receipt is None:
        say("this account has joined already")
        emit_one({"address": address, "index": index, "tx_hash": None}, format_)
        return
    emit_one(
        {
            "address": address,
            "index": index,
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
    store: StoreOption = DEFAULT_STORE,
    format_: FormatOption = "table",
) -> None:
    """Show a federation's rules and state, or its members.

    With the blob store, also how much of the key holders' key is spent.
    """
    federation = connect_federation(deployment, rpc_url)
    if members:
        rows = [
            {"index": item.index, "address": item.address, "active": item.active}
            for item in federation.members()
        ]
        emit(rows, format_, title="members", empty="nobody has joined")
        return
    holders = federation.key_holders()
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
            **({} if holders is None else {"key_holders": str(holders.current())}),
            **({} if holders is None else _key_use(federation, holders.current(), store)),
            **(fields(federation.assessment().rules()) if federation.rules().assessed else {}),
            **_teaching(deployment, rpc_url, federation.head_address()),
        },
        format_,
    )


def _key_use(federation: Federation, epoch: KeyEpoch, store: str) -> dict[str, object]:
    """What the holders' current key opened, at most, and still opens; nothing without the store."""
    from ddcai.cli.key_use import key_meter

    meter = key_meter(store, federation.rules().config_digest, federation.model_digest())
    if meter is None:
        return {}
    use = meter.of_federation(federation, epoch)
    return {
        "key_openings": f"{use.spent} of {use.most} ciphertexts",
        "key_rounds_left": use.rounds_left,
    }


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
