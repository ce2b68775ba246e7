"""Reading TOML files: short ones only, and none that the parser would crash on.

The parser calls itself for each bracket, and two dependencies raise the interpreter's recursion
limit so far that a deep document ends the process (`ddcai.strict_json`).
"""

from __future__ import annotations

import reprlib
import tomllib
from pathlib import Path
from typing import Any

from ddcai.errors import ConfigurationError

LARGEST_FILE_BYTES = 16 * 1024
MOST_BRACKETS = 64


def loads(text: str) -> dict[str, Any]:
    """The table of a document.

    Raises:
        ConfigurationError: not TOML, or more than 64 brackets.
    """
    if sum(map(text.count, "[{")) > MOST_BRACKETS:
        raise ConfigurationError(f"more than {MOST_BRACKETS} brackets: leave some out")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # its own, and one for numbers of too many digits
        raise ConfigurationError(f"not TOML: {error}") from error


def read(path: Path | str, what: str, most_bytes: int = LARGEST_FILE_BYTES) -> str:
    """The text of a file, in UTF-8.

    Args:
        what: the file, for messages: ``the policy``.
        most_bytes: a longer one is refused.

    Raises:
        ConfigurationError: it cannot be read, is longer, or not UTF-8.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot read {what} {path}: {why}") from error
    if len(content) > most_bytes:
        raise ConfigurationError(f"{what} {path} has more than {most_bytes} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what} {path}: {error}") from error


def shown(value: object) -> str:
    """A value for a message, cut short."""
    try:
        return reprlib.repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"
