"""Asking nodes until they answer: the key holder for what it opens, contributors for signatures.

They are asked again while what stands in the way may pass (a node that is away, a chain or a
store that does not answer), until a deadline.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from ddcai import errors
from ddcai.chain.records import Submission
from ddcai.digests import RoundContext
from ddcai.errors import (
    ChainError,
    DdcaiError,
    MalformedError,
    OpeningRefused,
    RoundError,
    RoundPaused,
    StoreError,
    VerificationError,
)
from ddcai.flower import messages
from ddcai.flower.messages import Refused
from ddcai.flower.roster import Roster

log = logging.getLogger("ddcai.coordinator")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# It may be that the key holder's chain or store is behind the coordinator's.
_MAY_PASS = ("NotSealed", "NotDrawn", "UpdateMismatch", "BlobMissing")


def _is(refused: Refused, *kinds: type[DdcaiError]) -> bool:
    """Whether a refusal's kind is one of these errors."""
    kind = getattr(errors, refused.kind, None)
    return isinstance(kind, type) and issubclass(kind, kinds)


def _may_pass(refused: Refused) -> bool:
    return (
        refused.kind == ""  # Flower: the node is away, or its answer is
        or refused.kind in _MAY_PASS
        or _is(refused, ChainError, StoreError)
    )


class Patience:
    """How long to go on asking.

    Args:
        left_s: seconds that are left.
    """

    def __init__(self, left_s: float) -> None:
        self._deadline = time.monotonic() + left_s
        self._pause_s = _FIRST_PAUSE_S

    @property
    def left_s(self) -> float:
        """Seconds to wait for an answer; at least one."""
        return max(1.0, self._deadline - time.monotonic())

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
    """

    grid: Grid
    roster: Roster
    look_again: Callable[[], None]
    context: RoundContext
    subject: str
    patience: Patience
    before: str

    def key_holder(self, action: str, fields: Mapping[str, bytes] | None = None) -> Message:
        """The key holder's answer to a query.

        Raises:
            RoundError: it refuses what is on chain; asking again would change nothing.
            RoundPaused: it is away, or something about it must be mended first.
        """
        content = messages.instruction(self.context, reply=fields)
        why = Refused("", "it is not there")
        while True:
            node = self.roster.key_holder
            if node is not None:
                sent = self._message(content, node, action)
                why = Refused("", "it did not answer")
                for reply in self.grid.send_and_receive([sent], timeout=self.patience.left_s):
                    refused = messages.refused(reply)
                    if refused is None:
                        return reply
                    why = refused
            if _is(why, OpeningRefused) and not _may_pass(why):
                raise RoundError(f"the key holder will not open {self.subject}: {why}")
            log.warning("the key holder did not open %s: %s", self.subject, why)
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
        content = messages.instruction(self.context, reply=fields)
        missing = {item.address: item for item in signers}
        signatures: dict[int, bytes] = {}
        while True:
            asked = {
                self.roster.contributors[address]: item
                for address, item in missing.items()
                if address in self.roster.contributors
            }
            sent = [self._message(content, node, action) for node in asked]
            for reply in (
                self.grid.send_and_receive(sent, timeout=self.patience.left_s) if sent else ()
            ):
                signer = asked.get(reply.metadata.src_node_id)
                if signer is None or signer.address not in missing:
                    continue
                refused = messages.refused(reply)
                if refused is not None:
                    log.warning("%s does not attest: %s", signer.address, refused)
                    if not _may_pass(refused):
                        del missing[signer.address]
                    continue
                del missing[signer.address]
                try:
                    signature = messages.read_reply(reply.content, ("signature",))["signature"]
                    check(signer, signature)
                except (MalformedError, VerificationError) as error:
                    log.warning("the attestation of %s is dropped: %s", signer.address, error)
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
            if not self.patience.wait():
                raise RoundPaused(
                    f"{have} {self.subject}, {needed} are needed: start the others' clients, "
                    f"and the coordinator again, before {self.before}"
                )
            self.look_again()

    def _message(self, content: RecordDict, node: int, action: str) -> Message:
        return Message(content, node, f"query.{action}", group_id=str(self.context.round))


def utc(seconds: int) -> str:
    """A moment in unix seconds, as people read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
