"""Asks contributors for their updates, and again those that come back, say nothing, or cannot yet.

A node that is killed loses the message that it worked on: Flower delivers it once. A contributor
makes one update a round, keeps it, and answers a repeated message with it, so asking again does
no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from flwr.app import Message
from flwr.serverapp import Grid

from ddcai.errors import ChainError, DiskError, InsufficientBalance, NotOpen, StoreError
from ddcai.flower import messages
from ddcai.flower.asking import is_kind
from ddcai.flower.messages import Refused
from ddcai.flower.roster import Roster
from ddcai.flower.waiting import POLL_S, Waiting, pull

# How long until a node that said nothing is asked again, at first; then twice as long each time.
ASK_AGAIN_S = 60.0
# How often it is looked who came back, or came late.
LOOK_S = 10.0
# Where enough updates are there, the others have so long to mend what keeps them from sending one.
MEND_S = 30.0
# So many answers are in memory at once, and no more than so many bytes of them; one in any case.
PULLED, PULLED_BYTES = 8, 2**23


@dataclass
class _Asked:
    node: int
    again_at: float
    pause_s: float
    kept_since: float | None = None


def may_pass(refused: Refused) -> bool:
    """Whether a node that refuses to train may do so a while later: it is away, or its chain, store
    or disk is; or its chain's endpoint is behind."""
    if is_kind(refused, InsufficientBalance):
        return False
    return refused.kind == "" or is_kind(refused, ChainError, DiskError, NotOpen, StoreError)


class UpdatesAsked:
    """Training messages of one round.

    Args:
        grid: Flower's.
        roster: who is there.
        look: updates it.
        message: makes the message to a node.
        stored: takes in updates that are in the store; the accounts of all that there are.
        least: how many updates a round needs.
        most: how many contributors are asked.
        update_bytes: about how large an answer is.
    """

    def __init__(
        self,
        grid: Grid,
        roster: Roster,
        look: Callable[[], None],
        message: Callable[[int], Message],
        stored: Callable[[], Iterable[str]],
        least: int,
        most: int,
        update_bytes: int,
    ) -> None:
        self._grid, self._roster, self._look = grid, roster, look
        self._message, self._stored, self._least, self._most = message, stored, least, most
        self._at_once = max(1, min(PULLED, PULLED_BYTES // update_bytes))
        self._asked: dict[str, _Asked] = {}
        self._pending: dict[str, str] = {}
        self._answered: set[str] = set()

    def replies(self, timeout_s: float, waiting: Waiting) -> Iterator[Message]:
        """The answers as they come, of each contributor one that is no refusal at most.

        Args:
            timeout_s: those that come until then. It ends earlier when no answer is awaited.
            waiting: who is waited for, as the operator is told.
        """
        now = time.monotonic()
        deadline, look_at = now + timeout_s, now + LOOK_S
        self._ask()
        while True:
            identifiers = list(self._pending)
            for start in range(0, len(identifiers), self._at_once):
                yield from self._pull(identifiers[start : start + self._at_once])
            now = time.monotonic()
            awaited = {*self._pending.values(), *self._kept(now)}
            waiting.tell(f"contributor {account}" for account in awaited)
            if not awaited or now >= deadline:
                return
            if now >= look_at:
                self._look()
                self._answered |= set(self._stored())
                self._ask()
                look_at = time.monotonic() + LOOK_S
            time.sleep(max(0.0, min(POLL_S, deadline - time.monotonic())))

    def _pull(self, identifiers: list[str]) -> Iterator[Message]:
        wanted = [one for one in identifiers if one in self._pending]
        if not wanted:
            return
        replies, unreadable = pull(self._grid, wanted)
        for identifier in unreadable:
            del self._pending[identifier]
        while replies:
            reply = replies.pop(0)
            account = self._pending.pop(reply.metadata.reply_to_message_id, None)
            if account is None:
                continue
            why = messages.refused(reply)
            if why is None:
                self._answered.add(account)
                self._pending = {i: a for i, a in self._pending.items() if a != account}
            elif may_pass(why):
                self._answered |= set(self._stored())
                self._wait_for(self._asked[account])
            yield reply

    @staticmethod
    def _wait_for(asked: _Asked) -> None:
        """It is asked again when it is looked next, and then ever more rarely."""
        now = time.monotonic()
        if asked.kept_since is None:
            asked.kept_since, asked.pause_s, asked.again_at = now, LOOK_S / 2, now

    def _kept(self, now: float) -> set[str]:
        """Contributors that said that they cannot yet, and may still: until the deadline where
        fewer updates are there than a round needs."""
        return {
            account
            for account, asked in self._asked.items()
            if asked.kept_since is not None
            and account not in self._answered
            and (len(self._answered) < self._least or now < asked.kept_since + MEND_S)
        }

    def _ask(self) -> None:
        """Asks those that were not asked at the node where they are now, and the silent again."""
        now = time.monotonic()
        awaited = {*self._pending.values(), *self._kept(now)}
        for account, node in self._roster.contributors.items():
            if account in self._answered:
                continue
            asked = self._asked.get(account)
            if asked is None:
                if len(self._asked) == self._most:
                    continue
                asked = self._asked[account] = _Asked(node, now + ASK_AGAIN_S, ASK_AGAIN_S)
            elif node != asked.node:
                asked.node = node
            elif now >= asked.again_at and account in awaited:
                asked.pause_s *= 2
                asked.again_at = now + asked.pause_s
            else:
                continue
            for identifier in self._grid.push_messages([self._message(node)]):
                if identifier:  # Flower has none for a message that it did not take
                    self._pending[identifier] = account
