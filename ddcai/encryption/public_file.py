"""Files with public keys: JSON that says what it holds."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ddcai import strict_json
from ddcai.digests import public_key_digest
from ddcai.errors import KeyfileError, MalformedError
from ddcai.keyfile import write_atomically

_FORMAT = "ddcai-public-1"
_MAX_FILE_BYTES = 2**22

Key = TypeVar("Key")


def write(path: Path | str, holds: str, set_id: str, blob: bytes) -> None:
    """Writes a key's blob; readable by all.

    Args:
        holds: what it is.
        set_id: its parameter set.
    """
    document = {
        "format": _FORMAT,
        "holds": holds,
        "parameter_set": set_id,
        "digest": public_key_digest(blob).hex(),
        "key": base64.b64encode(blob).decode("ascii"),
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(document, indent=1).encode() + b"\n", mode=0o644)


def read(path: Path | str, readers: Mapping[str, Callable[[bytes], Key]]) -> Key:
    """Reads what `write` wrote.

    Args:
        readers: what to make of a blob, by what it is.

    Raises:
        KeyfileError: if the file is missing, damaged, or holds something else.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise KeyfileError(f"{path} is too large for a public key file")
        document = strict_json.loads(path.read_bytes())
    except OSError as error:
        raise KeyfileError(f"cannot read the key file {path}: {error.strerror}") from error
    except ValueError as error:
        raise KeyfileError(f"{path} is no key file: it is not JSON") from error
    found = str(document.get("holds")) if isinstance(document, dict) else ""
    if found not in readers:
        wanted = " or ".join(repr(holds) for holds in readers)
        raise KeyfileError(f"{path} holds {found!r}, not {wanted}: give another file")
    try:
        if document["format"] != _FORMAT:
            raise ValueError("format")
        blob = base64.b64decode(document["key"], validate=True)
        key = readers[found](blob)
        if document["digest"] != public_key_digest(blob).hex():
            raise ValueError("digest")
    except (KeyError, TypeError, ValueError, binascii.Error, MalformedError) as error:
        raise KeyfileError(f"{path} is damaged: get it again from the sponsor") from error
    return key
