"""Ethereum accounts in geth's v3 keystores, and passwords from files or the environment."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import is_address, to_checksum_address

from ddcai import strict_json
from ddcai.errors import KeyfileError, WrongPassword
from ddcai.keyfile import write_atomically

PASSWORD_VARIABLE = "DDCAI_PASSWORD"
# geth's costs of scrypt: a second and 256 MB, or (for trials) milliseconds and 4 MB.
_STANDARD_COST, _LIGHT_COST = 2**18, 2**12
_MAX_FILE_BYTES = 64 * 1024


def new_account(
    folder: Path | str, password: str, *, light: bool = False
) -> tuple[LocalAccount, Path]:
    """Makes an account and its keystore, readable by its owner alone.

    Args:
        folder: where keystores are, as geth's ``--keystore``; made if it is not there.
        password: protects the file; there is no other way to the key.
        light: a cheap scrypt, for trials only.

    Returns:
        The account, ready to sign, and the file.

    Raises:
        KeyfileError: an empty password, or a folder that cannot be written.
    """
    if not password:
        raise KeyfileError("the password is empty: give one of at least a character")
    folder = Path(folder)
    secret = os.urandom(32)
    while not _is_secret(secret):  # one in 2^127
        secret = os.urandom(32)
    account: LocalAccount = Account.from_key(secret)
    cost = _LIGHT_COST if light else _STANDARD_COST
    keystore = Account.encrypt(secret, password, iterations=cost)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    path = folder / f"UTC--{moment}--{account.address[2:].lower()}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, json.dumps(keystore).encode())
    except OSError as error:
        raise KeyfileError(f"cannot write a keystore to {folder}: {error.strerror}") from error
    return account, path


def _is_secret(secret: bytes) -> bool:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    return 0 < int.from_bytes(secret, "big") < order


def load_account(path: Path | str, password: str) -> LocalAccount:
    """Opens a v3 keystore, of geth or of anyone else.

    Raises:
        WrongPassword: the password does not open it.
        KeyfileError: missing, damaged, or not a keystore.
    """
    path = Path(path)
    keystore = _read(path)
    try:
        secret = bytes(Account.decrypt(keystore, password))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise WrongPassword(f"the password does not open {path}") from None
        raise KeyfileError(f"{path} is not a geth v3 keystore: {error}") from None
    except (KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise KeyfileError(
            f"{path} is a damaged keystore ({type(error).__name__}): restore it from a copy"
        ) from None
    account: LocalAccount = Account.from_key(secret)
    said = keystore.get("address")
    if said is not None and (not is_address(said) or to_checksum_address(said) != account.address):
        raise KeyfileError(
            f"{path} says it holds {said}, but its key is that of {account.address}: damaged"
        )
    return account


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise KeyfileError(
            f"no keystore at {path}: make one with `ddcai account new`, or correct --keystore"
        ) from None
    except OSError as error:
        raise KeyfileError(f"cannot read {path}: {error.strerror}") from error
    try:
        keystore = strict_json.loads(content) if len(content) <= _MAX_FILE_BYTES else None
    except ValueError:
        keystore = None
    if not isinstance(keystore, dict) or "crypto" not in {str(key).lower() for key in keystore}:
        raise KeyfileError(f"{path} is not a geth v3 keystore")
    return keystore


def find_keystore(folder: Path | str, address: str) -> Path:
    """The keystore of an address in a folder, by file name as geth names them.

    Raises:
        KeyfileError: none, or several.
    """
    folder = Path(folder)
    if not is_address(address):
        raise KeyfileError(f"{address!r} is not an Ethereum address: give 0x and 40 hex digits")
    ending = address.lower().removeprefix("0x")
    found = sorted(folder.glob(f"*{ending}")) if folder.is_dir() else []
    if len(found) != 1:
        raise KeyfileError(
            f"{len(found)} keystores of {address} in {folder}: give the file itself as --keystore"
        )
    return found[0]


def read_password(path: Path | str | None = None, *, variable: str = PASSWORD_VARIABLE) -> str:
    """A password from a file, or else from an environment variable; never from an argument.

    One newline at the end of the file is not part of it; every other character is.

    Raises:
        KeyfileError: neither is there, the password is empty, or the file is not UTF-8.
    """
    if path is None:
        password = os.environ.get(variable, "")
        if not password:
            raise KeyfileError(f"no password: give --password-file, or set {variable}")
        return password
    try:
        # Not read_text: it would turn a carriage return within a password into a newline.
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise KeyfileError(f"cannot read the password file {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise KeyfileError(f"the password file {path} is not UTF-8 text") from None
    if text.endswith("\n"):
        text = text[:-2] if text.endswith("\r\n") else text[:-1]
    if not text:
        raise KeyfileError(f"the password file {path} is empty")
    return text
