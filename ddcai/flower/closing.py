"""What ends a round: the key holder's opening, and the contributors' signatures.

Both are asked again while what stands in the way may pass (a node that is away, a chain or a
store that does not answer), until the contract's deadline or the strategy's timeout.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from flwr.app import Message
from flwr.serverapp import Grid

from ddcai import errors
from ddcai.chain.records import RoundRecord
from ddcai.digests import RoundContext
from ddcai.errors import (
    ChainError,
    ConfigurationError,
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
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.keyholder import Opening
from ddcai.rounds.result import Result

log = logging.getLogger("ddcai.coordinator")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# It may be that the key holder's chain or store is behind the coordinator's.
_MAY_PASS = ("NotSealed", "UpdateMismatch", "BlobMissing")


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


def open_sum(
    grid: Grid,
    roster: Roster,
    coordinator: Coordinator,
    record: RoundRecord,
    patience: Patience,
    look_again: Callable[[], None],
) -> tuple[Opening, Result]:
    """Has the key holder open a sealed sum, and computes the round's result from it.

    Args:
        look_again: updates the roster.

    Raises:
        RoundError: the key holder refuses what is on chain, or there is no model in what it
            opened; asking again would change nothing.
        RoundPaused: it is away, or something about it must be mended first.
    """
    context = coordinator.party.context(record.number)
    content = messages.instruction(context)
    kind = f"query.{messages.OPEN_SUM}"
    why = Refused("", "it is not there")
    while True:
        node = roster.key_holder
        if node is not None:
            sent = Message(content, node, kind, group_id=str(record.number))
            why = Refused("", "it did not answer")
            for reply in grid.send_and_receive([sent], timeout=patience.left_s):
                refused = messages.refused(reply)
                if refused is None:
                    return _opened(coordinator, record, context, reply)
                why = refused
        if _is(why, OpeningRefused) and not _may_pass(why):
            raise RoundError(f"the key holder will not open round {record.number}: {why}")
        log.warning("the key holder did not open round %d: %s", record.number, why)
        if not _may_pass(why) or not patience.wait():
            raise RoundPaused(
                f"the key holder did not open round {record.number}: {why}. See its own log; "
                f"then start the coordinator again before {_utc(record.finalize_deadline)}"
            )
        look_again()


def _opened(
    coordinator: Coordinator, record: RoundRecord, context: RoundContext, reply: Message
) -> tuple[Opening, Result]:
    try:
        fields = messages.read_reply(reply.content, ("opened", "signature"))
        opening = Opening.of(context, fields["opened"], fields["signature"])
        return opening, coordinator.result(record, opening)
    except (MalformedError, VerificationError, ConfigurationError) as error:
        raise RoundError(f"round {record.number} was opened, but has no result: {error}") from error


def attest(
    grid: Grid,
    roster: Roster,
    coordinator: Coordinator,
    record: RoundRecord,
    opening: Opening,
    result: Result,
    patience: Patience,
    look_again: Callable[[], None],
) -> dict[int, bytes]:
    """The valid signatures by member index, at least a quorum; false ones are dropped.

    Args:
        look_again: updates the roster.

    Raises:
        RoundError: so many contributors will not sign that there can be no quorum.
        RoundPaused: too few are there.
    """
    needed = coordinator.signatures_needed(record)
    content = messages.instruction(
        coordinator.party.context(record.number),
        reply={"opened": opening.blob, "signature": opening.signature},
    )
    kind = f"query.{messages.ATTEST}"
    missing = {item.address: item for item in record.sealed}
    signatures: dict[int, bytes] = {}
    while True:
        asked = {
            roster.contributors[address]: item
            for address, item in missing.items()
            if address in roster.contributors
        }
        sent = [Message(content, node, kind, group_id=str(record.number)) for node in asked]
        for reply in grid.send_and_receive(sent, timeout=patience.left_s) if sent else ():
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
                coordinator.check_signature(record, opening, result, signer, signature)
            except (MalformedError, VerificationError) as error:
                log.warning("the attestation of %s is dropped: %s", signer.address, error)
                continue
            signatures[signer.index] = signature
        if len(signatures) >= needed:
            return signatures
        have = f"{len(signatures)} of {len(record.sealed)} contributors attested"
        if len(signatures) + len(missing) < needed:
            raise RoundError(
                f"{have} round {record.number}, {needed} are needed, and the others will not: see "
                "their logs"
            )
        if not patience.wait():
            raise RoundPaused(
                f"{have} round {record.number}, {needed} are needed: start the others' clients, "
                f"and the coordinator again, before {_utc(record.finalize_deadline)}"
            )
        look_again()


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
