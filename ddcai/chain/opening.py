"""The key holder's signatures: EIP-712, in the federation's domain.

Under an opened sum, which the contract checks when a round is finalised, and under the scalars
of single updates, which every contributor checks before it signs a result. Where T of N accounts
stand as the key holder, each signs the same, and the signatures are joined
(`ddcai.chain.key_holders.join_signatures`).
"""

from __future__ import annotations

from typing import Any, Final

from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount

from ddcai.chain.account_signatures import SIGNATURE_BYTES, recover, signed_hash, typed_data
from ddcai.chain.holder_rules import MAX_HOLDERS, MIN_THRESHOLD
from ddcai.chain.key_holders import EPOCH_BYTES, KeyEpoch, split_signatures
from ddcai.errors import VerificationError

# What a key holder's signature may be long: an account's, or those of an epoch's holders.
SIGNATURE_LENGTHS: Final = frozenset(
    {SIGNATURE_BYTES}
    | {EPOCH_BYTES + SIGNATURE_BYTES * count for count in range(MIN_THRESHOLD, MAX_HOLDERS + 1)}
)


def _typed(
    chain_id: int, contract: str, kind: str, round: int, **digests: bytes
) -> SignableMessage:
    fields: dict[str, tuple[str, Any]] = {"round": ("uint64", round)}
    fields |= {name: ("bytes32", value) for name, value in digests.items()}
    return typed_data("ddcai", kind, fields, chain_id=chain_id, contract=contract)


def _opening(
    chain_id: int, contract: str, round: int, sum_digest: bytes, opened_digest: bytes
) -> SignableMessage:
    return _typed(
        chain_id, contract, "Opening", round, sumDigest=sum_digest, openedDigest=opened_digest
    )


def sign_opening(
    account: LocalAccount,
    chain_id: int,
    contract: str,
    round: int,
    sum_digest: bytes,
    opened_digest: bytes,
) -> bytes:
    """The key holder's 65-byte signature that `opened_digest` is what the sealed sum opens to.

    Bound to the chain, the federation and the round, so that it serves nowhere else.

    Args:
        account: the key holder's.
        sum_digest, opened_digest: 32 bytes each.
    """
    signable = _opening(chain_id, contract, round, sum_digest, opened_digest)
    return bytes(account.sign_message(signable).signature)


def opening_message(
    chain_id: int, contract: str, round: int, sum_digest: bytes, opened_digest: bytes
) -> bytes:
    """The 32 bytes that the key holder signs; equals ``Federation.openingMessage``."""
    return signed_hash(_opening(chain_id, contract, round, sum_digest, opened_digest))


def sign_scalars(
    account: LocalAccount, chain_id: int, contract: str, round: int, scalars_digest: bytes
) -> bytes:
    """The key holder's 65-byte signature under the scalars that it opened of a round's updates.

    Args:
        account: the key holder's.
        scalars_digest: `ddcai.digests.scalars_digest`, which names the committed list.
    """
    signable = _typed(chain_id, contract, "Scalars", round, scalarsDigest=scalars_digest)
    return bytes(account.sign_message(signable).signature)


def scalars_message(chain_id: int, contract: str, round: int, scalars_digest: bytes) -> bytes:
    """The 32 bytes that the key holder signs under the scalars of a round's updates."""
    return signed_hash(_typed(chain_id, contract, "Scalars", round, scalarsDigest=scalars_digest))


def check_signature(
    key_holder: str | KeyEpoch, message: bytes, signature: bytes
) -> tuple[str, ...]:
    """Checks a key holder's signature without the chain.

    Guarantees:
    - for an account, what OpenZeppelin's ``SignatureChecker`` answers for it;
    - for an epoch, what ``KeyHolders.isValidSignature`` answers while the epoch is current. The
      contract takes those of the epoch before for a grace period; this does not.

    Args:
        key_holder: an account, or the epoch that belongs to the round
            (`ddcai.chain.federation.Federation.key_holder_of`).
        message: the 32 bytes that were signed (`opening_message`, `scalars_message`).

    Returns:
        Who signed, ascending: the account, or exactly the threshold of the epoch's holders.

    Raises:
        MalformedError: not the one form that such a signature has.
        VerificationError: of somebody else, of another epoch, or of too few or too many.
    """
    if isinstance(key_holder, str):
        signer = recover(message, signature)
        if signer != key_holder:
            raise VerificationError(f"signed by {signer}, not by the key holder {key_holder}")
        return (signer,)
    number, found = split_signatures(signature, message)
    if number != key_holder.number:
        raise VerificationError(f"signed for epoch {number}, not by {key_holder}")
    strangers = [signer for signer in found if signer not in key_holder.holders]
    if strangers:
        raise VerificationError(f"signed by {', '.join(strangers)}: not of the {key_holder}")
    if len(found) != key_holder.threshold:
        raise VerificationError(f"{len(found)} signed, but it takes exactly {key_holder}")
    return tuple(found)
