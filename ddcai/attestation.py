"""BLS signatures with which contributors attest a round's result.

The proof-of-possession suite of draft-irtf-cfrg-bls-signature over BLS12-381, public keys in
G1 (48 bytes compressed), signatures in G2 (96 bytes). py_ecc is the reference;
py-arkworks-bls12381, when it can be imported, gives the same bytes about a hundred times
faster. ``DDCAI_BLS=py_ecc`` forces the reference. Neither is audited for side channels.

Every contributor holds its own secret key and nobody else does. A signature says who
attested what and nothing about the contributor's data. Only aggregate keys whose proof of
possession was checked: the contract checks it at registration.

The contract takes points in EIP-2537's form: each coordinate a big-endian 64-byte field
element, uncompressed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Self

from py_ecc.bls import G2ProofOfPossession as _reference
from py_ecc.bls.g2_primitives import (
    G1_to_pubkey,
    G2_to_signature,
    pubkey_to_G1,
    signature_to_G2,
    subgroup_check,
)
from py_ecc.optimized_bls12_381 import FQ, FQ2, b, b2, curve_order, field_modulus, is_on_curve
from py_ecc.optimized_bls12_381 import normalize as _normalize

from ddcai.errors import MalformedError, VerificationError
from ddcai.keyfile import load_secret, save_secret

PUBKEY_BYTES, SIGNATURE_BYTES = 48, 96
SIGNATURE_DST = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
POSSESSION_DST = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
_HOLDS = "bls-secret-key"
_FIELD_BYTES, _PADDED_BYTES = 48, 64


def _accelerator() -> ModuleType | None:
    if os.environ.get("DDCAI_BLS") == "py_ecc":
        return None
    try:
        import py_arkworks_bls12381
    except ImportError:
        return None
    module: ModuleType = py_arkworks_bls12381
    return module


_fast = _accelerator()
BACKEND = "py_ecc" if _fast is None else "py-arkworks-bls12381"


class BlsSecretKey:
    """A contributor's attestation key: an integer from 1 to the group order less 1."""

    def __init__(self, scalar: int) -> None:
        if not 1 <= scalar < curve_order:
            raise MalformedError("a BLS secret key is from 1 to the group order less 1")
        self._scalar = scalar
        self.pubkey: bytes = _public(scalar)

    @classmethod
    def generate(cls) -> Self:
        """A fresh key: KeyGen (HKDF) over 32 bytes from the operating system."""
        return cls(_reference.KeyGen(secrets.token_bytes(32)))

    def save(self, path: Path | str, password: str, *, light: bool = False) -> None:
        """Writes the key under a password (`ddcai.keyfile`); never overwrites."""
        public = {"pubkey": self.pubkey.hex()}
        secret = self._scalar.to_bytes(32, "big")
        save_secret(
            path, holds=_HOLDS, secret=secret, public=public, password=password, light=light
        )

    @classmethod
    def load(cls, path: Path | str, password: str) -> Self:
        """Reads a key that `save` wrote.

        Raises:
            KeyfileError: missing, damaged or another kind of file.
            WrongPassword: if the password does not open it.
        """
        secret, _ = load_secret(path, holds=_HOLDS, password=password)
        return cls(int.from_bytes(secret, "big"))

    def sign(self, message: bytes) -> bytes:
        """The 96-byte signature under a message."""
        return _sign(self._scalar, message, SIGNATURE_DST)

    def prove_possession(self) -> bytes:
        """PopProve: a 96-byte signature under the public key, with its own domain tag."""
        return _sign(self._scalar, self.pubkey, POSSESSION_DST)

    @property
    def registered(self) -> bytes:
        """The public key as the contract stores it: 128 bytes in EIP-2537's form."""
        return pubkey_to_eip2537(self.pubkey)

    @property
    def public(self) -> str:
        """The public key in hex."""
        return self.pubkey.hex()

    def prove(self, member: str) -> bytes:
        """The proof of possession as the contract takes it, 256 bytes; the same for any member."""
        return signature_to_eip2537(self.prove_possession())

    def __repr__(self) -> str:
        return f"BlsSecretKey(pubkey={self.pubkey.hex()}, secret=***)"


def verify(pubkey: bytes, message: bytes, signature: bytes) -> None:
    """Checks one signature; raises VerificationError if it does not hold."""
    verify_aggregate([pubkey], message, signature)


def verify_aggregate(pubkeys: Sequence[bytes], message: bytes, signature: bytes) -> None:
    """FastAggregateVerify: every key signed the same message.

    The proofs of possession of all keys must have been checked before.

    Raises:
        VerificationError: for no keys, a malformed or identity key, or a false signature.
    """
    if not pubkeys:
        raise VerificationError("no public key was given: an aggregate of none proves nothing")
    if _fast is None:
        good = _reference.FastAggregateVerify(list(pubkeys), message, signature)
    else:
        good = _fast_verify(pubkeys, message, signature, SIGNATURE_DST)
    if not good:
        raise VerificationError(
            f"the signature does not verify under the {len(pubkeys)} given public keys"
        )


def verify_possession(pubkey: bytes, proof: bytes) -> None:
    """PopVerify; raises VerificationError if the proof does not hold."""
    if _fast is None:
        good = _reference.PopVerify(pubkey, proof)
    else:
        good = _fast_verify([pubkey], pubkey, proof, POSSESSION_DST)
    if not good:
        raise VerificationError("the proof of possession does not verify under its public key")


def aggregate(signatures: Sequence[bytes]) -> bytes:
    """The 96-byte sum of signatures, in any order.

    Raises:
        MalformedError: for none, or one that is no point of the group.
    """
    if not signatures:
        raise MalformedError("no signature was given: there is nothing to aggregate")
    if _fast is None:
        for signature in signatures:
            _reference_point(signature)
        return bytes(_reference.Aggregate(list(signatures)))
    try:
        points = [_fast.G2Point.from_compressed_bytes(item) for item in signatures]
    except Exception as error:
        raise MalformedError("a signature is no point of the BLS12-381 group G2") from error
    return bytes(sum(points[1:], start=points[0]).to_compressed_bytes())


def pubkey_to_eip2537(pubkey: bytes) -> bytes:
    """48 compressed bytes to 128 bytes: x, y."""
    try:
        x, y = _normalize(pubkey_to_G1(pubkey))[:2]
    except Exception as error:
        raise MalformedError("not a compressed point of the BLS12-381 group G1") from error
    return _pad(int(x)) + _pad(int(y))


def pubkey_from_eip2537(point: bytes) -> bytes:
    """128 bytes back to 48; the point must be on the curve, in the group, not the identity."""
    x, y = _unpad(point, 2)
    candidate = (FQ(x), FQ(y), FQ(1))
    if not is_on_curve(candidate, b):
        raise MalformedError("not a point of the BLS12-381 group G1")
    compressed = bytes(G1_to_pubkey(candidate))
    if not _in_group("G1Point", candidate, compressed):
        raise MalformedError("not a point of the BLS12-381 group G1")
    return compressed


def signature_to_eip2537(signature: bytes) -> bytes:
    """96 compressed bytes to 256 bytes: x.c0, x.c1, y.c0, y.c1."""
    x, y = _normalize(_reference_point(signature))[:2]
    return b"".join(_pad(int(part)) for part in (*x.coeffs, *y.coeffs))


def signature_from_eip2537(point: bytes) -> bytes:
    """256 bytes back to 96; the point must be on the curve and in the group."""
    x0, x1, y0, y1 = _unpad(point, 4)
    candidate = (FQ2([x0, x1]), FQ2([y0, y1]), FQ2.one())
    if not is_on_curve(candidate, b2):
        raise MalformedError("not a point of the BLS12-381 group G2")
    compressed = bytes(G2_to_signature(candidate))
    if not _in_group("G2Point", candidate, compressed):
        raise MalformedError("not a point of the BLS12-381 group G2")
    return compressed


def _public(scalar: int) -> bytes:
    if _fast is None:
        return bytes(_reference.SkToPk(scalar))
    return bytes((_fast.G1Point() * _fast_scalar(scalar)).to_compressed_bytes())


def _sign(scalar: int, message: bytes, dst: bytes) -> bytes:
    if _fast is None:
        return bytes(_reference._CoreSign(scalar, message, dst))
    point = _fast.G2Point.hash_to_curve(message, dst) * _fast_scalar(scalar)
    return bytes(point.to_compressed_bytes())


def _fast_scalar(scalar: int) -> object:
    assert _fast is not None
    return _fast.Scalar.from_be_bytes(scalar.to_bytes(32, "big"))


def _fast_verify(pubkeys: Sequence[bytes], message: bytes, signature: bytes, dst: bytes) -> bool:
    assert _fast is not None
    identity = _fast.G1Point.identity()
    try:
        points = [_fast.G1Point.from_compressed_bytes(key) for key in pubkeys]
        signed = _fast.G2Point.from_compressed_bytes(signature)
    except Exception:  # the binding raises its own kinds; malformed is not verified
        return False
    if any(point == identity for point in points):
        return False
    key = sum(points[1:], start=points[0])
    hashed = _fast.G2Point.hash_to_curve(message, dst)
    # e(key, H(m)) = e(g, signature), written as one product
    return bool(_fast.GT.pairing_check([key, -_fast.G1Point()], [hashed, signed]))


def _reference_point(signature: bytes) -> tuple[FQ2, FQ2, FQ2]:
    try:
        point = signature_to_G2(signature)
        if len(signature) != SIGNATURE_BYTES or not _in_group("G2Point", point, signature):
            raise ValueError("subgroup")
    except Exception as error:
        raise MalformedError("a signature is no point of the BLS12-381 group G2") from error
    return point  # type: ignore[no-any-return]


def _in_group(kind: str, point: object, compressed: bytes) -> bool:
    """Whether a point of the curve is in the group of prime order.

    py_ecc multiplies by the order (35 ms in G1, 150 ms in G2); reading the compressed form,
    the accelerator checks the same in less than one.
    """
    if _fast is None:
        return bool(subgroup_check(point))
    try:
        getattr(_fast, kind).from_compressed_bytes(compressed)
    except Exception:  # the binding raises its own kinds
        return False
    return True


def _pad(coordinate: int) -> bytes:
    return coordinate.to_bytes(_PADDED_BYTES, "big")


def _unpad(point: bytes, coordinates: int) -> list[int]:
    if len(point) != coordinates * _PADDED_BYTES:
        raise MalformedError(f"{len(point)} bytes: a point has {coordinates * _PADDED_BYTES}")
    values = [
        int.from_bytes(point[start : start + _PADDED_BYTES], "big")
        for start in range(0, len(point), _PADDED_BYTES)
    ]
    if any(value >= field_modulus for value in values) or not any(values):
        raise MalformedError("a coordinate is not below the field's modulus, or all are zero")
    return values
