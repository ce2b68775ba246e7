"""Places where tests have a process die, as by a loss of power; inert otherwise.

`DDCAI_FAULT=<place>:<n>` kills the process by SIGKILL where it comes to that place for the nth
time. Who can set a process's environment can kill it anyway.
"""

from __future__ import annotations

import os
import signal

from ddcai.errors import ConfigurationError

VARIABLE = "DDCAI_FAULT"
# Around each chain transaction, and each blob and file of a party's own that is written.
PLACES = (
    "transaction-before",  # nothing is signed yet
    "transaction-signed",  # and paid for out of the policy's purse, but not sent
    "transaction-sent",  # the chain's node has it
    "transaction-after",  # it is mined
    "blob-before",
    "blob-part",  # its temporary file is there
    "blob-after",
    "file-before",
    "file-part",
    "file-after",
)

_left: dict[str, int] | None = None


def reach(place: str) -> None:
    """A process has come to a place, one of `PLACES`.

    Raises:
        ConfigurationError: the variable names no place or no number.
    """
    global _left
    if _left is None:
        _left = _read(os.environ.get(VARIABLE, ""))
    if place in _left:
        _left[place] -= 1
        if _left[place] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _read(value: str) -> dict[str, int]:
    if not value:
        return {}
    place, _, number = value.partition(":")
    if place not in PLACES or not (number.isascii() and number.isdecimal() and int(number)):
        raise ConfigurationError(
            f"{VARIABLE} is {value!r}: give one of {', '.join(PLACES)}, a colon and a number from "
            "1 up; or unset it, since it kills the process"
        )
    return {place: int(number)}
