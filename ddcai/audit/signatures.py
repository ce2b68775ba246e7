"""Checking off chain what contributors and key holder signed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.claims import Claim, compare, judged, skipped
from ddcai.audit.history import Finalisation, History, Registration, RoundHistory, Sealing
from ddcai.audit.windows import PostedVerdict
from ddcai.chain.opening import opening_signer
from ddcai.errors import MalformedError, VerificationError
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
        """That the key holder signed the opened sum's digest, for this sealed sum."""
        history, key_holder = self._history, self._history.rules.key_holder
        try:
            found = opening_signer(
                final.opening_signature,
                history.chain_id,
                history.contract,
                round_.number,
                sealing.sum_digest,
                final.opened_digest,
            )
        except Exception as error:  # eth-account raises its own kinds for malformed signatures
            found = f"malformed signature ({type(error).__name__})"
        if found != key_holder and history.key_holder_is_contract:
            why = "the key holder is a contract, which judged its signature itself"
            return skipped(claims.OPENING, key_holder, why, round_=round_.number)
        return compare(claims.OPENING, key_holder, found, round_=round_.number)

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
