"""A single key holder's side of a round: recompute the sealed sum, open it, sign it.

Holds the federation's only decryption key: for trials. In earnest several hold one together
(`ddcai.rounds.shared_opener`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ddcai import digests
from ddcai.chain.opening import sign_opening
from ddcai.digests import RoundContext
from ddcai.encryption.bfv import SecretKey
from ddcai.encryption.opening import KeyHolder
from ddcai.encryption.scalars import ScalarOpener
from ddcai.encryption.sealed import SealedRound
from ddcai.errors import ConfigurationError
from ddcai.rounds.openable import (
    committed_updates,
    gate_vectors,
    movement_vectors,
    sealed_round,
)
from ddcai.rounds.party import SCALAR_BUDGET, Party
from ddcai.rounds.result import reach, update_reach
from ddcai.rounds.scalars import OpenedScalars


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

    Raises:
        ConfigurationError: another account than the federation's key holder, or another key.
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
        digest = party.federation.rules().encryption_key_digest
        if secret.public_key_digest != digest:
            raise ConfigurationError(
                f"this secret key opens the public key {secret.public_key_digest.hex()}, but the "
                f"federation encrypts under {digest.hex()}: give the one that belongs to it"
            )
        self.party = party
        self._holder = KeyHolder(
            secret,
            folder / "opened",
            party.store.get,
            value_limit=update_reach(party.config),
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
        record = self.party.federation.round(round_)
        vectors, noise = gate_vectors(self.party, record, anchor)
        opened = self._scalars.open(committed_updates(self.party, record), vectors, noise)
        return OpenedScalars.sign(self.party, record, opened)

    def open_movement(self, round_: int) -> OpenedScalars:
        """Opens what a finalised round's updates share with the model's later movement, one
        scalar each; the same ones, asked again.

        Raises:
            NotSealed: the round is not finalised, or the rounds that it is judged by are not.
            OpeningRefused: in all the cases of `ddcai.encryption.scalars`.
        """
        record = self.party.federation.round(round_)
        vectors, noise = movement_vectors(self.party, record)
        opened = self._movement.open(committed_updates(self.party, record), vectors, noise)
        return OpenedScalars.sign(self.party, record, opened, movement=True)

    def open(self, round_: int) -> Opening:
        """Opens a round's sum; asked again, it answers with the same bytes.

        Raises:
            OpeningRefused: in all the cases of `ddcai.encryption.opening.KeyHolder`.
            PrivacyBudgetSpent: it was not opened yet, and would bring epsilon above the budget;
                what this key holder opened counts, whatever the chain shows.
        """
        sealed = sealed_round(self.party, round_, self._holder.opened(self.party.context(round_)))
        return sign_sum(self.party, sealed, self._holder.open(sealed).blob)


def sign_sum(party: Party, sealed: SealedRound, blob: bytes) -> Opening:
    """Puts an opened sum into the store, and signs it by the party's account."""
    context = sealed.context
    digest = digests.opened_digest(context, blob)
    party.store.put(digest, blob)
    assert party.account is not None
    signature = sign_opening(
        party.account,
        context.chain_id,
        context.contract,
        context.round,
        sealed.sum_digest,
        digest,
    )
    return Opening(blob=blob, digest=digest, signature=signature)
