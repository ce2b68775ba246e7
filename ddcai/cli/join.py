"""``ddcai join``: from an invitation to a client that can be started."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddcai.cli.client import Role
from ddcai.cli.options import (
    AccountOption,
    BlsKeyOption,
    EncryptionKeyOption,
    FormatOption,
    KeystoreOption,
    LightKdfOption,
    NewPasswordFileOption,
)
from ddcai.cli.output import emit, emit_one, say
from ddcai.errors import ConfigurationError, VerificationError

if TYPE_CHECKING:
    from ddcai.chain.invitation import Invitation
    from ddcai.rounds.party import Settings

FAILED = 2


def join(
    file: Annotated[Path, typer.Argument(help="The invitation.")],
    password_file: NewPasswordFileOption,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            writable=True,
            help="For keys, state, CA certificate and configuration; by default the federation's "
            "name, here.",
        ),
    ] = None,
    signer: Annotated[
        str | None,
        typer.Option(
            "--signer",
            help="Who must have signed: the sponsor's or coordinator's account, as you know it by "
            "another way than this file.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The site's file: .csv, .parquet or .npz. Stays here."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="The label column, where it is not the federation's."),
    ] = None,
    role: Annotated[
        Role, typer.Option("--role", help="Become a member, or take a key holder's place.")
    ] = "contributor",
    encryption_key: EncryptionKeyOption = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", envvar="DDCAI_POLICY", help="The node's own limits, a TOML file."),
    ] = None,
    keystore: KeystoreOption = None,
    account: AccountOption = None,
    bls_key: BlsKeyOption = None,
    rpc_url: Annotated[
        str | None,
        typer.Option(
            "--rpc-url",
            envvar="ETH_RPC_URL",
            help="JSON-RPC endpoint of the chain, rather one of your own; by default the file's.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", envvar="DDCAI_STORE", help="Blob store; by default the one in the file."
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure", help="For trials: take an invitation to a SuperLink that has no TLS."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a stake is paid.")] = False,
    light_kdf: LightKdfOption = False,
    format_: FormatOption = "table",
) -> None:
    """Join a federation by an invitation: keys, registration, node key, check, configuration.

    Checks the file's signature, time, chain and account before anything is made or sent. Makes
    the keys that are missing. Registers with the federation's stake, and binds the node's key.
    A key holder has its keys, and is no member: only its node's key is bound.
    Run again, it goes on where it ended, and sends nothing twice. Exit code 2 if a check of
    `ddcai doctor` fails in the end; what was made is kept.
    """
    from ddcai.cli import joining
    from ddcai.cli.client import store_url
    from ddcai.cli.parties import keystore_file, make_folder, password
    from ddcai.cli.readiness import check_key_holder
    from ddcai.rounds.founding import require_admission
    from ddcai.rounds.party import Settings

    invitation, signed_by = _read(file, signer, insecure)
    rpc_url = rpc_url or invitation.rpc_url
    store = store_url(store or invitation.store)
    secret = password(password_file)
    seen = joining.checked_party(invitation, signed_by, rpc_url, store)

    home = (folder or Path(invitation.deployment.name)).expanduser().absolute()
    joining.require_own_folder(home, invitation.deployment)
    if keystore is not None:
        keystore = keystore_file(keystore, account or invitation.account or None)
    contributes = role == "contributor"
    own, keystore = joining.find_or_make_account(
        home / joining.KEYS, keystore, account or invitation.account, secret,
        make=contributes, light=light_kdf,
    )  # fmt: skip
    address = str(own.address)
    invitation.require_account(address)
    joined = seen.federation.member(address) is not None
    attesting = None
    if contributes and seen.federation.quorum_scheme() == "bls":
        attesting = joining.find_or_make_bls_key(
            bls_key, keystore, address, secret, joined=joined, light=light_kdf
        )
    say(f"account {address}, keystore {keystore}: its folder and the password need a copy")
    if contributes and not joined:
        require_admission(seen, address)

    make_folder(home, "--folder", 0o700)
    settings = Settings(
        deployment=str(invitation.deployment.save(home / joining.DEPLOYMENTS)),
        rpc_url=rpc_url,
        store=store,
        keystore=_absolute(keystore),
        password_file=_absolute(password_file),
        bls_key=_absolute(attesting),
        encryption_key="" if contributes else _absolute(encryption_key),
        state=str(home / joining.STATE),
        role=role,
        policy=_absolute(policy),
    )
    if contributes:
        tx_hash = _register(settings, data, label, yes)
    else:
        check_key_holder(settings)
        tx_hash = None
    node_key = joining.bound_node_key(settings)
    ca_certificate = joining.write_ca(home, invitation.ca_certificate)
    values = joining.client_values(
        settings, invitation.superlink, ca_certificate, _absolute(data), label or ""
    )
    config = home / joining.CONFIG_NAME
    joining.write_config(config, values)

    lines = joining.preflight(settings, values)
    failed = [one.check for one in lines if one.status == "fail"]
    command = f"ddcai client --config {shlex.quote(str(config))}"
    command += " --data SITE.csv" if contributes and data is None else ""
    member = seen.federation.member(address)
    found = {
        "address": address,
        "index": None if member is None else member.index,
        "tx_hash": tx_hash,
        "node_key": node_key,
        "config": config,
        "command": command,
    }
    if format_ == "table":
        emit(lines, format_, title="doctor")
        emit_one(found, format_)
    else:
        emit_one({**found, "doctor": lines}, format_)
    if failed:
        say(f"joined, but {', '.join(failed)} failed: `ddcai doctor --config {config}` says when "
            "it is mended")  # fmt: skip
        raise typer.Exit(FAILED)
    say(f"joined: {command}")


def _read(file: Path, signer: str | None, insecure: bool) -> tuple[Invitation, str]:
    """An invitation that is for now, and who signed it; nothing is asked of a chain."""
    from ddcai.chain.invitation import Invitation

    invitation, signed_by = Invitation.load(file)
    invitation.require_time(time.time())
    if signer is not None and signer.lower() != signed_by.lower():
        raise VerificationError(
            f"{file} is signed by {signed_by}, and --signer is {signer}: ask that account for one"
        )
    if not invitation.ca_certificate and not insecure:
        raise ConfigurationError(
            f"{file} is for a SuperLink without TLS: ask for one with a CA certificate, or, for a "
            "trial, take it with --insecure"
        )
    return invitation, signed_by


def _register(settings: Settings, data: Path | None, label: str | None, yes: bool) -> str | None:
    """Registers the account after the last checks; the transaction's hash, None if it had been."""
    from ddcai.chain.transactions import ether
    from ddcai.cli.readiness import check_data
    from ddcai.cli.trainer import ask
    from ddcai.rounds.founding import register_once
    from ddcai.rounds.party import Party, attestation_key

    party = Party.connect(settings)
    key = attestation_key(settings, party)
    if data is not None:
        check_data(settings, data, label)
    if party.guard is not None:
        party.guard.check_federation(party)
    stake_wei = party.federation.rules().registration_stake_wei
    if stake_wei and not yes and party.federation.member(party.address) is None:
        ask(f"pay a stake of {ether(stake_wei)}, which comes back to a member that leaves?")
    receipt = register_once(party, key, Path(settings.bls_key or settings.keystore))
    return None if receipt is None else receipt.tx_hash


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.expanduser().absolute())
