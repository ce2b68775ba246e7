"""Parsing JSON from strangers: refuses what `json.loads` would crash on or let through.

py_ecc and py-evm raise the interpreter's recursion limit to 100,000 when they are imported.
With that, ``json.loads`` of 100,000 opening brackets ends the whole process with a
segmentation fault instead of a RecursionError. So depth is measured before parsing.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

MAX_DEPTH = 64

# Strings (an unterminated one goes to the end, so that this is linear), or one bracket.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\(?:.|\Z)[^"\\]*)*(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)


def loads(data: bytes | str) -> Any:
    """The value of a JSON document in UTF-8.

    Raises:
        ValueError: not JSON, nested deeper than 64, or with NaN or infinity.
    """
    raw = data.encode() if isinstance(data, str) else data
    _check_depth(raw)
    return json.loads(raw.decode("utf-8"), parse_constant=_refuse)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _TOKEN.finditer(raw):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH}")
        elif token in (b"]", b"}"):
            depth -= 1
