"""The steps of ``ddcai join``. Each finds what an earlier run made, which may have died anywhere.

Files are written whole or not at all, and keys before anything that names them is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ddcai.cli import config_file
from ddcai.cli.client import to_toml
from ddcai.cli.output import say
from ddcai.errors import ConfigurationError, KeyfileError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from ddcai.chain.deploy import Deployment
    from ddcai.chain.invitation import Invitation
    from ddcai.cli.doctor_machine import Line
    from ddcai.rounds.party import Party, Settings

CA_NAME, CONFIG_NAME = "ca.pem", "ddcai.toml"
KEYS, STATE, DEPLOYMENTS = "keys", "state", "deployments"
_NOT_WRITTEN = {"scalar-budget"}  # which has one default, and no option of `join`


def checked_party(invitation: Invitation, signer: str, rpc_url: str, store: str) -> Party:
    """The federation, without an account, that an invitation is for: by the chain.

    Raises:
        ChainUnreachable, WrongChain, NotAFederation: about the chain and the contract.
        ConfigurationError: the deployment's configuration or registry is of another federation.
        VerificationError: neither sponsor nor coordinator signed.
        StoreError: there is no such store, or not with the federation's encryption key.
    """
    from ddcai.chain.federation import Federation
    from ddcai.chain.node.connection import connect
    from ddcai.chain.node_registry import NodeRegistry
    from ddcai.configuration import FederationConfig
    from ddcai.errors import StoreError
    from ddcai.rounds.party import Party
    from ddcai.store import Store, is_there

    deployment = invitation.deployment
    w3 = connect(rpc_url, chain_id=deployment.chain_id)
    federation = Federation.connect(w3, deployment.federation, from_block=deployment.deployed_block)
    role = invitation.require_signer(signer, federation)
    registry = None
    if deployment.node_registry is not None:
        registry = NodeRegistry(w3, deployment.node_registry)
        registry.require_federation(federation.address)
    if not is_there(store):
        raise StoreError(f"there is no store at {store}: get access to it, or give --store")
    config = FederationConfig.from_json(deployment.config)
    party = Party(federation, config, Store(store), None, registry)
    _ = party.encryption_key()
    say(f"invited by {signer}, {role} of {federation.address} on chain {federation.chain_id}")
    return party


def require_own_folder(home: Path, deployment: Deployment) -> None:
    """Refuses a folder that another federation uses: its client's CA would be replaced.

    The name is the sponsor's to choose, who may have chosen another's.

    Raises:
        ConfigurationError: the folder has another deployment, or such files without one.
    """
    name = f"{deployment.chain_id}-{deployment.name}.json"
    there = home / DEPLOYMENTS / name
    if there.is_file():
        other = type(deployment).load(there).federation != deployment.federation
        other = other or len(list((home / DEPLOYMENTS).glob("*.json"))) > 1
    else:
        other = any((home / one).exists() for one in (CA_NAME, CONFIG_NAME, STATE, DEPLOYMENTS))
    if other:
        raise ConfigurationError(
            f"{home} has files of something else than the federation {deployment.federation}: "
            "choose another folder by --folder"
        )


def find_or_make_account(
    folder: Path, keystore: Path | None, invited: str, secret: str, *, make: bool, light: bool
) -> tuple[LocalAccount, Path]:
    """The account that is to join, and its keystore.

    Args:
        folder: of keystores that an earlier run made.
        keystore: one that is given.
        invited: the one account that it can be; empty for any.
        make: whether to make an account where there is none.

    Raises:
        ConfigurationError: that account's keystore is not there, or none, and none is made.
        KeyfileError, WrongPassword: about the keystore.
    """
    from ddcai.chain.accounts import find_keystore, new_account
    from ddcai.cli.parties import make_folder, open_account

    found = [keystore] if keystore is not None else sorted(folder.glob("UTC--*"))
    if not found:
        if invited or not make:
            whose = invited or "the key holder"
            raise ConfigurationError(
                f"there is no keystore of {whose} in {folder}: give that account's as --keystore"
            )
        make_folder(folder.parent, "--folder", 0o700)
        return new_account(folder, secret, light=light)
    if len(found) > 1 and not invited:
        raise KeyfileError(f"{len(found)} keystores in {folder}: say which account with --account")
    path = found[0] if len(found) == 1 else find_keystore(folder, invited)
    return open_account(path, secret, invited or None), path


def find_or_make_bls_key(
    given: Path | None, keystore: Path, address: str, secret: str, *, joined: bool, light: bool
) -> Path:
    """The attestation key's file; made if there is none and the account has not joined yet.

    Raises:
        ConfigurationError: there is none where it is given, or where one was registered.
    """
    from ddcai.attestation import BlsSecretKey
    from ddcai.cli.parties import bls_key_name

    path = given or keystore.parent / bls_key_name(address)
    if path.is_file():
        return path
    if joined or given is not None:
        why = f"{address} has joined already" if joined else "it is given"
        raise ConfigurationError(
            f"no attestation key at {path}, and {why}: give its file as --bls-key"
        )
    BlsSecretKey.generate().save(path, secret, light=light)
    return path


def write_ca(folder: Path, pem: str) -> Path | None:
    """The file of the invitation's CA certificate, replaced where it differs; None without one."""
    from ddcai.keyfile import write_atomically

    if not pem:
        return None
    path = folder / CA_NAME
    if not path.is_file() or path.read_bytes() != pem.encode():
        write_atomically(path, pem.encode(), mode=0o644)
    return path


def bound_node_key(settings: Settings) -> Path:
    """The node key's file, where `ddcai client` looks for it; made and bound to the account once.

    Raises:
        PolicyError: a client runs already, by another key.
        InsufficientBalance, ChainError: the account cannot pay, or as `node_binding.bind`.
    """
    from ddcai.cli.readiness import bind_node_key, only_one
    from ddcai.rounds.node_binding import is_bound
    from ddcai.rounds.node_key import NodeKey
    from ddcai.rounds.party import Party, state_folder

    party = Party.connect(settings)
    folder = state_folder(settings, party) / party.address.lower()
    path = folder / "node-key"
    # A client that runs holds the folder, and bound the key before.
    if not (path.exists() and is_bound(party, NodeKey.load(path))):
        with only_one(folder, party.address):
            bind_node_key(party, path)
    return path


def client_values(
    settings: Settings, superlink: str, ca_certificate: Path | None, data: str, label: str
) -> dict[str, str | bool]:
    """The section ``client`` of the configuration.

    An endpoint or store with a password in it stays out: no secret stands there.
    """
    given = settings.to_mapping() | {"superlink": superlink, "data": data, "label": label}
    values: dict[str, str | bool] = {}
    for name, value in given.items():
        if config_file.urlsplit_password(value):
            say(f"{name} has a password in it, and is not written: give it to `ddcai client`, too")
        elif value and name not in _NOT_WRITTEN:
            values[name] = value
    if ca_certificate is None:
        values["insecure"] = True
    else:
        values["ca-certificate"] = str(ca_certificate)
    return values


def write_config(path: Path, values: Mapping[str, str | bool]) -> None:
    """Writes the client's configuration; one that is there stays as it is, and is compared."""
    from ddcai.keyfile import write_once

    if write_once(path, f"[client]\n{to_toml(values)}".encode()):
        return
    present = config_file.section(path, "client")
    other = sorted(name for name, value in values.items() if present.get(name) != value)
    if other:
        say(
            f"WARNING: {path} is kept, and says otherwise than this invitation of "
            f"{', '.join(other)}: change it there, or move it away and join again"
        )


def preflight(settings: Settings, values: Mapping[str, str | bool]) -> list[Line]:
    """The lines of `ddcai doctor` for the new client."""
    from ddcai.cli.doctor_checks import Asked, Examination
    from ddcai.cli.doctor_machine import Line
    from ddcai.cli.processes import answers, split_address

    superlink = str(values["superlink"])
    answering = answers(*split_address(superlink))
    asked = Asked(
        role="contributor" if settings.role == "contributor" else "keyholder",
        deployment=settings.deployment,
        rpc_url=settings.rpc_url,
        store=settings.store,
        keystore=settings.keystore,
        password_file=settings.password_file,
        bls_key=settings.bls_key,
        encryption_key=settings.encryption_key,
        state=settings.state,
        policy=settings.policy,
        data=str(values.get("data", "")),
        label=str(values.get("label", "")),
        superlink=superlink if answering else "",
        insecure="insecure" in values,
        ca_certificate=str(values.get("ca-certificate", "")),
    )
    silent = f"nobody answers at {superlink} yet"
    remedy = "start the client all the same: it waits for the coordinator"
    return [
        Line(check=one.check, status="warn", found=silent, remedy=remedy)
        if one.check.startswith("superlink") and not answering
        else one
        for one in Examination(asked).lines()
    ]
