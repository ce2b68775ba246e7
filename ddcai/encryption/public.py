"""Public keys of either scheme: what the chain names, and contributors encrypt with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ddcai.encryption import public_file, wire
from ddcai.encryption.bfv import HOLDS_PUBLIC, PublicKey
from ddcai.encryption.compact import wire as compact_wire
from ddcai.encryption.compact.keys import HOLDS_KEYS, HolderKeys

AnyKey = PublicKey | HolderKeys


def key_from_blob(blob: bytes) -> AnyKey:
    """Reads the wire form of a key of either scheme.

    Raises:
        MalformedError: if it is not exactly one.
    """
    if wire.kind_of(blob) == compact_wire.KEYS:
        return HolderKeys.from_blob(blob)
    return PublicKey.from_blob(blob)


def load_key(path: Path | str) -> AnyKey:
    """Reads the file of a key of either scheme.

    Raises:
        KeyfileError: if the file is missing, damaged, or holds something else.
    """
    readers: dict[str, Callable[[bytes], AnyKey]] = {
        HOLDS_PUBLIC: PublicKey.from_blob,
        HOLDS_KEYS: HolderKeys.from_blob,
    }
    return public_file.read(path, readers)
