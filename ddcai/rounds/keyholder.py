"""A key holder's side of a round: read the sealed list from the chain, recompute, open, sign.

Holds the federation's only decryption key (a T-of-N key is to take its place). It takes
nothing from the coordinator but the round's number: which updates, which sum and how many
are enough come from the chain, the ciphertexts from the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ddcai import digests
from ddcai.chain.opening import sign_opening, sign_scalars
from ddcai.chain.records import RoundState
from ddcai.digests import RoundContext
from ddcai.encryption.bfv import SecretKey
from ddcai.encryption.opening import KeyHolder, SealedRound
from ddcai.encryption.scalars import Committed, ScalarOpener, Vectors
from ddcai.errors import ConfigurationError, NotSealed
from ddcai.models.trained import num_values
from ddcai.rounds.judging import Judge, commitment_of
from ddcai.rounds.party import Party
from ddcai.rounds.result import quantiser

# Four projections, anchor and three movements a round: 512 rounds. See docs/security.md.
SCALAR_BUDGET = 4096


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


@dataclass(frozen=True, kw_only=True)
class OpenedScalars:
    """What was opened of a round's single updates.

    Attributes:
        by_contributor: integers in the order of `ddcai.assessment.scores.Frame.vectors`; none for
            an update that no honest contributor can have sent.
        signature: 65 bytes, the key holder's under all of them.
    """

    by_contributor: Mapping[str, tuple[int, ...]]
    signature: bytes


class Opener:
    """The key holder of one federation.

    Args:
        party: its chain, account and store; the account is the contract's key holder.
        secret: the federation's decryption key.
        folder: where it remembers which lists it opened. Losing it means that one round
            could be opened twice, with two lists: back it up.
        scalar_budget: of one contributor, over the life of the federation.
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
            value_limit=quantiser(party.config).value_limit,
        )
        self._scalars = ScalarOpener(
            secret,
            folder / "scalars",
            party.store.get,
            value_limit=quantiser(party.config).value_limit,
            budget=scalar_budget,
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
        committed = commitment_of(record).committed
        view = judge.view(record, judge.published_anchor(record, anchor))
        base = party.model(record.base_model_digest)
        opened = self._scalars.open(
            Committed(
                context=party.context(round_),
                updates=tuple((item.address, item.digest) for item in committed),
                values=num_values(party.config, base, round_),
                encryption_key_digest=party.federation.rules().encryption_key_digest,
            ),
            Vectors(lane=view.lane, positions=view.positions, rows=view.frame.vectors),
        )
        assert party.account is not None
        signature = sign_scalars(
            party.account,
            party.federation.chain_id,
            party.federation.address,
            round_,
            party.scalars_digest(record, opened),
        )
        return OpenedScalars(by_contributor=opened, signature=signature)

    def open(self, round_: int) -> Opening:
        """Opens a round's sum; asked again, it answers with the same bytes.

        Raises:
            OpeningRefused: in all the cases of `ddcai.encryption.opening.KeyHolder`.
        """
        party = self.party
        record = party.federation.round(round_)
        if record.state not in (RoundState.SEALED, RoundState.FINALIZED):
            raise NotSealed(f"round {round_} is {record.state.name} on chain, not sealed")
        rules = party.federation.rules()
        context = party.context(round_)
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
