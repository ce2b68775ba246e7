"""One account's ECDSA signature under 32 bytes, taken and refused as the contracts do.

OpenZeppelin's ``ECDSA.tryRecover`` takes 65 bytes (r, s, v) with the lower s (EIP-2) and v of 27
or 28, so that nobody can make a second form of a signature. eth-account takes other forms, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_account.messages import SignableMessage, encode_typed_data
from eth_keys.datatypes import Signature
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ddcai.errors import MalformedError

SIGNATURE_BYTES = 65
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1
_VS = (27, 28)


def typed_data(
    domain: str, kind: str, fields: Mapping[str, tuple[str, Any]], *, chain_id: int, contract: str
) -> SignableMessage:
    """What an account signs by EIP-712, in the domain of one contract on one chain.

    Args:
        domain: its name; its version is 1.
        kind: the name of the struct.
        fields: type and value of each of its members, by name, in order.
    """
    document: dict[str, Any] = {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            kind: [{"name": name, "type": type_} for name, (type_, _) in fields.items()],
        },
        "primaryType": kind,
        "domain": {
            "name": domain,
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": to_checksum_address(contract),
        },
        "message": {name: value for name, (_, value) in fields.items()},
    }
    return encode_typed_data(full_message=document)


def signed_hash(signable: SignableMessage) -> bytes:
    """The 32 bytes that a signature of this is under (EIP-191)."""
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def check_form(signature: bytes) -> None:
    """Raises MalformedError unless the bytes have the one form that contracts take."""
    if len(signature) != SIGNATURE_BYTES:
        raise MalformedError(
            f"{len(signature)} bytes: an account's signature has {SIGNATURE_BYTES}"
        )
    r, s = (int.from_bytes(signature[start : start + 32], "big") for start in (0, 32))
    if not 0 < r < _ORDER or s == 0:
        raise MalformedError("a signature with an r or s outside the group's order")
    if s > _ORDER // 2:
        raise MalformedError("a signature with the higher s: give the one with the lower s (EIP-2)")
    if signature[64] not in _VS:
        raise MalformedError(f"a signature with v of {signature[64]}: give 27 or 28")


def recover(message: bytes, signature: bytes) -> str:
    """The account that signed, as a checksum address; whoever asks compares it.

    Args:
        message: the 32 bytes that were signed, such as an EIP-712 hash.
        signature: r, s, v.

    Raises:
        MalformedError: not in the one form that contracts take, or of no account.
    """
    check_form(signature)
    try:
        parsed = Signature(signature[:64] + bytes([signature[64] - _VS[0]]))
        public = parsed.recover_public_key_from_msg_hash(message)
    except Exception as error:  # each backend of eth-keys raises its own kinds
        raise MalformedError("a signature of no account: r is on no point of the curve") from error
    return str(to_checksum_address(public.to_address()))
