"""Rounds and verdicts that a quorum signs whatever they say: for tests of money and of audits."""

from __future__ import annotations

from collections.abc import Sequence

from ddcai import digests
from ddcai.chain.assessment import Assessment
from ddcai.chain.head import Head
from ddcai.chain.node.connection import connect
from ddcai.chain.opening import sign_opening
from ddcai.chain.records import bitmap
from tests.federation import SmallFederation

NOTHING = b"\x11" * 32  # a digest of no document


def submit_nothing(made: SmallFederation, indices: Sequence[int]) -> int:
    """Opens a round, in which these contributors pay for a digest of no update."""
    record = made.coordinator.open_round()
    for index in indices:
        contract = made.contributors[index].party.federation
        contract.submit_update(record.number, bytes([index + 1]) * 32)
    return record.number


def empty_round(
    made: SmallFederation, submitted: Sequence[int] = (0, 1, 2), *, committed: Sequence[int] = ()
) -> int:
    """A finalised round without an update: everybody signs that the model stays.

    Args:
        submitted: contributors that pay a deposit.
        committed: those of them on the list, and in the sum; all by default.
    """
    number = submit_nothing(made, submitted)
    contract = made.coordinator.party.federation
    listed = tuple(committed) or tuple(submitted)
    if listed != tuple(submitted):
        made.pass_time(made.contract.round(number).submit_deadline - contract.block_time() + 1)
    contract.commit_round(number, listed)
    assert contract.draw_ready(number)
    contract.draw_round(number)
    contract.seal_assessed_round(number, NOTHING, listed, NOTHING)
    words = Head(connect(made.url), contract.head_address()).words()
    context, model = made.coordinator.party.context(number), contract.model_digest()
    account = made.opener.party.account
    assert account is not None
    message = digests.result_message(
        context, sum_=NOTHING, opened=NOTHING, model=model, head=digests.head_digest(words)
    )
    signatures = {index: made.contributors[index]._key.sign(message) for index in listed}
    contract.finalize_round(
        number,
        opened_digest=NOTHING,
        model_digest=model,
        opening_signature=sign_opening(
            account, context.chain_id, context.contract, number, NOTHING, NOTHING
        ),
        head_words=words,
        signer_indices=listed,
        signature=made.coordinator.party.scheme.combine(signatures),
    )
    return number


def _signed(
    made: SmallFederation, window: int, attempt: int, points: dict[int, int], scores: bytes
) -> tuple[int, list[int], list[int], bytes, list[int], bytes]:
    agreed = sorted(points)
    message = digests.verdict_message(
        made.contract.chain_id,
        made.contract.rules().assessment,
        window,
        attempt,
        scores=scores,
        agreed=bitmap(agreed),
        points=[points[index] for index in agreed],
    )
    last = made.contract.assessment().window(window).rounds[-1]
    signers = [item.index for item in made.contract.round(last).sealed]
    signatures = {index: made.contributors[index]._key.sign(message) for index in signers}
    combined = made.coordinator.party.scheme.combine(signatures)
    return window, agreed, [points[index] for index in agreed], scores, signers, combined


def post(
    made: SmallFederation, window: int, points: dict[int, int], scores: bytes = NOTHING
) -> None:
    """All sealed contributors of the window's last round give these members, by index, their
    deposits and so many points, and take the others'."""
    by = made.coordinator.party.federation.assessment()
    by.post_verdict(*_signed(made, window, 0, points, scores))


def resolve(
    made: SmallFederation, window: int, points: dict[int, int], scores: bytes = NOTHING
) -> None:
    """Likewise, in place of a disputed verdict."""
    by = made.coordinator.party.federation.assessment()
    by.resolve(*_signed(made, window, 1, points, scores))


def assessment_of(made: SmallFederation, index: int) -> Assessment:
    """The contract that judges, with a contributor's account."""
    return made.contributors[index].party.federation.assessment()
