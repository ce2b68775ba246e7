"""Logs as events: one line each, with time, level, event, round and party; text or JSON.

Names, file names and error texts come from strangers too. What they hold of control characters,
line ends and marks that turn the direction of writing is escaped, so that nobody can write a line
of somebody else's. No event holds a secret: keys and passwords are in no message and no error of
ddcai's, and what is logged is not more than those.

A coordinator's and a client's work is done in processes that Flower starts, some of them one a
message. They send their events through a socket to the command that started Flower, which writes
them (`ddcai.cli.events`). So what else those processes print cannot pass for an event.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from ddcai import strict_json

Form = Literal["text", "json"]
Event = dict[str, Any]

FORM_VARIABLE = "DDCAI_LOG_FORMAT"
SOCKET_VARIABLE = "DDCAI_LOG_SOCKET"
# Linux takes datagrams of up to 208 KiB by default; escapes make six bytes of one.
LONGEST_TEXT = 16 * 1024
LARGEST_EVENT_BYTES = 16 * LONGEST_TEXT
_SEND_S = 2.0
_FIRST = ("time", "level", "event", "round", "party", "message")
_FACTS = "facts"


def about(
    event: str, round_: int | None = None, party: str | None = None, **facts: float | str
) -> dict[str, Any]:
    """What a log call says besides its message: for its ``extra``.

    Args:
        event: its name, lower case with ``_``.
        round_: the round, where it is of one.
        party: the account that it is about, or whose it is.
        facts: more of it, by name: ``seconds``, ``step``.
    """
    return {_FACTS: {"event": event, "round": round_, "party": party, **facts}}


def event(level: str, name: str, message: str, **facts: Any) -> Event:
    """An event of now."""
    now = datetime.now(UTC)
    return _made(now, level, message, {"event": name, "round": None, "party": None, **facts})


def of_record(record: logging.LogRecord) -> Event:
    """A log call as an event; one without `about` is called after its logger."""
    facts = getattr(record, _FACTS, None)
    if facts is None:
        facts = {"event": record.name.rpartition(".")[2], "round": None, "party": None}
    found = _made(
        datetime.fromtimestamp(record.created, UTC), record.levelname, record.getMessage(), facts
    )
    if record.exc_info:
        traceback = logging.Formatter().formatException(record.exc_info)
        found["error"] = traceback[-LONGEST_TEXT:]
    return found


def line(event_: Mapping[str, Any], form: Form) -> str:
    """An event in one line; as text, a traceback has lines of its own, which begin with ``|``."""
    if form == "json":
        return json.dumps(event_, ensure_ascii=True)
    facts = {name: value for name, value in event_.items() if name not in (*_FIRST, "error")}
    facts = {"round": event_["round"], "party": event_["party"], **facts}
    shown = "".join(
        f" {plain(name)}={plain(value)}" for name, value in facts.items() if value is not None
    )
    head = " ".join(plain(event_[name]) for name in ("time", "level", "event"))
    rest = "".join(f"\n  | {plain(one)}" for one in event_.get("error", "").splitlines())
    return f"{head}{shown}: {plain(event_['message'])}{rest}"


def plain(text: object) -> str:
    """A text without what could move a cursor, end a line or turn its direction: escaped."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text)
    )


def pack(event_: Event) -> bytes:
    """An event as it goes through the socket."""
    return json.dumps(event_).encode()


def unpack(data: bytes) -> Event | None:
    """An event from the socket; None for anything else."""
    try:
        found = strict_json.loads(data)
    except ValueError:
        return None
    if not isinstance(found, dict) or not set(_FIRST) <= found.keys():
        return None
    texts = all(isinstance(found[name], str) for name in ("time", "level", "event", "message"))
    good = texts and isinstance(found.get("error", ""), str)
    good = good and (found["round"] is None or type(found["round"]) is int)
    good = good and (found["party"] is None or isinstance(found["party"], str))
    return found if good else None


def configure() -> None:
    """Has this process's events go to the command that started Flower, or else to stderr."""
    logger = logging.getLogger("ddcai")
    logger.setLevel(logging.INFO)
    if not any(isinstance(handler, Handler) for handler in logger.handlers):
        form: Form = "json" if os.environ.get(FORM_VARIABLE) == "json" else "text"
        logger.addHandler(Handler(form, os.environ.get(SOCKET_VARIABLE)))


class Handler(logging.Handler):
    """Sends log calls as events through a socket; writes them to stderr where nobody listens."""

    def __init__(self, form: Form, path: str | None = None) -> None:
        super().__init__()
        self._form: Form = form
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        """One log call."""
        try:
            event_ = of_record(record)
            if not self._sent(event_):
                sys.stderr.write(line(event_, self._form) + "\n")
                sys.stderr.flush()
        except Exception:
            self.handleError(record)

    def _sent(self, event_: Event) -> bool:
        if self._path is None:
            return False
        try:
            # A connection each: a process that was forked shares none with another.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
                sending.settimeout(_SEND_S)
                sending.connect(self._path)
                sending.sendall(pack(event_))
        except OSError:
            return False
        return True


def _made(at: datetime, level: str, message: str, facts: Mapping[str, Any]) -> Event:
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    first = {"time": time, "level": level, "event": facts["event"]}
    last = {name: value for name, value in facts.items() if name not in _FIRST}
    where = {"round": facts["round"], "party": facts["party"]}
    return {**first, **where, "message": message[:LONGEST_TEXT], **last}
