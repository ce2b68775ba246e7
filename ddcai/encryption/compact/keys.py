"""The key holders' public keys, which stand where BFV has a public encryption key.

There is no key that opens updates: each is encrypted under a secret of its own, and the seeds of
its masks are sealed to the holders under these keys. Whoever has a holder's secret key reads what
that holder was sent: one piece short of everything, for T - 1 of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ddcai.digests import RoundContext, public_key_digest, share_package
from ddcai.encryption import public_file
from ddcai.encryption.compact import wire
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.encryption.compact.shares import mask, to_bytes
from ddcai.encryption.compact.update import RoundSecret
from ddcai.encryption.threshold.boxes import PUBLIC_BYTES, seal
from ddcai.encryption.threshold.sharing import Sharing
from ddcai.errors import ConfigurationError, MalformedError

HOLDS_KEYS = "key-holders-public-keys"


class HolderKeys:
    """What a contributor encrypts with: shape, number of holders, and the key of each.

    Args:
        shape: of the federation.
        sharing: T of N.
        keys: `BoxKey.public_bytes` of each holder, in their order.

    Raises:
        ConfigurationError: not one key for each holder.
    """

    def __init__(self, shape: CompactShape, sharing: Sharing, keys: tuple[bytes, ...]) -> None:
        if len(keys) != sharing.holders or {len(key) for key in keys} != {PUBLIC_BYTES}:
            raise ConfigurationError(f"{len(keys)} keys for {sharing.holders} key holders")
        self.shape, self.sharing, self._keys = shape, sharing, keys

    @property
    def set_id(self) -> str:
        """The shape's name."""
        return self.shape.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HolderKeys) and self.to_blob() == other.to_blob()

    def __hash__(self) -> int:
        return hash(self.digest())

    def __repr__(self) -> str:
        return f"HolderKeys({self.set_id}, {self.sharing}, digest={self.digest().hex()})"

    def to_blob(self) -> bytes:
        """The wire form, whose digest the contract holds."""
        return wire.header(wire.KEYS, self.shape, self.sharing, 0, 0) + b"".join(self._keys)

    @classmethod
    def from_blob(cls, blob: bytes) -> Self:
        """Reads the wire form.

        Raises:
            MalformedError: if it is not exactly the keys of so many holders.
        """
        shape, sharing, contributors, values, body = wire.read_header(blob, wire.KEYS)
        if contributors or values or len(body) != PUBLIC_BYTES * sharing.holders:
            raise MalformedError(
                f"the keys of {sharing.holders} holders have {PUBLIC_BYTES * sharing.holders} "
                f"bytes, the blob {len(body)}"
            )
        starts = range(0, len(body), PUBLIC_BYTES)
        return cls(shape, sharing, tuple(bytes(body[at : at + PUBLIC_BYTES]) for at in starts))

    def digest(self) -> bytes:
        """32 bytes, as the contract holds them."""
        return public_key_digest(self.to_blob())

    def encrypt(self, values: NDArray[np.int64], context: RoundContext, contributor: str) -> bytes:
        """Encrypts one update under a secret that is drawn for it and forgotten.

        Whoever calls it keeps what it returns before it is sent, and never encrypts another
        update for that round: not because of the secret, which is another one, but because two
        updates of one round are two chances to be on a list.

        Args:
            values: int64[v], v at least 1, each within +-lane_max.
            context: chain, contract and round.
            contributor: its account, which the commitments and boxes name.

        Raises:
            RoundError: values that do not fit.
            MalformedError: a holder's key is none.
        """
        secret = RoundSecret(self.shape)
        masked = mask(secret.polynomial(), self.sharing, self.shape, context, contributor)
        boxes = [
            seal(package, key, share_package(context, contributor, holder))
            for holder, (package, key) in enumerate(zip(masked.packages, self._keys, strict=True))
        ]
        head = wire.header(wire.UPDATE, self.shape, self.sharing, len(values), 1)
        parts = (head, *masked.commitments, *boxes, to_bytes(masked.words))
        return secret.encrypt(values, context, b"".join(parts))

    def save(self, path: Path | str) -> None:
        """Writes a JSON file that says what it holds; readable by all."""
        public_file.write(path, HOLDS_KEYS, self.set_id, self.to_blob())

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Reads what `save` wrote.

        Raises:
            KeyfileError: if the file is missing, damaged, or holds something else.
        """
        return public_file.read(path, {HOLDS_KEYS: cls.from_blob})
