"""What the chain says of one federation: its events and reads, once, as frozen values.

Both halves of the audit work on a `History` and never ask the chain themselves: queries turn
it into rows, verification compares it with the blobs. Addresses are checksum strings, digests
bytes, amounts wei, times UTC.

The endpoint is believed about the chain: whoever does not trust it asks a node of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ddcai.audit.windows import AssessmentHistory
from ddcai.chain.key_holders import KeyEpoch, epoch_at
from ddcai.chain.records import RoundState, Rules
from ddcai.digests import RoundContext


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step that somebody took on chain.

    Attributes:
        by: the account that sent the transaction.
        time: of its block, UTC.
        block_number: of that block.
        tx_hash: 0x-prefixed hex.
        gas_used: gas of the transaction; where one transaction settles several rounds, this
            round's part of it.
    """

    by: str
    time: datetime
    block_number: int
    tx_hash: str
    gas_used: int


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A member: its account, index, attestation key and, where it can be read, the key's proof.

    Attributes:
        key: as it was registered; BLS: 128 bytes in EIP-2537 form; ECDSA: 20 bytes.
        proof: the proof of possession, from the transaction's input; None where another
            contract called `register`.
        left: when it left and took its stake back.
    """

    address: str
    index: int
    key: bytes
    proof: bytes | None
    step: Step
    left: Step | None = None


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """A committed update, with its deposit."""

    address: str
    index: int
    digest: bytes
    deposit_wei: int
    step: Step


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What the updates of an assessed round are judged by, as far as it came.

    Attributes:
        indices: members on the committed list, ascending.
        list_digest: of that list, as the contract holds it.
        draw_block: the block whose RANDAO value draws.
        prev_randao: that value, 32 bytes; None before the draw, or where the node has no such
            block any more.
        committed, drawn: the steps; None for what was not taken.
        randomness: 32 bytes, what was drawn; None before.
        scores_digest: of the document that the round was sealed with; None before.
    """

    indices: tuple[int, ...]
    list_digest: bytes
    draw_block: int
    committed: Step
    prev_randao: bytes | None = None
    randomness: bytes | None = None
    drawn: Step | None = None
    scores_digest: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """The sealed sum's digest, and the member indices that it is the sum of, ascending."""

    sum_digest: bytes
    indices: tuple[int, ...]
    step: Step


@dataclass(frozen=True, kw_only=True)
class Finalisation:
    """A round's result, as the contract accepted it; `signature` is the quorum's."""

    model_digest: bytes
    opened_digest: bytes
    head_digest: bytes
    signers: tuple[int, ...]
    opening_signature: bytes
    signature: bytes
    step: Step


@dataclass(frozen=True, kw_only=True)
class Payment:
    """Wei paid out to a contributor for one round: its own deposit, or a share of others'."""

    address: str
    amount_wei: int
    step: Step


@dataclass(frozen=True, kw_only=True)
class RoundHistory:
    """Everything that happened in one round.

    Attributes:
        number: from 1.
        judging: of an assessed federation, once the list of updates is committed.
        refunds, takes: in the order in which they were paid.
    """

    number: int
    base_model_digest: bytes
    submit_deadline: int
    finalize_deadline: int
    opened: Step
    commitments: tuple[Commitment, ...] = ()
    judging: Judging | None = None
    sealing: Sealing | None = None
    finalisation: Finalisation | None = None
    cancelled: Step | None = None
    refunds: tuple[Payment, ...] = ()
    takes: tuple[Payment, ...] = ()

    @property
    def state(self) -> RoundState:
        """Where the round stands, from its events."""
        if self.cancelled is not None:
            return RoundState.CANCELLED
        if self.finalisation is not None:
            return RoundState.FINALIZED
        if self.sealing is not None:
            return RoundState.SEALED
        return RoundState.OPEN if self.judging is None else RoundState.COMMITTED

    @property
    def running(self) -> bool:
        """Whether there is no result yet, nor an end without one."""
        return self.cancelled is None and self.finalisation is None

    @property
    def sealed(self) -> tuple[Commitment, ...]:
        """The commitments on the sealed list, by member index."""
        listed = frozenset(self.sealing.indices) if self.sealing is not None else frozenset()
        return tuple(one for one in self.commitments if one.index in listed)

    @property
    def judged(self) -> tuple[Commitment, ...]:
        """The commitments whose updates are judged, by member index."""
        listed = frozenset(self.judging.indices) if self.judging is not None else frozenset()
        return tuple(one for one in self.commitments if one.index in listed)

    @property
    def assessed(self) -> tuple[Commitment, ...]:
        """Those whose deposits went to the contract that judges: the judged, once it is final."""
        return self.judged if self.finalisation is not None else ()


@dataclass(frozen=True, kw_only=True)
class History:
    """A federation as the chain has it, at one moment.

    Attributes:
        initial_model_digest: of the model that the first round started from.
        model_digest: the current model's, read from the contract.
        quorum_scheme, quorum: how contributors attest (``bls``, ``ecdsa``), and the contract that
            checks it.
        last_round: the number of the last round opened, read from the contract.
        rounds: by number; of many, as `ddcai.audit.stored` has them.
        head_words: the head as the chain has it now, 256-bit integers.
        encoder_every: of a head that contributions teach, which rounds replace it; None for a
            head that rounds alone write.
        balance_wei: what the contract holds.
        claimable_wei: what `refund` and `take` would pay now, of all rounds together.
        assessment: what the contract that judges updates did; None where there is none.
        key_holder_is_contract: then its signatures are checked by its own code (ERC-1271).
        key_epochs: of T of N accounts that stand as the key holder, by number; none where it is
            an account, or a contract of another kind.
    """

    chain_id: int
    contract: str
    quorum_scheme: str
    quorum: str
    sponsor: str
    rules: Rules
    initial_model_digest: bytes
    model_digest: bytes
    last_round: int
    head_words: tuple[int, ...]
    balance_wei: int
    members: tuple[Registration, ...]
    rounds: Sequence[RoundHistory]
    claimable_wei: int = 0
    key_holder_is_contract: bool = False
    key_epochs: tuple[KeyEpoch, ...] = ()
    encoder_every: int | None = None
    assessment: AssessmentHistory | None = None

    def context(self, round_: int) -> RoundContext:
        """What binds digests to a round of this federation."""
        return RoundContext(chain_id=self.chain_id, contract=self.contract, round=round_)

    def round(self, number: int) -> RoundHistory | None:
        """The round of this number; None if there is none."""
        return round_of(self.rounds, number)

    def commits_to(self, digest: bytes) -> bool:
        """Whether the chain has this digest of a model, of scores, or of a window's last verdict:
        then an audit makes a claim about that blob."""
        if digest == self.initial_model_digest:
            return True
        for one in self.rounds:
            if one.finalisation is not None and one.finalisation.model_digest == digest:
                return True
            if one.judging is not None and one.judging.scores_digest == digest:
                return True
        windows = () if self.assessment is None else self.assessment.windows
        found = (self.assessment.verdicts(one.number) for one in windows if self.assessment)
        return any(verdicts and verdicts[-1][0].scores_digest == digest for verdicts in found)

    def key_holder_of(self, round_: RoundHistory) -> str | KeyEpoch:
        """Who signs what is opened of a round, as ``Federation.key_holder_of`` says.

        Raises:
            ChainError: the round was opened before the first key was registered.
        """
        if not self.key_epochs:
            return self.rules.key_holder
        return epoch_at(self.key_epochs, round_.opened.block_number)

    def member(self, index: int) -> Registration | None:
        """The member of this index; None if there is none."""
        return next((one for one in self.members if one.index == index), None)

    def finalised(self) -> tuple[RoundHistory, ...]:
        """The finalised rounds, by number."""
        return tuple(one for one in self.rounds if one.finalisation is not None)


def round_of(rounds: Sequence[RoundHistory], number: int) -> RoundHistory | None:
    """The round of this number; None if there is none."""
    if 0 < number <= len(rounds) and rounds[number - 1].number == number:
        return rounds[number - 1]
    return next((one for one in rounds if one.number == number), None)


def dues(round_: RoundHistory) -> dict[str, tuple[int, int]]:
    """What a settled round owes in all, by the contract's rules: (own deposit, share) in wei.

    Finalised: sealed contributors get their deposits back and share the others' deposits
    equally, a wei of the remainder each for the lowest indices. Where updates are judged, the
    judged ones' deposits are with the contract that judges, and the sealed share the rest.
    Cancelled: every deposit goes back. A running round owes nothing yet.
    """
    if round_.state is RoundState.CANCELLED:
        return {one.address: (one.deposit_wei, 0) for one in round_.commitments}
    if round_.state is not RoundState.FINALIZED or not round_.sealed:
        return {}
    agreed = sorted(round_.sealed, key=lambda one: one.index)
    kept = agreed if round_.judging is None else round_.judged
    forfeited = total(round_.commitments) - total(kept)
    share, remainder = divmod(forfeited, len(agreed))
    own = round_.judging is None
    return {
        one.address: (one.deposit_wei if own else 0, share + (position < remainder))
        for position, one in enumerate(agreed)
    }


def total(commitments: Iterable[Commitment]) -> int:
    """Sum of deposits in wei."""
    return sum(one.deposit_wei for one in commitments)


def paid(payments: Sequence[Payment], address: str | None = None) -> int:
    """Sum of payments in wei, to one contributor or to all."""
    return sum(one.amount_wei for one in payments if address in (None, one.address))
