"""Boxes: bytes that one holder alone can open.

HPKE (RFC 9180, base mode) with MLKEM768-X25519, HKDF-SHA-256 and AES-256-GCM, as `cryptography`
has it: what is recorded today stays closed to a quantum computer, as the RLWE key itself does.
Base mode does not say who sealed a box: the message that carries it is signed.
"""

from __future__ import annotations

import os
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from ddcai.errors import MalformedError

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_MLKEM_SEED, _MLKEM_PUBLIC, _X25519 = 64, 1184, 32
SECRET_BYTES = _MLKEM_SEED + _X25519
PUBLIC_BYTES = _MLKEM_PUBLIC + _X25519
# The ML-KEM ciphertext (FIPS 203), an X25519 key, and the tag of AES-GCM.
BOX_OVERHEAD = 1088 + _X25519 + 16


class BoxKey:
    """A holder's secret key for boxes.

    Args:
        secret: `SECRET_BYTES`: the seed of the ML-KEM key (FIPS 203), then the X25519 scalar.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise MalformedError(f"a box key has {SECRET_BYTES} bytes, not {len(secret)}")
        mlkem = MLKEM768PrivateKey.from_seed_bytes(secret[:_MLKEM_SEED])
        x25519 = X25519PrivateKey.from_private_bytes(secret[_MLKEM_SEED:])
        self._key = MLKEM768X25519PrivateKey(mlkem, x25519)
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self._public = public

    @classmethod
    def generate(cls) -> Self:
        """A fresh key from the operating system's randomness."""
        return cls(os.urandom(SECRET_BYTES))

    def __repr__(self) -> str:
        return f"BoxKey(****, public={self._public[:8].hex()}...)"

    def __reduce__(self) -> Any:
        raise TypeError("a box key is not pickled")

    def public_bytes(self) -> bytes:
        """`PUBLIC_BYTES` that others seal to: ML-KEM's public key, then X25519's."""
        return self._public

    def open(self, box: bytes, about: bytes) -> bytes:
        """What a box holds.

        Args:
            box: as `seal` made it.
            about: the same as it was sealed with.

        Raises:
            MalformedError: it is another's, about something else, or was altered.
        """
        try:
            return _SUITE.decrypt(box, self._key, about)
        except (InvalidTag, ValueError):
            # Not chained: nothing is to tell in which of its steps it failed.
            raise MalformedError(
                f"a box of {len(box)} bytes does not open: it was sealed to another key, or altered"
            ) from None


def seal(secret: bytes, public: bytes, about: bytes) -> bytes:
    """A box that only the holder of a key opens; other bytes at every call.

    Args:
        secret: what goes into it.
        public: the recipient's `BoxKey.public_bytes`.
        about: what it is about, starting with a domain tag; not in the box, but needed to open it.

    Raises:
        MalformedError: the public key is none.
    """
    if len(public) != PUBLIC_BYTES:
        raise MalformedError(f"a public box key has {PUBLIC_BYTES} bytes, not {len(public)}")
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC:]),
        )
        return _SUITE.encrypt(secret, key, about)
    except ValueError as error:
        raise MalformedError(f"a public box key is none: {error}") from error
