"""How contributors attest a result: one interface over the schemes that a quorum may have.

BLS (`ddcai.attestation`): a key of its own, one aggregate signature for all. ECDSA: a
contributor signs with its Ethereum account, and a quorum's signature is theirs one after the
other, in ascending order of member index. Which one a federation has, its quorum contract says
(``IQuorum.scheme``); keys, proofs and quorum signatures here are in the form that it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address, to_checksum_address

from ddcai import attestation
from ddcai.errors import MalformedError, VerificationError

SCHEMES = ("bls", "ecdsa")
ECDSA_SIGNATURE_BYTES = 65
_ADDRESS_BYTES = 20
# Order of secp256k1's group; EIP-2 takes the lower of the two values of s alone.
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


class AttestationKey(Protocol):
    """A contributor's secret, of either scheme (`BlsSecretKey`, `EcdsaKey`)."""

    @property
    def registered(self) -> bytes:
        """The public key as the quorum contract stores it."""

    @property
    def public(self) -> str:
        """The public key as people compare it, in hex."""

    def prove(self, member: str) -> bytes:
        """The proof of possession for `member`'s registration, as the contract takes it."""

    def sign(self, message: bytes) -> bytes:
        """This contributor's signature under the 32 bytes of a result."""


class Scheme(Protocol):
    """What everybody else needs: checking, and making one signature of many."""

    @property
    def name(self) -> str:
        """One of `SCHEMES`."""

    def verify_possession(self, member: str, key: bytes, proof: bytes) -> None:
        """Raises VerificationError or MalformedError unless the proof holds."""

    def verify_one(self, key: bytes, message: bytes, signature: bytes) -> None:
        """Checks one contributor's signature, as `AttestationKey.sign` gives it.

        Raises:
            VerificationError, MalformedError: it does not hold.
        """

    def combine(self, signatures: Mapping[int, bytes]) -> bytes:
        """A quorum's signature from those of members by index, each checked before."""

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> None:
        """Checks a quorum's signature, as `combine` gives it.

        Args:
            keys: of the signers, in ascending order of index.

        Raises:
            VerificationError, MalformedError: it does not hold, or there are no keys.
        """


class BlsScheme:
    """Keys of 128 bytes and quorum signatures of 256, in EIP-2537's form."""

    name = "bls"

    def __init__(self) -> None:
        self._pubkeys: dict[bytes, bytes] = {}

    def verify_possession(self, member: str, key: bytes, proof: bytes) -> None:
        """PopVerify; the proof says nothing of the member."""
        compressed = attestation.signature_from_eip2537(proof)
        attestation.verify_possession(self._pubkey(key), compressed)

    def verify_one(self, key: bytes, message: bytes, signature: bytes) -> None:
        """Checks 96 bytes, compressed."""
        attestation.verify(self._pubkey(key), message, signature)

    def combine(self, signatures: Mapping[int, bytes]) -> bytes:
        """The aggregate, 256 bytes."""
        return attestation.signature_to_eip2537(attestation.aggregate(list(signatures.values())))

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> None:
        """FastAggregateVerify."""
        compressed = attestation.signature_from_eip2537(signature)
        attestation.verify_aggregate([self._pubkey(key) for key in keys], message, compressed)

    def _pubkey(self, key: bytes) -> bytes:
        if key not in self._pubkeys:
            self._pubkeys[key] = attestation.pubkey_from_eip2537(key)
        return self._pubkeys[key]


class EcdsaScheme:
    """Keys of 20 bytes (addresses); 65 bytes (r, s, v) a signature, under typed data (EIP-712).

    Args:
        chain_id: of the chain.
        quorum: address of the quorum contract: a signature serves no other.
    """

    name = "ecdsa"

    def __init__(self, chain_id: int, quorum: str) -> None:
        self._domain = {
            "name": "ddcai quorum",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": to_checksum_address(quorum),
        }

    def possession(self, member: str) -> SignableMessage:
        """What a key signs to be registered by `member`."""
        return self._typed("Possession", "member", "address", to_checksum_address(member))

    def attestation(self, message: bytes) -> SignableMessage:
        """What a contributor signs under the 32 bytes of a result."""
        return self._typed("Attestation", "message", "bytes32", message)

    def verify_possession(self, member: str, key: bytes, proof: bytes) -> None:
        """That the key signed for this member's registration."""
        _require_signer(key, self.possession(member), proof)

    def verify_one(self, key: bytes, message: bytes, signature: bytes) -> None:
        """Checks 65 bytes: r, s, v."""
        _require_signer(key, self.attestation(message), signature)

    def combine(self, signatures: Mapping[int, bytes]) -> bytes:
        """The signatures one after the other, in ascending order of index."""
        return b"".join(signatures[index] for index in sorted(signatures))

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes) -> None:
        """Checks each signature under the key in the same place."""
        if not keys:
            raise VerificationError("no key was given: a quorum of none proves nothing")
        if len(signature) != ECDSA_SIGNATURE_BYTES * len(keys):
            raise MalformedError(
                f"{len(signature)} bytes of signatures: {len(keys)} signers give "
                f"{ECDSA_SIGNATURE_BYTES * len(keys)}"
            )
        for place, key in enumerate(keys):
            start = ECDSA_SIGNATURE_BYTES * place
            self.verify_one(key, message, signature[start : start + ECDSA_SIGNATURE_BYTES])

    def _typed(self, kind: str, field: str, type_: str, value: Any) -> SignableMessage:
        document: dict[str, Any] = {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                kind: [{"name": field, "type": type_}],
            },
            "primaryType": kind,
            "domain": self._domain,
            "message": {field: value},
        }
        return encode_typed_data(full_message=document)


class EcdsaKey:
    """A contributor's own Ethereum account as its attestation key, for one quorum contract."""

    def __init__(self, account: LocalAccount, scheme: EcdsaScheme) -> None:
        self._account, self._scheme = account, scheme

    @property
    def registered(self) -> bytes:
        """The account's address, 20 bytes."""
        return to_canonical_address(self._account.address)

    @property
    def public(self) -> str:
        """The account's address."""
        return str(self._account.address)

    def prove(self, member: str) -> bytes:
        """65 bytes under ``Possession(address member)``."""
        return bytes(self._account.sign_message(self._scheme.possession(member)).signature)

    def sign(self, message: bytes) -> bytes:
        """65 bytes under ``Attestation(bytes32 message)``."""
        return bytes(self._account.sign_message(self._scheme.attestation(message)).signature)

    def __repr__(self) -> str:
        return f"EcdsaKey({self.public})"


def scheme_of(name: str, chain_id: int, quorum: str) -> Scheme:
    """The scheme that a quorum contract says it has.

    Raises:
        VerificationError: one that is not known here.
    """
    if name == "bls":
        return BlsScheme()
    if name == "ecdsa":
        return EcdsaScheme(chain_id, quorum)
    raise VerificationError(
        f"the quorum {quorum} has the scheme {name!r}, but this version of ddcai knows "
        f"{', '.join(SCHEMES)}: use the version that the federation was deployed with"
    )


def _require_signer(key: bytes, signable: SignableMessage, signature: bytes) -> None:
    if len(key) != _ADDRESS_BYTES or not any(key):
        raise MalformedError(f"{len(key)} bytes: an ECDSA key is an address of 20, not zero")
    if len(signature) != ECDSA_SIGNATURE_BYTES:
        raise MalformedError(
            f"{len(signature)} bytes: an ECDSA signature has {ECDSA_SIGNATURE_BYTES}"
        )
    # As the contract has it: otherwise there would be a second form of every signature.
    if int.from_bytes(signature[32:64], "big") > _ORDER // 2 or signature[64] not in (27, 28):
        raise MalformedError("a signature with the higher s, or with v other than 27 or 28")
    try:
        signer = str(Account.recover_message(signable, signature=signature))
    except Exception as error:  # eth-account raises its own kinds for malformed signatures
        raise VerificationError("the signature is no signature of any key") from error
    if signer != to_checksum_address(key):
        raise VerificationError(f"the signature is of {signer}, not of {to_checksum_address(key)}")
