"""What an assessed round needs more: the draw, opened scalars, and a verdict after each window."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ddcai.chain.assessment import WindowRecord, WindowState
from ddcai.chain.records import RoundRecord
from ddcai.errors import DdcaiError, MalformedError, RoundError, VerificationError
from ddcai.flower import messages
from ddcai.flower.asking import Asking
from ddcai.rounds.coordinator import Coordinator
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


def open_scalars(asking: Asking, record: RoundRecord, anchor: bytes | None) -> OpenedScalars:
    """Has the key holder open the scalars that a drawn round is judged by.

    Args:
        anchor: digest of the published anchor; None where the rule needs none.

    Raises:
        RoundError: it refuses; or it answered with no scalars.
        RoundPaused: it is away, or something about it must be mended first.
    """
    return _scalars(asking, messages.OPEN_SCALARS, {"anchor": anchor or b""}, record.number)


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
            log.warning("window %d has no verdict yet: %s", number, error)
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
            asking_about(f"the movement of round {number}", number),
            messages.OPEN_MOVEMENT,
            None,
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
    )


def _scalars(
    asking: Asking, action: str, fields: dict[str, bytes] | None, number: int
) -> OpenedScalars:
    reply = asking.key_holder(action, fields)
    try:
        return OpenedScalars.from_blob(messages.read_reply(reply.content, ("scalars",))["scalars"])
    except (MalformedError, VerificationError) as error:
        raise RoundError(f"the key holder opened no scalars of round {number}: {error}") from error
