"""Asking nodes until they answer: a single key holder for what it opens, contributors to sign.

They are asked again while what stands in the way may pass (a node that is away, a chain or a
store that does not answer), until a deadline.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from flwr.app import Message
from flwr.serverapp import Grid

from ddcai import errors
from ddcai.chain.records import Submission
from ddcai.digests import RoundContext
from ddcai.errors import (
    ChainError,
    DdcaiError,
    DiskError,
    MalformedError,
    OpeningRefused,
    RoundError,
    RoundPaused,
    StoreError,
    VerificationError,
)
from ddcai.event_log import about
from ddcai.flower import messages
from ddcai.flower.messages import Refused
from ddcai.flower.roster import Roster
from ddcai.flower.waiting import Waiting, receive

log = logging.getLogger("ddcai.coordinator")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# It may be that the key holder's chain or store is behind the coordinator's.
_MAY_PASS = ("NotSealed", "NotDrawn", "UpdateMismatch", "UpdateMissing", "BlobMissing")


def is_kind(refused: Refused, *kinds: type[DdcaiError]) -> bool:
    """Whether a refusal's kind is one of these errors."""
    kind = getattr(errors, refused.kind, None)
    return isinstance(kind, type) and issubclass(kind, kinds)


def refuses(why: Refused) -> bool:
    """Whether a key holder will not open what is on chain: asking again would change nothing."""
    return is_kind(why, OpeningRefused) and not _may_pass(why)


def _may_pass(refused: Refused) -> bool:
    return (
        refused.kind == ""  # Flower: the node is away, or its answer is
        or refused.kind in _MAY_PASS
        or is_kind(refused, ChainError, DiskError, StoreError)
    )


class Patience:
    """How long to go on asking.

    Args:
        left_s: seconds that are left.
        answer_s: how long an answer may take, at first: a node that is killed and comes back
            has lost the question. Twice as long each time that one did not come.
    """

    def __init__(self, left_s: float, answer_s: float = 60.0) -> None:
        self._answer_s = answer_s
        self._deadline = time.monotonic() + left_s
        self._pause_s = _FIRST_PAUSE_S

    @property
    def left_s(self) -> float:
        """Seconds to wait for an answer; at least one."""
        return max(1.0, self._deadline - time.monotonic())

    @property
    def answer_s(self) -> float:
        """Seconds to wait for answers before they are asked for again."""
        return min(self._answer_s, self.left_s)

    def too_short(self) -> None:
        """An answer did not come within that: the next one may take longer."""
        self._answer_s *= 2

    def wait(self) -> bool:
        """Sleeps a while, longer each time; False if there is no time left."""
        if time.monotonic() + self._pause_s > self._deadline:
            return False
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        return True


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Who can be asked, about what, and for how long.

    Attributes:
        grid: Flower's.
        roster: who is there.
        look_again: updates it.
        context: chain, contract and round that the messages name.
        subject: what is asked about, for messages: ``round 3``.
        patience: how long to go on.
        before: the deadline in words, for whoever must mend something.
        holder: account of a single key holder; of several, their contract.
        waiting: who is waited for, as the operator is told.
    """

    grid: Grid
    roster: Roster
    look_again: Callable[[], None]
    context: RoundContext
    subject: str
    patience: Patience
    before: str
    holder: str
    waiting: Waiting

    def send(
        self, action: str, fields: Mapping[str, bytes], nodes: Iterable[int]
    ) -> Iterable[Message]:
        """The answers of nodes to one question, as far as they come in a while."""
        content = messages.instruction(self.context, reply=fields)
        kind, group = f"query.{action}", str(self.context.round)
        sent = [Message(content, node, kind, group_id=group) for node in nodes]
        roles = (("contributor", self.roster.contributors), ("key holder", self.roster.key_holders))
        names = {
            node: f"{role} {account}" for role, nodes in roles for account, node in nodes.items()
        }
        replies = receive(self.grid, sent, self.patience.answer_s, self.waiting, names)
        if len(replies) < len(sent):
            self.patience.too_short()
        return replies

    def key_holder(self, action: str, fields: Mapping[str, bytes]) -> Message:
        """A single key holder's answer to a query.

        Raises:
            RoundError: it refuses what is on chain; asking again would change nothing.
            RoundPaused: it is away, or something about it must be mended first.
        """
        why = Refused("", "it is not there")
        while True:
            node = next(iter(self.roster.key_holders.values()), None)
            if node is not None:
                why = Refused("", "it did not answer")
                for reply in self.send(action, fields, [node]):
                    refused = messages.refused(reply)
                    if refused is None:
                        return reply
                    why = refused
            if refuses(why):
                raise RoundError(f"the key holder will not open {self.subject}: {why}")
            facts = about("not_open_yet", self.context.round, self.holder)
            log.warning("the key holder did not open %s: %s", self.subject, why, extra=facts)
            self.waiting.tell([f"key holder {self.holder}"])
            if not _may_pass(why) or not self.patience.wait():
                raise RoundPaused(
                    f"the key holder did not open {self.subject}: {why}. See its own log; "
                    f"then start the coordinator again before {self.before}"
                )
            self.look_again()

    def signatures(
        self,
        action: str,
        fields: Mapping[str, bytes],
        signers: Sequence[Submission],
        needed: int,
        check: Callable[[Submission, bytes], None],
    ) -> dict[int, bytes]:
        """Valid signatures by member index, at least as many as needed; false ones are dropped.

        Args:
            signers: who may sign.
            check: raises MalformedError or VerificationError for a false signature.

        Raises:
            RoundError: so many will not sign that there can be no quorum.
            RoundPaused: too few are there.
        """
        missing = {item.address: item for item in signers}
        signatures: dict[int, bytes] = {}
        while True:
            asked = {
                self.roster.contributors[address]: item
                for address, item in missing.items()
                if address in self.roster.contributors
            }
            for reply in self.send(action, fields, asked):
                signer = asked.get(reply.metadata.src_node_id)
                if signer is None or signer.address not in missing:
                    continue
                refused = messages.refused(reply)
                if refused is not None:
                    facts = about("not_attested", self.context.round, signer.address)
                    log.warning("%s does not attest: %s", signer.address, refused, extra=facts)
                    if not _may_pass(refused):
                        del missing[signer.address]
                    continue
                del missing[signer.address]
                try:
                    signature = messages.read_reply(reply.content, ("signature",))["signature"]
                    check(signer, signature)
                except (MalformedError, VerificationError) as error:
                    facts = about("not_attested", self.context.round, signer.address)
                    log.warning(
                        "the attestation of %s is dropped: %s", signer.address, error, extra=facts
                    )
                    continue
                signatures[signer.index] = signature
            if len(signatures) >= needed:
                return signatures
            have = f"{len(signatures)} of {len(signers)} contributors attested"
            if len(signatures) + len(missing) < needed:
                raise RoundError(
                    f"{have} {self.subject}, {needed} are needed, and the others will not: see "
                    "their logs"
                )
            self.waiting.tell(f"contributor {address}" for address in missing)
            if not self.patience.wait():
                raise RoundPaused(
                    f"{have} {self.subject}, {needed} are needed: start the others' clients, "
                    f"and the coordinator again, before {self.before}"
                )
            self.look_again()
