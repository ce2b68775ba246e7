"""Checking off chain what contributors and key holder signed."""

from __future__ import annotations

from functools import partial

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.claims import Claim, compare, judged, skipped
from ddcai.audit.history import Finalisation, History, Registration, RoundHistory, Sealing
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
        judge = partial(judged, claims.QUORUM, round_=round_.number)
        rules, sealed = self._history.rules, frozenset(sealing.indices)
        needed = -(-len(sealed) * rules.quorum_numerator // rules.quorum_denominator)
        expected = f"at least {needed} of the {len(sealed)} sealed contributors"
        strangers = sorted(set(final.signers) - sealed)
        if strangers:
            return judge(False, expected, f"members {strangers} signed, but are not sealed")
        if len(final.signers) < needed:
            return judge(False, expected, f"{len(final.signers)} signed")
        message = digests.result_message(
            self._history.context(round_.number),
            sum_=sealing.sum_digest,
            opened=final.opened_digest,
            model=final.model_digest,
            head=final.head_digest,
        )
        try:
            keys = [self._key(index) for index in sorted(final.signers)]
            self._scheme.verify(keys, message, final.signature)
        except (MalformedError, VerificationError) as error:
            return judge(False, expected, str(error))
        return judge(True, expected, f"{len(final.signers)} signed")

    def _key(self, index: int) -> bytes:
        member = self._history.member(index)
        if member is None:
            raise VerificationError(f"no event shows that a member {index} registered")
        return member.key
