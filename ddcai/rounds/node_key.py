"""A Flower node's key: by it a SuperNode shows itself to the SuperLink, and signs who it is.

What Flower 1.41 does with it, found by experiment: a SuperNode sends the key (PEM) and an ECDSA
signature under the time with each request, and a SuperLink that runs with
``--enable-supernode-auth`` answers only requests whose key was registered before, under the node
id that it gave out then. Keys of all NIST curves are taken; Flower's own tools make P-384. The
private key is an OpenSSH file without password, the only form that ``flower-supernode`` reads.
The ServerApp is told node ids alone, never keys: therefore a node signs who it is with this key,
too (`ddcai.rounds.identity`).
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from ddcai.errors import KeyfileError, MalformedError, VerificationError
from ddcai.keyfile import write_once

_HASH = ec.ECDSA(hashes.SHA384())


class NodeKey:
    """A node's private key. Whoever has it can connect as this node; it can open nothing."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private

    def __repr__(self) -> str:
        return f"NodeKey({self.public.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a node key is not pickled: pass its file's path")

    @property
    def public(self) -> bytes:
        """The public key, a compressed point of P-384: 49 bytes (SEC 1, 2.3.3)."""
        return self._private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    def sign(self, message: bytes) -> bytes:
        """An ECDSA signature with SHA-384, DER."""
        return self._private.sign(message, _HASH)

    @classmethod
    def load_or_make(cls, path: Path) -> NodeKey:
        """The key of a file; where there is none, a new key, readable for its owner alone.

        Raises:
            KeyfileError: the file holds something else, or cannot be written.
        """
        if not path.exists():
            private = ec.generate_private_key(ec.SECP384R1())
            form = (Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
            try:
                write_once(path, private.private_bytes(*form))
            except OSError as error:
                raise KeyfileError(f"cannot write the node key {path}: {error.strerror}") from error
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> NodeKey:
        """The key of a file, P-384 in OpenSSH's form without password.

        Raises:
            KeyfileError: missing, or something else.
        """
        try:
            private = load_ssh_private_key(path.read_bytes(), None)
        except OSError as error:
            raise KeyfileError(f"cannot read the node key {path}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyfileError(
                f"{path} is no node key: give a P-384 key in OpenSSH's form without password, or "
                "move it away and a new one is made"
            ) from error
        if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(
            private.curve, ec.SECP384R1
        ):
            return cls(private)
        raise KeyfileError(f"{path} is a key of another kind: give one of P-384")


def parse(public_key: bytes) -> ec.EllipticCurvePublicKey:
    """A public key from its compressed point.

    Raises:
        MalformedError: it is no point of P-384.
    """
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), public_key)
    except ValueError as error:
        raise MalformedError(f"0x{public_key.hex()} is no point of P-384") from error


def to_pem(public_key: bytes) -> bytes:
    """A public key in the form that Flower registers (SubjectPublicKeyInfo, PEM)."""
    return parse(public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Raises VerificationError unless the key signed the message; MalformedError as `parse`."""
    try:
        parse(public_key).verify(signature, message, _HASH)
    except InvalidSignature as error:
        raise VerificationError(f"not signed by the node key 0x{public_key.hex()}") from error
