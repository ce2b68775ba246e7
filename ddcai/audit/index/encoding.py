"""Events' arguments as JSON, without loss: the ABI's types say what each value was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Beyond this JSON readers that have only doubles, SQLite's own among them, lose digits.
EXACT = 2**53


def dumps(args: Mapping[str, Any]) -> str:
    """Bytes as 0x and hex, integers of more than 53 bits as decimal strings, tuples as lists."""
    return json.dumps(
        {name: _plain(value) for name, value in args.items()},
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not -EXACT < value < EXACT:
        return str(value)
    return value


def loads(text: str, types: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of `dumps`.

    Args:
        types: ABI types by name (`ddcai.chain.log_decoder.LogDecoder.types`).
    """
    return {name: _typed(value, types[name]) for name, value in json.loads(text).items()}


def _typed(value: Any, kind: str) -> Any:
    if kind.endswith("]"):
        inner = kind[: kind.rindex("[")]
        return tuple(_typed(item, inner) for item in value)
    if kind.startswith("bytes"):
        return bytes.fromhex(value[2:])
    if kind.startswith(("uint", "int")):
        return int(value)
    return value
