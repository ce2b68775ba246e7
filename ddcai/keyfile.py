"""Files that hold state or secrets: written whole or not at all, secrets under a password.

A secret file is JSON: what it holds, its public part in the clear, and the secret under
AES-256-GCM with a key from scrypt (RFC 7914). The public part is authenticated with the
secret, so that one file's label cannot be put on another's content. Used for the
attestation key and the key holder's decryption key; Ethereum accounts have the geth v3
form instead (`ddcai.chain.accounts`).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ddcai import faults, strict_json
from ddcai.digests import canonical_json
from ddcai.errors import DiskError, KeyfileError, WrongPassword

_FORMAT = "ddcai-secret-1"
# geth's standard and light costs; the light one is for trials and tests.
_STANDARD_COST, _LIGHT_COST = 2**18, 2**12
_MAX_COST = 2**20
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 32, 12, 32
_MAX_FILE_BYTES = 64 * 2**20


def write_atomically(
    path: Path | str, data: bytes, mode: int = 0o600, *, place: str = "file"
) -> None:
    """Writes a file so that a crash leaves the old content or the new, never a part.

    Temporary file in the same folder, fsync, rename, fsync of the folder.

    Args:
        place: what it is to `ddcai.faults`: file or blob.

    Raises:
        DiskError: it cannot be written, as on a full disk; the old content is there.
    """
    with _temporary(Path(path), data, mode, place) as temporary:
        os.replace(temporary, path)


def write_once(path: Path | str, data: bytes) -> bool:
    """Writes a file if there is none of that name; of two that race, one wins.

    Temporary file in the same folder, fsync, link, which fails if the name exists, fsync of the
    folder. A crash leaves the whole file or none, and maybe a temporary one whose name begins
    with a dot.

    Returns:
        True, the file is on disk; False, there is one, and it stays as it is.

    Raises:
        DiskError: it cannot be written, as on a full disk.
    """
    with _temporary(Path(path), data, 0o600) as temporary:
        try:
            os.link(temporary, path)
            return True
        except FileExistsError:
            return False  # the other one may not have come so far as to sync the folder


@contextlib.contextmanager
def _temporary(path: Path, data: bytes, mode: int, place: str = "file") -> Iterator[str]:
    """A file beside a path, on disk, to be given its name; syncs the folder afterwards."""
    faults.reach(f"{place}-before")
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            faults.reach(f"{place}-part")
            yield temporary
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        sync_folder(path.parent)
    except OSError as error:
        raise DiskError(error.errno, error.strerror, str(path)) from error
    faults.reach(f"{place}-after")


def destroy(path: Path | str) -> None:
    """Overwrites a file with random bytes, and removes it; both on disk on return.

    Flash storage, file systems that copy on write, snapshots and backups may keep what was there.
    A crash may leave the file, whole, in part or overwritten.

    Raises:
        OSError: it is not there, or cannot be written or removed.
    """
    path = Path(path)
    with path.open("r+b") as file:
        file.write(os.urandom(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder survive a loss of power."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def save_secret(
    path: Path | str,
    *,
    holds: str,
    secret: bytes,
    public: dict[str, Any],
    password: str,
    light: bool = False,
) -> None:
    """Writes a secret under a password; never overwrites a file.

    Args:
        path: the new file; readable by its owner alone.
        holds: what it holds, such as ``bls-secret-key``; `load_secret` must ask for the same.
        secret: the bytes to protect.
        public: JSON values stored in the clear beside it, authenticated with it.
        password: any text; an empty one is refused.
        light: scrypt with 2^12 instead of 2^18 (4 MB, milliseconds): for trials only.

    Raises:
        KeyfileError: if the file is there already, or the password is empty.
    """
    path = Path(path)
    if not password:
        raise KeyfileError("the password is empty: choose one")
    if path.exists():
        raise KeyfileError(f"{path} is there already: choose another file, keys are not replaced")
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    cost = _LIGHT_COST if light else _STANDARD_COST
    header = {"format": _FORMAT, "holds": holds, "public": public}
    sealed = AESGCM(_derive(password, salt, cost)).encrypt(nonce, secret, canonical_json(header))
    document = header | {
        "scrypt": {"n": cost, "r": 8, "p": 1, "salt": salt.hex()},
        "aes-256-gcm": {"nonce": nonce.hex(), "ciphertext": sealed.hex()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(document, indent=1).encode() + b"\n")


def load_secret(path: Path | str, *, holds: str, password: str) -> tuple[bytes, dict[str, Any]]:
    """Reads a secret file; returns the secret and its public part.

    Raises:
        KeyfileError: if the file is missing, damaged, or holds something else.
        WrongPassword: if the password does not open it (or the file was altered).
    """
    document = read_public(path, holds=holds)
    try:
        kdf, cipher = document["scrypt"], document["aes-256-gcm"]
        cost, salt = int(kdf["n"]), bytes.fromhex(kdf["salt"])
        nonce, sealed = bytes.fromhex(cipher["nonce"]), bytes.fromhex(cipher["ciphertext"])
        good = kdf["r"] == 8 and kdf["p"] == 1 and 2**10 <= cost <= _MAX_COST
        if not good or cost & (cost - 1) or len(nonce) != _NONCE_BYTES:
            raise ValueError("parameters")
    except (KeyError, TypeError, ValueError) as error:
        raise KeyfileError(f"{path} is damaged: restore it from a backup") from error
    header = {name: document[name] for name in ("format", "holds", "public")}
    try:
        key = _derive(password, salt, cost)
        return AESGCM(key).decrypt(nonce, sealed, canonical_json(header)), document["public"]
    except InvalidTag as error:
        raise WrongPassword(
            f"the password does not open {path}: check it (or restore the file if it was altered)"
        ) from error


def read_public(path: Path | str, *, holds: str) -> dict[str, Any]:
    """The document of a secret file, its secret still sealed.

    Raises:
        KeyfileError: if the file is missing, no secret file, or holds something else.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise KeyfileError(f"{path} is too large for a key file")
        document = strict_json.loads(path.read_bytes())
    except OSError as error:
        raise KeyfileError(f"cannot read the key file {path}: {error.strerror}") from error
    except ValueError as error:
        raise KeyfileError(f"{path} is no key file: it is not JSON") from error
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise KeyfileError(f"{path} is no ddcai key file")
    if document.get("holds") != holds:
        raise KeyfileError(f"{path} holds {document.get('holds')!r}, not {holds!r}: give another")
    if not isinstance(document.get("public"), dict):
        raise KeyfileError(f"{path} is damaged: restore it from a backup")
    return document


def _derive(password: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=cost, r=8, p=1).derive(password.encode())
