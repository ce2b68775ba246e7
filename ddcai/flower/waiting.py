"""Who is waited for, since when and until when: told to the operator while it lasts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from flwr.app import Message
from flwr.serverapp import Grid
from google.protobuf.message import DecodeError

from ddcai.event_log import about

log = logging.getLogger("ddcai.coordinator")

POLL_S = 1.0
# What reading bytes leads to that are no message. The errors of a connection are others.
UNREADABLE = (
    ArithmeticError, AttributeError, AssertionError, DecodeError, LookupError, TypeError,
    ValueError,
)  # fmt: skip
# The same wait is told again, so that whoever looks at the log's end sees it.
AGAIN_S = 60.0


def utc(seconds: float) -> str:
    """A moment in unix seconds, as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


class Waiting:
    """One wait for several: a line when those change who are waited for, and one a minute.

    Args:
        what: what they are to do, with its round: ``round 3: an update``.
        until: the last moment, unix seconds.
        round_: its round, if it is of one.
        clock: unix seconds, for tests.
    """

    def __init__(
        self,
        what: str,
        until: float,
        *,
        round_: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._what, self._until, self._clock, self._round = what, until, clock, round_
        self._since: dict[str, float] = {}
        self._said = 0.0

    def tell(self, names: Iterable[str]) -> None:
        """These are waited for now; since they were named first without a break."""
        now, wanted = self._clock(), sorted(names)
        since = {name: self._since.get(name, now) for name in wanted}
        changed, self._since = since.keys() != self._since.keys(), since
        if not wanted or not (changed or now - self._said >= AGAIN_S):
            return
        self._said = now
        log.info(
            "%s: waiting until %s for %s",
            self._what,
            utc(self._until),
            ", ".join(f"{name} since {utc(at)}" for name, at in since.items()),
            extra=about("waiting", self._round, waiting_for=len(wanted)),
        )


def pull(grid: Grid, identifiers: Sequence[str]) -> tuple[list[Message], set[str]]:
    """Replies that are there; and which can never be read.

    Flower reads a reply before anybody of us can look at it, and fails at one that a node has
    made up: alone that would end the run, and every round. In a batch it may lose the others with
    it, whose nodes are asked again later.

    Raises:
        Exception: what Flower has for a SuperLink that does not answer.
    """
    try:
        return list(grid.pull_messages(identifiers)), set()
    except UNREADABLE as error:
        if len(identifiers) == 1:
            log.warning("a reply that Flower cannot read is dropped: %s", type(error).__name__)
            return [], set(identifiers)
    replies, unreadable = list[Message](), set[str]()
    for identifier in identifiers:
        found, lost = pull(grid, [identifier])
        replies += found
        unreadable |= lost
    return replies, unreadable


def receive(
    grid: Grid,
    sent: Sequence[Message],
    timeout_s: float,
    waiting: Waiting | None = None,
    names: Mapping[int, str] | None = None,
) -> list[Message]:
    """As ``grid.send_and_receive``, but that a reply that cannot be read harms nobody; tells
    meanwhile whose answers are waited for.

    Args:
        sent: one message a node.
        timeout_s: the answers that came until then are returned.
        names: of the nodes, for the operator.
    """
    deadline = time.monotonic() + timeout_s
    identifiers = list(grid.push_messages(sent))
    missing = {
        identifier: (names or {}).get(message.metadata.dst_node_id, "a node")
        for identifier, message in zip(identifiers, sent, strict=False)
        if identifier  # Flower has none for a message that it did not take
    }
    replies: list[Message] = []
    while missing:
        found, unreadable = pull(grid, list(missing))
        replies += found
        for identifier in unreadable:
            del missing[identifier]
        for reply in found:
            missing.pop(reply.metadata.reply_to_message_id, None)
        if waiting is not None:
            waiting.tell(missing.values())
        left_s = deadline - time.monotonic()
        if not missing or left_s <= 0:
            break
        time.sleep(min(POLL_S, left_s))
    return replies
