"""What may be opened of a round, as the chain has it, for whoever holds a key or a part of one.

Nothing here comes from the coordinator but the round's number, and the name of a published anchor,
which is compared with the one that follows from public models.
"""

from __future__ import annotations

from ddcai.chain.records import RoundRecord, RoundState
from ddcai.encryption.scalars import Committed, Vectors
from ddcai.encryption.sealed import SealedRound
from ddcai.errors import NotSealed, TooManyContributors, VerificationError
from ddcai.models.trained import num_values
from ddcai.rounds.judging import Judge, commitment_of
from ddcai.rounds.party import Party
from ddcai.rounds.privacy import require_budget
from ddcai.rounds.verdicts import WindowJudge


def sealed_round(party: Party, round_: int, opened: frozenset[int]) -> SealedRound:
    """A sealed round.

    Args:
        opened: rounds that were opened before.

    Raises:
        NotSealed: it is not.
        TooManyContributors: more updates than lanes and noise were planned for.
        PrivacyBudgetSpent: it was not opened yet, and would bring epsilon above the budget; what
            was opened counts, whatever the chain shows.
        PolicyLimit: this key holder's policy does not allow it.
    """
    record = party.federation.round(round_)
    if record.state not in (RoundState.SEALED, RoundState.FINALIZED):
        raise NotSealed(f"round {round_} is {record.state.name} on chain, not sealed")
    most = party.config.encryption.max_updates
    if len(record.sealed) > most:
        raise TooManyContributors(
            f"round {round_} has {len(record.sealed)} updates: encryption.max_contributors and "
            f"group_size allow {most}; cancel the round"
        )
    if round_ not in opened:
        require_budget(party, round_, opened)
    if party.guard is not None:
        party.guard.check_opening(party, record, len(record.sealed))
    return SealedRound(
        context=party.context(round_),
        min_contributors=party.federation.rules().min_contributors,
        sum_digest=record.sum_digest,
        updates=tuple((item.address, item.digest) for item in record.sealed),
        encryption_key_digest=party.encryption_key_digest(round_),
    )


def committed_updates(party: Party, record: RoundRecord) -> Committed:
    """The updates that are committed to a round.

    Raises:
        PolicyLimit: this key holder's policy does not allow numbers of them to be opened.
    """
    listed = commitment_of(record).committed
    if party.guard is not None:
        party.guard.check_scalars(party)
        party.guard.check_opening(party, record, len(listed))
    base = party.model(record.base_model_digest)
    return Committed(
        context=party.context(record.number),
        updates=tuple((item.address, item.digest) for item in listed),
        values=num_values(party.config, base, record.number),
        encryption_key_digest=party.encryption_key_digest(record.number),
    )


def gate_vectors(party: Party, record: RoundRecord, anchor: bytes | None) -> tuple[Vectors, float]:
    """What a committed round is judged by, and the deviation of its noise.

    Args:
        anchor: digest of the published anchor; None where the rule needs none.

    Raises:
        NotDrawn: the round has no randomness yet.
        VerificationError: the published anchor is another than the one that follows.
    """
    commitment_of(record)  # before anything that costs time
    judge = Judge(party)
    view = judge.view(record, judge.published_anchor(record, anchor))
    vectors = Vectors(lane=view.lane, positions=view.positions, rows=view.frame.vectors)
    return vectors, judge.noise(view.block.size, view.frame.dimension)


def movement_vectors(party: Party, record: RoundRecord) -> tuple[Vectors, float]:
    """What a finalised round's updates share with the model's later movement, and the noise.

    Raises:
        NotSealed: the round is not finalised, or the rounds that it is judged by are not.
    """
    try:
        judge = WindowJudge(party)
        direction = judge.direction(record)
    except VerificationError as error:
        raise NotSealed(str(error)) from error
    vectors = Vectors(
        lane=direction.lane, positions=direction.positions, rows=direction.signs[None]
    )
    return vectors, judge.noise(direction)
