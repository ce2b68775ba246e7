"""Files from strangers: read up to a size, and each value of the one form that we write."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from eth_utils.address import is_checksum_address

from ddcai.errors import ConfigurationError, MalformedError
from ddcai.keyfile import write_atomically

_MAX_NUMBER = 1 << 63
_HEX = re.compile(r"0x(?:[0-9a-f]{2})*")


def read(path: Path, limit: int) -> bytes:
    """A file's bytes.

    Raises:
        ConfigurationError: it cannot be read.
        MalformedError: it has more bytes than the limit.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    if len(raw) > limit:
        raise MalformedError(f"{path} has more than {limit} bytes")
    return raw


def write(path: Path, data: bytes) -> None:
    """Writes a file for others to read, in the place of one that is there.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        write_atomically(path, data, mode=0o644)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error


def object_(name: str, value: Any, names: set[str]) -> dict[str, Any]:
    """A JSON object with exactly these names; raises MalformedError for anything else."""
    if not isinstance(value, dict) or set(value) != names:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise MalformedError(f"{name} has {str(found)[:200]}, expected {sorted(names)}")
    return value


def number(name: str, value: Any) -> int:
    """A whole number from 0 to 2^63 - 1; raises MalformedError for anything else."""
    if type(value) is not int or not 0 <= value < _MAX_NUMBER:
        raise MalformedError(f"{name} is {str(value)[:80]!r}: give a whole number from 0")
    return value


def address(name: str, value: Any) -> str:
    """An address with its checksum; raises MalformedError for anything else."""
    if not isinstance(value, str) or not is_checksum_address(value):
        raise MalformedError(f"{name} is {str(value)[:80]!r}: give an address with its checksum")
    return value


def bytes_(name: str, value: Any) -> bytes:
    """Bytes, from 0x and lower-case hex; raises MalformedError for anything else."""
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise MalformedError(f"{name} is {str(value)[:80]!r}: give 0x and lower-case hex digits")
    return bytes.fromhex(value[2:])


def digest(name: str, value: Any) -> bytes:
    """32 bytes; raises MalformedError for anything else."""
    found = bytes_(name, value)
    if len(found) != 32:
        raise MalformedError(f"{name} has {len(found)} bytes: a digest has 32")
    return found
