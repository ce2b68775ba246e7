"""The scalars that a key holder opened of a round's updates, under its signature.

Public: whoever has them computes scores and verdicts from them, and believes the key holder
alone about what the ciphertexts hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from eth_utils.address import is_checksum_address

from ddcai import digests, strict_json
from ddcai.chain.opening import (
    SIGNATURE_LENGTHS,
    check_signature,
    scalars_message,
    sign_scalars,
)
from ddcai.chain.records import RoundRecord
from ddcai.errors import MalformedError, VerificationError
from ddcai.rounds.party import Party

_FORMAT = "ddcai-scalars-1"


@dataclass(frozen=True, kw_only=True)
class OpenedScalars:
    """What was opened of each single update of a round, for one purpose.

    Attributes:
        by_contributor: integers; none for an update that no honest contributor can have sent.
            For the gate in the order of `ddcai.assessment.scores.Frame.vectors`; for the window
            one, with the model's later movement.
        signature: the key holder's EIP-712 signature under all of them: 65 bytes of an account,
            or those of an epoch's holders (`ddcai.chain.key_holders.join_signatures`).
    """

    by_contributor: Mapping[str, tuple[int, ...]]
    signature: bytes

    @classmethod
    def sign(
        cls,
        party: Party,
        record: RoundRecord,
        by_contributor: Mapping[str, tuple[int, ...]],
        *,
        movement: bool = False,
    ) -> Self:
        """Signs by the party's account, which is the key holder's."""
        assert party.account is not None
        signature = sign_scalars(
            party.account,
            party.federation.chain_id,
            party.federation.address,
            record.number,
            _digest(party, record, by_contributor, movement),
        )
        return cls(by_contributor=dict(sorted(by_contributor.items())), signature=signature)

    def check(self, party: Party, record: RoundRecord, *, movement: bool = False) -> None:
        """Raises VerificationError unless they are of exactly the committed updates, signed by
        the federation's key holder for this round and purpose."""
        assert record.commitment is not None
        number = record.number
        committed = {item.address for item in record.commitment.committed}
        if set(self.by_contributor) != committed:
            raise VerificationError(
                f"round {number}: scalars of {len(self.by_contributor)} contributors were opened, "
                f"of {len(committed)} committed ones"
            )
        try:
            check_signature(
                party.federation.key_holder_of(number),
                self.message(party, record, movement=movement),
                self.signature,
            )
        except (MalformedError, VerificationError) as error:
            raise VerificationError(f"the scalars of round {number}: {error}") from error

    def message(self, party: Party, record: RoundRecord, *, movement: bool = False) -> bytes:
        """The 32 bytes that a key holder signs under them."""
        return scalars_message(
            party.federation.chain_id,
            party.federation.address,
            record.number,
            _digest(party, record, self.by_contributor, movement),
        )

    def to_json(self) -> dict[str, Any]:
        """As a document has them."""
        return {
            "opened": {name: list(values) for name, values in self.by_contributor.items()},
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Reads what `to_json` made. Raises MalformedError for anything else."""
        try:
            if set(value) != {"opened", "signature"}:
                raise ValueError("other fields")
            opened = {name: tuple(values) for name, values in value["opened"].items()}
            signature = bytes.fromhex(value["signature"])
            whole = all(type(one) is int for values in opened.values() for one in values)
            if not whole or not all(is_checksum_address(name) for name in opened):
                raise ValueError("opened")
            if len(signature) not in SIGNATURE_LENGTHS or signature.hex() != value["signature"]:
                raise ValueError("signature")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"no opened scalars: {error}") from error
        return cls(by_contributor=opened, signature=signature)

    def to_blob(self) -> bytes:
        """Canonical JSON with a version."""
        return digests.canonical_json({"format": _FORMAT, **self.to_json()})

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Reads what `to_blob` wrote. Raises MalformedError for anything else."""
        try:
            value = strict_json.loads(blob)
            if value.pop("format") != _FORMAT:
                raise ValueError("format")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"no opened scalars: {error}") from error
        return cls.from_json(value)


def _digest(
    party: Party, record: RoundRecord, opened: Mapping[str, tuple[int, ...]], movement: bool
) -> bytes:
    assert record.commitment is not None
    return digests.scalars_digest(
        party.context(record.number),
        record.commitment.list_digest,
        {address: list(values) for address, values in opened.items()},
        movement=movement,
    )
