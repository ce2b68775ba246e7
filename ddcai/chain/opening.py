"""The key holder's signatures: EIP-712, in the federation's domain.

Under an opened sum, which the contract checks when a round is finalised, and under the scalars
of single updates, which every contributor checks before it signs a result.
"""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

SIGNATURE_BYTES = 65
_DOMAIN = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


def _typed(
    chain_id: int, contract: str, kind: str, round: int, **digests: bytes
) -> SignableMessage:
    fields = [{"name": name, "type": "bytes32"} for name in digests]
    document: dict[str, Any] = {
        "types": {"EIP712Domain": _DOMAIN, kind: [{"name": "round", "type": "uint64"}, *fields]},
        "primaryType": kind,
        "domain": {
            "name": "ddcai",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": to_checksum_address(contract),
        },
        "message": {"round": round, **digests},
    }
    return encode_typed_data(full_message=document)


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


def opening_signer(
    signature: bytes,
    chain_id: int,
    contract: str,
    round: int,
    sum_digest: bytes,
    opened_digest: bytes,
) -> str:
    """The account that made such a signature; anybody can compute it from the chain's record.

    Says nothing about the account: compare it with the federation's key holder.
    """
    signable = _opening(chain_id, contract, round, sum_digest, opened_digest)
    return str(Account.recover_message(signable, signature=signature))


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


def scalars_signer(
    signature: bytes, chain_id: int, contract: str, round: int, scalars_digest: bytes
) -> str:
    """The account that made such a signature; compare it with the federation's key holder."""
    signable = _typed(chain_id, contract, "Scalars", round, scalarsDigest=scalars_digest)
    return str(Account.recover_message(signable, signature=signature))
