"""Reading the fields of messages from other holders, strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ddcai.errors import MalformedError

_HEX = re.compile(r"(?:[0-9a-f]{2})*")


def fields_of(body: Any, names: Iterable[str]) -> dict[str, Any]:
    """A body's fields, exactly these.

    Raises:
        MalformedError: another set of fields, or no object.
    """
    wanted = set(names)
    if not isinstance(body, dict) or set(body) != wanted:
        raise MalformedError(f"a body has exactly the fields {', '.join(sorted(wanted))}")
    return body


def hex_bytes(value: Any, size: int | None = None) -> bytes:
    """The bytes of a lower-case hexadecimal string.

    Args:
        size: how many there must be, if given.

    Raises:
        MalformedError: anything else.
    """
    if not isinstance(value, str) or _HEX.fullmatch(value) is None:
        raise MalformedError("a field is not lower-case hexadecimal")
    found = bytes.fromhex(value)
    if size is not None and len(found) != size:
        raise MalformedError(f"a field has {len(found)} bytes, not {size}")
    return found


def hex_list(value: Any, count: int, size: int | None = None) -> list[bytes]:
    """A list of so many hexadecimal strings.

    Raises:
        MalformedError: anything else.
    """
    if not isinstance(value, list) or len(value) != count:
        raise MalformedError(f"a field is no list of {count}")
    return [hex_bytes(item, size) for item in value]
