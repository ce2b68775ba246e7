"""A key holder's side of a round: read the sealed list from the chain, recompute, open, sign.

Holds the federation's only decryption key (a T-of-N key is to take its place). It takes
nothing from the coordinator but the round's number: which updates, which sum and how many
are enough come from the chain, the ciphertexts from the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ddcai import digests
from ddcai.chain.opening import sign_opening
from ddcai.chain.records import RoundRecord, RoundState
from ddcai.digests import RoundContext
from ddcai.encryption.bfv import SecretKey
from ddcai.encryption.opening import KeyHolder, SealedRound
from ddcai.encryption.scalars import Committed, ScalarOpener, Vectors
from ddcai.errors import ConfigurationError, NotSealed, VerificationError
from ddcai.models.trained import num_values
from ddcai.rounds.judging import Judge, commitment_of
from ddcai.rounds.party import SCALAR_BUDGET, Party
from ddcai.rounds.privacy import require_budget
from ddcai.rounds.result import reach
from ddcai.rounds.scalars import OpenedScalars
from ddcai.rounds.verdicts import WindowJudge


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An opened sum.

    Attributes:
        blob: the sum's integers in canonical form; also put into the store.
        digest: `ddcai.digests.opened_digest` of it.
        signature: 65 bytes, the key holder's EIP-712 signature that the contract checks.
    """

    blob: bytes
    digest: bytes
    signature: bytes

    @classmethod
    def of(cls, context: RoundContext, blob: bytes, signature: bytes) -> Self:
        """An opened sum as it was received: its digest is computed, the signature unchecked."""
        digest = digests.opened_digest(context, blob)
        return cls(blob=blob, digest=digest, signature=signature)


class Opener:
    """The key holder of one federation.

    Args:
        party: its chain, account and store; the account is the contract's key holder.
        secret: the federation's decryption key.
        folder: where it remembers which lists it opened. Losing it means that one round
            could be opened twice, with two lists: back it up.
        scalar_budget: scalars of one contributor that it ever opens, for gate and window.
    """

    def __init__(
        self,
        party: Party,
        secret: SecretKey,
        folder: Path,
        *,
        scalar_budget: int = SCALAR_BUDGET,
    ) -> None:
        expected = party.federation.rules().key_holder
        if party.address != expected:
            raise ConfigurationError(
                f"the account {party.address} is not this federation's key holder {expected}: "
                "give the key holder's keystore"
            )
        self.party = party
        self._holder = KeyHolder(
            secret,
            folder / "opened",
            party.store.get,
            value_limit=reach(party.config),
        )
        gate, movement = folder / "scalars", folder / "movement"
        self._scalars, self._movement = (
            ScalarOpener(
                secret,
                own,
                party.store.get,
                value_limit=reach(party.config),
                budget=scalar_budget,
                beside=(other,),
            )
            for own, other in ((gate, movement), (movement, gate))
        )

    def open_scalars(self, round_: int, anchor: bytes | None) -> OpenedScalars:
        """Opens the scalars that a committed round is judged by; the same ones, asked again.

        The vectors are its own: from the chain's randomness and public models, and from the
        published anchor, which it compares with the one that it makes itself.

        Args:
            anchor: digest of the published anchor; None where the rule needs none.

        Raises:
            NotDrawn: the round has no randomness yet.
            VerificationError: the published anchor is another one.
            OpeningRefused: in all the cases of `ddcai.encryption.scalars`.
        """
        party, judge = self.party, Judge(self.party)
        record = party.federation.round(round_)
        commitment_of(record)  # before anything that costs time
        view = judge.view(record, judge.published_anchor(record, anchor))
        vectors = Vectors(lane=view.lane, positions=view.positions, rows=view.frame.vectors)
        opened = self._scalars.open(
            self._committed(record), vectors, judge.noise(view.block.size, view.frame.dimension)
        )
        return OpenedScalars.sign(party, record, opened)

    def open_movement(self, round_: int) -> OpenedScalars:
        """Opens what a finalised round's updates share with the model's later movement, one
        scalar each; the same ones, asked again.

        Raises:
            NotSealed: the round is not finalised, or the rounds that it is judged by are not.
            OpeningRefused: in all the cases of `ddcai.encryption.scalars`.
        """
        party = self.party
        record = party.federation.round(round_)
        try:
            judge = WindowJudge(party)
            direction = judge.direction(record)
        except VerificationError as error:
            raise NotSealed(str(error)) from error
        vectors = Vectors(
            lane=direction.lane, positions=direction.positions, rows=direction.signs[None]
        )
        noise = judge.noise(direction)
        opened = self._movement.open(self._committed(record), vectors, noise)
        return OpenedScalars.sign(party, record, opened, movement=True)

    def _committed(self, record: RoundRecord) -> Committed:
        party = self.party
        base = party.model(record.base_model_digest)
        return Committed(
            context=party.context(record.number),
            updates=tuple((item.address, item.digest) for item in commitment_of(record).committed),
            values=num_values(party.config, base, record.number),
            encryption_key_digest=party.federation.rules().encryption_key_digest,
        )

    def open(self, round_: int) -> Opening:
        """Opens a round's sum; asked again, it answers with the same bytes.

        Raises:
            OpeningRefused: in all the cases of `ddcai.encryption.opening.KeyHolder`.
            PrivacyBudgetSpent: it was not opened yet, and would bring epsilon above the budget;
                what this key holder opened counts, whatever the chain shows.
        """
        party = self.party
        record = party.federation.round(round_)
        if record.state not in (RoundState.SEALED, RoundState.FINALIZED):
            raise NotSealed(f"round {round_} is {record.state.name} on chain, not sealed")
        rules = party.federation.rules()
        context = party.context(round_)
        before = self._holder.opened(context)
        if round_ not in before:
            require_budget(party, round_, before)
        sealed = SealedRound(
            context=context,
            min_contributors=rules.min_contributors,
            sum_digest=record.sum_digest,
            updates=tuple((item.address, item.digest) for item in record.sealed),
            encryption_key_digest=rules.encryption_key_digest,
        )
        opened = self._holder.open(sealed)
        digest = digests.opened_digest(context, opened.blob)
        party.store.put(digest, opened.blob)
        assert party.account is not None
        signature = sign_opening(
            party.account,
            context.chain_id,
            context.contract,
            round_,
            record.sum_digest,
            digest,
        )
        return Opening(blob=opened.blob, digest=digest, signature=signature)
