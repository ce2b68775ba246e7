"""The key holder's signature under an opened sum: EIP-712, checked when a round is finalised."""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

SIGNATURE_BYTES = 65


def _typed(
    chain_id: int, contract: str, round: int, sum_digest: bytes, opened_digest: bytes
) -> SignableMessage:
    document: dict[str, Any] = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Opening": [
                {"name": "round", "type": "uint64"},
                {"name": "sumDigest", "type": "bytes32"},
                {"name": "openedDigest", "type": "bytes32"},
            ],
        },
        "primaryType": "Opening",
        "domain": {
            "name": "ddcai",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": to_checksum_address(contract),
        },
        "message": {"round": round, "sumDigest": sum_digest, "openedDigest": opened_digest},
    }
    return encode_typed_data(full_message=document)


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
    signable = _typed(chain_id, contract, round, sum_digest, opened_digest)
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
    signable = _typed(chain_id, contract, round, sum_digest, opened_digest)
    return str(Account.recover_message(signable, signature=signature))
