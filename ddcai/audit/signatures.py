"""Checking off chain what contributors and key holder signed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.claims import Claim, judged, skipped
from ddcai.audit.history import Finalisation, History, Registration, RoundHistory, Sealing
from ddcai.audit.windows import PostedVerdict
from ddcai.chain.key_holders import KeyEpoch
from ddcai.chain.opening import check_signature, opening_message
from ddcai.errors import ChainError, MalformedError, VerificationError
from ddcai.quorum import scheme_of


class Signatures:
    """The signatures of one federation's history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._scheme = scheme_of(history.quorum_scheme, history.chain_id, history.quorum)

    def check_possession(self, member: Registration) -> Claim:
        """That a member proved to hold the secret key of the key that it registered."""
        expected, address = "a proof under the registered key", member.address
        if member.proof is None:
            why = "it registered through another contract, whose input hides the proof"
            return skipped(claims.POSSESSION, expected, why, subject=address)
        try:
            self._scheme.verify_possession(address, member.key, member.proof)
        except (MalformedError, VerificationError) as error:
            return judged(claims.POSSESSION, False, expected, str(error), subject=address)
        return judged(claims.POSSESSION, True, expected, expected, subject=address)

    def check_opening(self, round_: RoundHistory, sealing: Sealing, final: Finalisation) -> Claim:
        """That the key holder signed the opened sum's digest, for this sealed sum.

        Where T of N accounts stand as the key holder: the holders of the epoch that belongs to
        the round. The contract takes those of the epoch before during the grace period, too.
        """
        history = self._history
        judge = partial(judged, claims.OPENING, round_=round_.number)
        try:
            key_holder = history.key_holder_of(round_)
        except ChainError as error:
            return judge(False, "holders of an epoch", str(error))
        message = opening_message(
            history.chain_id,
            history.contract,
            round_.number,
            sealing.sum_digest,
            final.opened_digest,
        )
        try:
            signers = check_signature(key_holder, message, final.opening_signature)
        except (MalformedError, VerificationError) as error:
            if history.key_holder_is_contract and not history.key_epochs:
                why = "the key holder is a contract, which judged its signature itself"
                return skipped(claims.OPENING, str(key_holder), why, round_=round_.number)
            return judge(False, str(key_holder), str(error))
        signed = ", ".join(signers)
        if isinstance(key_holder, KeyEpoch):
            signed = f"{len(signers)} of {len(key_holder.holders)} signed: {signed}"
        return judge(True, str(key_holder), signed)

    def check_quorum(self, round_: RoundHistory, sealing: Sealing, final: Finalisation) -> Claim:
        """That enough of the sealed contributors, and nobody else, signed the result."""
        message = digests.result_message(
            self._history.context(round_.number),
            sum_=sealing.sum_digest,
            opened=final.opened_digest,
            model=final.model_digest,
            head=final.head_digest,
        )
        judge = partial(judged, claims.QUORUM, round_=round_.number)
        return judge(*self._signed(sealing, message, final.signers, final.signature))

    def check_verdict(
        self, window: int, sealing: Sealing, verdict: PostedVerdict, assessment: str
    ) -> Claim:
        """That a quorum of the sealed contributors of a window's last round signed its verdict."""
        if verdict.signers is None or verdict.signature is None:
            expected = f"a quorum of the {len(sealing.indices)} sealed contributors"
            why = "it was posted through another contract, whose input hides the signature"
            return skipped(claims.VERDICT_QUORUM, expected, why, window=window)
        message = digests.verdict_message(
            self._history.chain_id,
            assessment,
            window,
            verdict.attempt,
            scores=verdict.scores_digest,
            agreed=verdict.agreed_words,
            points=verdict.points,
        )
        judge = partial(judged, claims.VERDICT_QUORUM, window=window)
        return judge(*self._signed(sealing, message, verdict.signers, verdict.signature))

    def _signed(
        self, sealing: Sealing, message: bytes, signers: Sequence[int], signature: bytes
    ) -> tuple[bool, str, str]:
        """Whether a quorum of the sealed signed; what was expected, and found."""
        sealed = frozenset(sealing.indices)
        needed = self._history.rules.signatures_needed(len(sealed))
        expected = f"at least {needed} of the {len(sealed)} sealed contributors"
        strangers = sorted(set(signers) - sealed)
        if strangers:
            return False, expected, f"members {strangers} signed, but are not sealed"
        if len(signers) < needed:
            return False, expected, f"{len(signers)} signed"
        try:
            keys = [self._key(index) for index in sorted(signers)]
            self._scheme.verify(keys, message, signature)
        except (MalformedError, VerificationError) as error:
            return False, expected, str(error)
        return True, expected, f"{len(signers)} signed"

    def _key(self, index: int) -> bytes:
        member = self._history.member(index)
        if member is None:
            raise VerificationError(f"no event shows that a member {index} registered")
        return member.key
