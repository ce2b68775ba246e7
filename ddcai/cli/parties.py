"""From a command's options to a party's settings and connections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ddcai.errors import ConfigurationError, KeyfileError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


def password(path: Path | None) -> str:
    """The password of the key files."""
    from ddcai.chain.accounts import read_password

    if path is None:
        raise ConfigurationError("password-file is not set: give --password-file, or ETH_PASSWORD")
    return read_password(path)


def keystore_file(keystore: Path | None, account: str | None) -> Path:
    """The keystore itself, where a folder and an address may be given instead.

    Raises:
        ConfigurationError: no keystore is given, or a folder without an address.
        KeyfileError: the folder holds no keystore of that address.
    """
    from ddcai.chain.accounts import find_keystore

    if keystore is None:
        raise ConfigurationError("keystore is not set: give --keystore, or set ETH_KEYSTORE")
    if keystore.is_dir():
        if account is None:
            raise ConfigurationError(f"{keystore} is a folder: say which account with --account")
        return find_keystore(keystore, account)
    return keystore


def open_account(keystore: Path, password_: str, account: str | None) -> LocalAccount:
    """The account of a keystore; if an address is given it must be that one."""
    from ddcai.chain.accounts import load_account

    opened = load_account(keystore, password_)
    if account is not None and account.lower() != opened.address.lower():
        raise KeyfileError(f"{keystore} holds {opened.address}, not {account}: give another")
    return opened


def make_folder(path: Path, option: str, mode: int = 0o777) -> None:
    """Makes a folder unless it is there.

    Raises:
        ConfigurationError: it cannot be made; names the option that says where.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the folder {path}: {error.strerror}: choose another by {option}"
        ) from error


def bls_key_file(given: Path | None, keystore: Path, address: str) -> Path:
    """The attestation key's file: the one given, or the one beside the keystore."""
    if given is not None:
        return given
    beside = keystore.parent / bls_key_name(address)
    if not beside.is_file():
        raise ConfigurationError(
            f"bls-key is not set, and {beside} is not there: give --bls-key, or set DDCAI_BLS_KEY"
        )
    return beside


def attesting_key_file(
    given: Path | None, keystore: Path, address: str, deployment: Path, rpc_url: str
) -> Path | None:
    """As `bls_key_file`; None where the federation's members attest with their accounts."""
    from ddcai.cli.federation import connect_federation

    if connect_federation(deployment, rpc_url).quorum_scheme() == "ecdsa":
        return None
    return bls_key_file(given, keystore, address)


def bls_key_name(address: str) -> str:
    """How `account new` names the attestation key of an account."""
    return f"bls-{address[2:].lower()}.json"


def check_addresses(name: str, given: list[str]) -> list[str]:
    """Checksum addresses, each once.

    Raises:
        ConfigurationError: one that is no address, or is there twice.
    """
    from eth_utils.address import is_address, to_checksum_address

    for address in given:
        if not is_address(address):
            raise ConfigurationError(f"{name} is {address!r}: give 0x and 40 hex digits")
    found = [str(to_checksum_address(address)) for address in given]
    twice = sorted({address for address in found if found.count(address) > 1})
    if twice:
        raise ConfigurationError(f"{name} {twice[0]} is given twice: each party has its own")
    return found
