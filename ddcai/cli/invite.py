"""``ddcai federation invite``: on chain, and by a signed file for each newcomer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.options import (
    DEFAULT_RPC_URL,
    DEFAULT_STORE,
    DEFAULT_TLS,
    AccountOption,
    DeploymentOption,
    FormatOption,
    KeystoreOption,
    PasswordFileOption,
    RpcUrlOption,
    StoreOption,
)
from ddcai.cli.output import emit_one, say
from ddcai.cli.parties import make_folder
from ddcai.errors import ConfigurationError

if TYPE_CHECKING:
    from ddcai.chain.federation import Federation

DAYS = 14
_DAY_S = 86_400
INSECURE = (
    "WARNING: --insecure is for trials: these invitations ask for a SuperLink without TLS, and "
    "`ddcai join` takes them with --insecure alone"
)


def invite(
    deployment: DeploymentOption,
    addresses: Annotated[list[str] | None, typer.Argument(help="Accounts that may join.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            writable=True,
            help="Folder for invitation files, one an account; without accounts, one for any.",
        ),
    ] = None,
    superlink: Annotated[
        str | None,
        typer.Option("--superlink", help="In the file: the coordinator's SuperLink, HOST:PORT."),
    ] = None,
    ca_certificate: Annotated[
        Path,
        typer.Option(
            "--ca-certificate", help="In the file: ca.pem from the coordinator, to check TLS by."
        ),
    ] = DEFAULT_TLS / "ca.pem",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="In the file: for trials, a SuperLink without TLS.")
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    their_rpc_url: Annotated[
        str | None,
        typer.Option(
            "--their-rpc-url",
            help="In the file: the endpoint for newcomers; by default that of --rpc-url.",
        ),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=3650, help="For how long the file is taken.")
    ] = DAYS,
    rpc_url: RpcUrlOption = DEFAULT_RPC_URL,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    password_file: PasswordFileOption = None,
    format_: FormatOption = "table",
) -> None:
    """Invite accounts; the sponsor alone can.

    With --out also write a file for each, signed by this account, for `ddcai join`: chain,
    contracts, store, SuperLink and CA certificate. The coordinator can write files, too, for
    accounts that are invited already. Nothing in a file is secret; it lets nobody in by itself.
    """
    from ddcai.chain.deploy import Deployment
    from ddcai.chain.federation import Federation
    from ddcai.chain.invitation import Invitation
    from ddcai.chain.node.connection import connect, masked
    from ddcai.chain.transactions import Sender
    from ddcai.cli.client import store_url
    from ddcai.cli.parties import check_addresses, keystore_file, open_account, password

    invited = check_addresses("address", addresses or [])
    if out is None and not invited:
        raise ConfigurationError("no account to invite: give its address, or --out for a file")
    if out is not None and their_rpc_url is None and masked(rpc_url) != rpc_url:
        raise ConfigurationError(
            f"the endpoint {masked(rpc_url)} may carry a key of yours, and would stand in the "
            "file: give the one for newcomers as --their-rpc-url"
        )
    file = keystore_file(keystore, account)
    found = Deployment.load(deployment)
    w3 = connect(rpc_url, chain_id=found.chain_id)
    signer = open_account(file, password(password_file), account)
    federation = Federation.connect(w3, found.federation, Sender(w3, signer))
    if out is None:
        receipt = federation.invite(invited)
        emit_one({"invited": invited, "tx_hash": receipt.tx_hash}, format_)
        return
    if superlink is None:
        raise ConfigurationError("superlink is not set: give the coordinator's as --superlink")
    authority = _authority(ca_certificate, insecure)
    texts = {}
    for one in invited or [""]:
        invitation = Invitation(
            deployment=found,
            account=one,
            expires=int(time.time()) + days * _DAY_S,
            rpc_url=their_rpc_url or rpc_url,
            store=store_url(store),
            superlink=superlink,
            ca_certificate=authority,
        )
        invitation.require_signer(signer.address, federation)
        name = f"invitation-{one[2:].lower()}.toml" if one else "invitation.toml"
        texts[name] = invitation.signed_by(signer)
    make_folder(out, "--out")
    new = [] if federation.rules().open_membership else _not_invited(federation, invited)
    tx_hash = federation.invite(new).tx_hash if new else None
    files = [_write(out / name, text) for name, text in texts.items()]
    emit_one({"invited": new, "tx_hash": tx_hash, "files": files}, format_)


def _authority(path: Path, insecure: bool) -> str:
    """The CA certificate's file; empty where there is to be none."""
    from ddcai.cli.certificates import check_authority

    if insecure:
        say(INSECURE)
        return ""
    check_authority(path)
    return path.read_text(encoding="ascii", errors="replace")


def _not_invited(federation: Federation, accounts: list[str]) -> list[str]:
    return [
        one for one in accounts if not federation.is_invited(one) and federation.member(one) is None
    ]


def _write(path: Path, text: str) -> Path:
    from ddcai.keyfile import write_atomically

    write_atomically(path, text.encode(), mode=0o644)
    return path
