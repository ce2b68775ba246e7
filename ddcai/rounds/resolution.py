"""The end of a dispute about a window's verdict by a fresh quorum, without the coordinator.

Every member recomputes the verdict for itself and signs what it computed; anybody puts the
signatures together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ddcai import digests, strict_json
from ddcai.chain.assessment import WindowState
from ddcai.chain.transactions import Receipt
from ddcai.errors import MalformedError, RoundError
from ddcai.rounds.party import Party
from ddcai.rounds.verdicts import WindowJudge

_FORMAT = "ddcai-resolution-1"


@dataclass(frozen=True, kw_only=True)
class SignedResolution:
    """One member's signature under the verdicts that it computed of a disputed window.

    Attributes:
        window: its number.
        digest: `WindowVerdicts.digest`, 32 bytes.
        member: the signer's index.
        signature: under `WindowVerdicts.message` of attempt 1: BLS 96 bytes, ECDSA 65.
    """

    window: int
    digest: bytes
    member: int
    signature: bytes

    def to_blob(self) -> bytes:
        """A file's content; nothing in it is secret."""
        return digests.canonical_json(
            {
                "format": _FORMAT,
                "window": self.window,
                "digest": self.digest.hex(),
                "member": self.member,
                "signature": self.signature.hex(),
            }
        )

    @classmethod
    def from_blob(cls, blob: bytes) -> SignedResolution:
        """Reads what `to_blob` wrote.

        Raises:
            MalformedError: anything else.
        """
        try:
            value = strict_json.loads(blob)
            found = cls(
                window=value["window"],
                digest=bytes.fromhex(value["digest"]),
                member=value["member"],
                signature=bytes.fromhex(value["signature"]),
            )
            if type(found.window) is not int or type(found.member) is not int:
                raise ValueError("numbers")
            if found.to_blob() != blob:
                raise ValueError("form")
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedError(f"no signed resolution: {error}") from error
        return found


def resolve(party: Party, number: int, signed: Sequence[SignedResolution]) -> Receipt:
    """Replaces a disputed verdict by the one that the signers computed, and this party too.

    Args:
        number: the window.
        signed: of members whose updates the window's last round sealed; a quorum of them.

    Raises:
        RoundError: it is not disputed; signatures of others, of other verdicts, or too few.
        VerificationError, MalformedError, BlobMissing, StoreError: this party cannot compute the
            verdict; or a signature is not the member's.
    """
    judge = WindowJudge(party)
    window = judge.assessment.window(number)
    if window.state is not WindowState.DISPUTED:
        raise RoundError(f"window {number} is {window.state.name}: there is nothing to resolve")
    verdicts = judge.remade(window)
    sealed = {item.index for item in party.federation.round(window.rounds[-1]).sealed}
    signatures: dict[int, bytes] = {}
    for one in signed:
        if (one.window, one.digest) != (number, verdicts.digest):
            raise RoundError(
                f"member {one.member} signed the verdict {one.digest.hex()} of window "
                f"{one.window}, but window {number} comes to {verdicts.digest.hex()}: let it sign "
                "again, with the same store"
            )
        if one.member not in sealed:
            raise RoundError(
                f"member {one.member} is not of the quorum, whose members are {sorted(sealed)}: "
                "leave its signature out"
            )
        key = party.federation.pubkey(one.member)
        party.scheme.verify_one(key, verdicts.message(party, 1), one.signature)
        signatures[one.member] = one.signature
    needed = party.federation.rules().signatures_needed(len(sealed))
    if len(signatures) < needed:
        raise RoundError(
            f"{len(signatures)} of {len(sealed)} members signed, but {needed} are needed: ask more "
            f"to run `ddcai window sign {number}`"
        )
    return judge.assessment.resolve(
        number,
        verdicts.agreed,
        verdicts.points,
        verdicts.digest,
        sorted(signatures),
        party.scheme.combine(signatures),
    )
