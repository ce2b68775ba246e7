"""What an assessed round needs more: the draw, opened scalars, and a verdict after each window."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from ddcai.chain.account_signatures import SIGNATURE_BYTES
from ddcai.chain.assessment import WindowRecord, WindowState
from ddcai.chain.records import RoundRecord
from ddcai.errors import DdcaiError, MalformedError, RoundError, VerificationError
from ddcai.event_log import about
from ddcai.flower import messages
from ddcai.flower.asking import Asking
from ddcai.flower.holders import HoldersAsked, Said
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from ddcai.rounds.scalars import OpenedScalars
from ddcai.rounds.verdicts import WindowJudge

log = logging.getLogger("ddcai.coordinator")

_POLL_S = 1.0


def draw(coordinator: Coordinator, record: RoundRecord) -> RoundRecord:
    """Waits for the draw's block, and draws."""
    federation = coordinator.party.federation
    if record.commitment is not None and record.commitment.drawn:
        return record
    while not federation.draw_ready(record.number):
        time.sleep(_POLL_S)
    return coordinator.draw(record)


def open_scalars(
    party: Party, asking: Asking, record: RoundRecord, anchor: bytes | None
) -> OpenedScalars:
    """Has the key holder, or the key holders, open the scalars that a drawn round is judged by.

    Args:
        anchor: digest of the published anchor; None where the rule needs none.

    Raises:
        RoundError: it refuses; or it answered with no scalars.
        RoundPaused: it is away, or something about it must be mended first.
    """
    fields = {"anchor": anchor or b""}
    return _scalars(party, asking, messages.OPEN_SCALARS, fields, record.number)


def judge_windows(
    coordinator: Coordinator, asking_about: Callable[[str, int], Asking], *, last_call: bool
) -> None:
    """Posts a verdict on each window that waits for one and can be judged.

    A window whose verdict cannot be had now is tried again after the next round: nothing of a
    round hangs on it, and without a verdict every deposit comes back.

    Args:
        asking_about: asks about a subject, with messages that name a round.
        last_call: no more rounds follow: full windows are judged by what is there.
    """
    judge = WindowJudge(coordinator.party)
    for number in range(1, judge.assessment.window_count() + 1):
        window = judge.assessment.window(number)
        if window.state is not WindowState.FULL:
            continue
        until, complete = judge.until(window)
        if not complete and not last_call:
            continue
        try:
            _judge_window(coordinator, judge, window, until, asking_about)
        except DdcaiError as error:
            facts = about("no_verdict_yet", window=number)
            log.warning("window %d has no verdict yet: %s", number, error, extra=facts)
            return  # the next one goes on from this one's


def _judge_window(
    coordinator: Coordinator,
    judge: WindowJudge,
    window: WindowRecord,
    until: int,
    asking_about: Callable[[str, int], Asking],
) -> None:
    movement = {
        number: _scalars(
            coordinator.party,
            asking_about(f"the movement of round {number}", number),
            messages.OPEN_MOVEMENT,
            {},
            number,
        )
        for number in judge.judged_rounds(window, until)
    }
    verdicts = coordinator.judge_window(window, until, movement)
    last = coordinator.party.federation.round(window.rounds[-1])
    signatures = asking_about(f"window {window.number}", last.number).signatures(
        messages.ATTEST_VERDICT,
        {"window": window.number.to_bytes(8, "big"), "digest": verdicts.digest},
        last.sealed,
        coordinator.signatures_needed(last),
        lambda signer, signature: coordinator.check_verdict_signature(verdicts, signer, signature),
    )
    coordinator.post_verdict(verdicts, signatures)
    kept = len(verdicts.agreed)
    log.info(
        "window %d is judged: the deposits of %d of %d contributors come back",
        window.number,
        kept,
        len(verdicts.by_contributor),
        extra=about("window_judged", last.number, window=window.number),
    )


def _scalars(
    party: Party,
    asking: Asking,
    action: str,
    fields: dict[str, bytes],
    number: int,
) -> OpenedScalars:
    record = party.federation.round(number)
    holder = party.federation.key_holder_of(number)
    movement = action == messages.OPEN_MOVEMENT
    try:
        if isinstance(holder, str):
            reply = asking.key_holder(action, fields)
            blob = messages.read_reply(reply.content, ("scalars",))["scalars"]
            return OpenedScalars.from_blob(blob)

        def read(value: bytes, _: bytes) -> Said:
            scalars = OpenedScalars.from_blob(value)
            message = scalars.message(party, record, movement=movement)
            unsigned = replace(scalars, signature=bytes(SIGNATURE_BYTES)).to_blob()
            return Said(value=unsigned, message=message, signature=scalars.signature)

        joined = HoldersAsked(asking, holder, action, fields, read).open()
        return replace(OpenedScalars.from_blob(joined.value), signature=joined.signature)
    except (MalformedError, VerificationError) as error:
        raise RoundError(f"the key holder opened no scalars of round {number}: {error}") from error
