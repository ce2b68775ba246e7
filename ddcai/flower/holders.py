"""Asking key holders that open together: for their shares, then for what all shares come to.

All that are there are asked, not as many as are needed: what more than one holds can be compared.
A holder that others find false is left out, by name, and the rest go on.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ddcai.chain.account_signatures import recover
from ddcai.chain.key_holders import KeyEpoch, join_signatures
from ddcai.errors import MalformedError, RoundError, RoundPaused
from ddcai.event_log import about
from ddcai.flower import messages
from ddcai.flower.asking import Asking, refuses
from ddcai.flower.messages import Refused

log = logging.getLogger("ddcai.coordinator")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one holder answered.

    Attributes:
        value: what all honest holders must say alike.
        message: the 32 bytes that it signed.
        signature: its own, 65 bytes.
    """

    value: bytes
    message: bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What as many holders as are needed said alike.

    Attributes:
        value: that.
        signature: theirs, as the contract takes it.
    """

    value: bytes
    signature: bytes


class HoldersAsked:
    """One opening by the holders of a key.

    Args:
        asking: how they are reached, and until when.
        epoch: who they are.
        action: the query's name.
        fields: the question's own.
        read: a reply's value and signature. Raises MalformedError for what is none.
    """

    def __init__(
        self,
        asking: Asking,
        epoch: KeyEpoch,
        action: str,
        fields: Mapping[str, bytes],
        read: Callable[[bytes, bytes], Said],
    ) -> None:
        self._asking, self._epoch, self._action = asking, epoch, action
        self._fields, self._read = fields, read
        self._why: dict[int, Refused] = {}
        self._false: set[int] = set()

    def open(self) -> Joined:
        """What the holders say alike.

        Raises:
            RoundError: so many refuse what is on chain that asking again would change nothing.
            RoundPaused: too few are there, or they contradict one another so that nobody can
                tell who is right.
        """
        asking, needed = self._asking, self._epoch.threshold
        while True:
            shares = self._shares()
            while shares:
                joined = self._together(shares)
                if joined is not None:
                    return joined
                accused = self._most_accused()
                if accused is None:
                    break
                self._false.add(accused)
                facts = about("key_holder_left_out", asking.context.round)
                log.error(
                    "%s is left out: %s", self._name(accused), self._why[accused], extra=facts
                )
                shares = self._shares()
            lost = {number for number, why in self._why.items() if refuses(why)} | self._false
            if len(self._epoch.holders) - len(lost) < needed:
                raise RoundError(
                    f"{needed} key holders are needed to open {asking.subject}, and too many "
                    f"will not: {self._reasons()}"
                )
            facts = about("not_open_yet", asking.context.round)
            log.warning("%s is not open yet: %s", asking.subject, self._reasons(), extra=facts)
            asking.waiting.tell(
                f"key holder {self._epoch.holders[number]}"
                for number in self._why
                if number not in lost
            )
            if not asking.patience.wait():
                raise RoundPaused(
                    f"{needed} key holders are needed to open {asking.subject}: "
                    f"{self._reasons()}. See their own logs; then start the coordinator again "
                    f"before {asking.before}"
                )
            asking.look_again()

    def _shares(self) -> dict[int, bytes]:
        """The shares of all holders that are there, made for exactly these; none if too few."""
        responders = self._present()
        while len(responders) >= self._epoch.threshold:
            question = messages.holders_question(self._fields, responders, {})
            replies = self._ask(responders, question)
            shares = {number: one["share"] for number, one in replies.items() if "share" in one}
            if set(shares) == set(responders):
                return shares
            responders = sorted(shares)
        return {}

    def _together(self, shares: Mapping[int, bytes]) -> Joined | None:
        """What enough of the holders make of the shares; their accusations are noted."""
        self._accusations: Counter[int] = Counter()
        question = messages.holders_question(self._fields, shares, shares)
        said: dict[bytes, dict[str, bytes]] = {}
        for number, reply in self._ask(sorted(shares), question).items():
            try:
                accused = messages.numbers_from_bytes(reply["accused"])
                self._accusations.update(set(accused) & set(shares) - {number})
                if accused or not reply["value"]:
                    continue
                found = self._read(reply["value"], reply["signature"])
                if recover(found.message, found.signature) != self._epoch.holders[number]:
                    raise MalformedError("its signature is another's")
            except (KeyError, MalformedError) as error:
                self._note(number, Refused("MalformedError", f"its answer is none: {error}"))
                continue
            said.setdefault(found.value, {})[self._epoch.holders[number]] = found.signature
        for value, signatures in said.items():
            if len(signatures) >= self._epoch.threshold:
                first = dict(sorted(signatures.items())[: self._epoch.threshold])
                return Joined(value=value, signature=join_signatures(self._epoch, first))
        return None

    def _most_accused(self) -> int | None:
        """The holder that most others find false; None if nobody is accused.

        Raises:
            RoundPaused: two are accused alike.
        """
        ranked = self._accusations.most_common(2)
        if not ranked:
            return None
        if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
            names = " and ".join(self._name(number) for number, _ in ranked)
            raise RoundPaused(
                f"{names} contradict one another about {self._asking.subject}, and nobody else "
                "can tell who is right. Find out which of them computes falsely, start the "
                "coordinator again with --leave-out-key-holder ADDRESS before "
                f"{self._asking.before}, and make a new key without it"
            )
        number, count = ranked[0]
        self._note(number, Refused("", f"{count} others find its share false"))
        return number

    def _ask(
        self, numbers: list[int], question: Mapping[str, bytes]
    ) -> dict[int, dict[str, bytes]]:
        """Replies by holder's number; of the others, why there is none."""
        nodes = {self._node(number): number for number in numbers}
        for number in numbers:
            self._note(number, Refused("", "it did not answer"))
        found: dict[int, dict[str, bytes]] = {}
        for reply in self._asking.send(self._action, question, nodes):
            number_ = nodes.get(reply.metadata.src_node_id)
            if number_ is None:
                continue
            refused = messages.refused(reply)
            if refused is not None:
                self._note(number_, refused)
                continue
            self._why.pop(number_, None)
            found[number_] = messages.reply_bytes(reply.content)
        return found

    def _present(self) -> list[int]:
        there = self._asking.roster.key_holders
        for number, holder in enumerate(self._epoch.holders):
            if holder not in there:
                self._note(number, Refused("", "it is not there"))
        return [
            number
            for number, holder in enumerate(self._epoch.holders)
            if holder in there and number not in self._false
        ]

    def _node(self, number: int) -> int:
        return self._asking.roster.key_holders[self._epoch.holders[number]]

    def _note(self, number: int, why: Refused) -> None:
        if number not in self._false:
            self._why[number] = why

    def _name(self, number: int) -> str:
        return f"the key holder {self._epoch.holders[number]}"

    def _reasons(self) -> str:
        return "; ".join(f"{self._name(n)}: {why}" for n, why in sorted(self._why.items()))
