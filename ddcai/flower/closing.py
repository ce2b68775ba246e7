"""What ends a round: the key holders' opening of the sum, and the contributors' signatures."""

from __future__ import annotations

from ddcai.chain.records import RoundRecord
from ddcai.errors import ConfigurationError, MalformedError, RoundError, VerificationError
from ddcai.flower import messages
from ddcai.flower.asking import Asking
from ddcai.flower.holders import HoldersAsked, Said
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.keyholder import Opening
from ddcai.rounds.result import Result


def open_sum(
    asking: Asking, coordinator: Coordinator, record: RoundRecord
) -> tuple[Opening, Result]:
    """Has a sealed sum opened by who holds the key, and computes the round's result from it.

    Raises:
        RoundError: the key holder refuses what is on chain, or there is no model in what it
            opened; asking again would change nothing.
        RoundPaused: it is away, or something about it must be mended first.
    """
    party, context = coordinator.party, asking.context
    holder = party.federation.key_holder_of(record.number)
    try:
        if isinstance(holder, str):
            reply = asking.key_holder(messages.OPEN_SUM, {})
            fields = messages.read_reply(reply.content, ("opened", "signature"))
            opening = Opening.of(context, fields["opened"], fields["signature"])
        else:

            def read(value: bytes, signature: bytes) -> Said:
                digest = Opening.of(context, value, signature).digest
                message = party.opening_message(record, digest)
                return Said(value=value, message=message, signature=signature)

            joined = HoldersAsked(asking, holder, messages.OPEN_SUM, {}, read).open()
            opening = Opening.of(context, joined.value, joined.signature)
        return opening, coordinator.result(record, opening)
    except (MalformedError, VerificationError, ConfigurationError) as error:
        raise RoundError(f"round {record.number} was opened, but has no result: {error}") from error


def attest(
    asking: Asking, coordinator: Coordinator, record: RoundRecord, opening: Opening, result: Result
) -> dict[int, bytes]:
    """The valid signatures under a round's result by member index, at least a quorum.

    Raises:
        RoundError: so many contributors will not sign that there can be no quorum.
        RoundPaused: too few are there.
    """
    return asking.signatures(
        messages.ATTEST,
        {"opened": opening.blob, "signature": opening.signature},
        record.sealed,
        coordinator.signatures_needed(record),
        lambda signer, signature: coordinator.check_signature(
            record, opening, result, signer, signature
        ),
    )
