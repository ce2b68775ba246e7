"""What a holder keeps of a key: the seeds of its pieces, under a password."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ddcai.digests import DIGEST_BYTES, tag
from ddcai.encryption.threshold.bodies import fields_of, hex_bytes
from ddcai.encryption.threshold.boxes import SECRET_BYTES, BoxKey
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.encryption.threshold.sharing import Piece
from ddcai.errors import ConfigurationError, KeyfileError, MalformedError
from ddcai.keyfile import load_secret, read_public, save_secret

HOLDS_PIECES = "key-pieces"
SEED_BYTES = 32


@dataclass(frozen=True, kw_only=True, repr=False)
class KeyRing:
    """One holder's part of one key.

    Attributes:
        plan: whose key it is.
        holder: this holder's account.
        public_key_digest: of the collective key, as the contract holds it.
        ceremony_digest: of the record of how it was made, as the contract holds it.
        seeds: the seed of each piece that it holds, 32 bytes.
        group: 32 bytes that all holders of the key have and nobody else: under keys derived from
            it they send one another partial openings.
        box: the secret of the key that boxes are sealed to it under, 96 bytes.
    """

    plan: KeyPlan
    holder: str
    public_key_digest: bytes
    ceremony_digest: bytes
    seeds: Mapping[Piece, bytes]
    group: bytes
    box: bytes

    def __post_init__(self) -> None:
        held = self.plan.held_by(self.index)
        sizes = {len(self.group), *map(len, self.seeds.values())}
        if tuple(self.seeds) != held or sizes != {SEED_BYTES} or len(self.box) != SECRET_BYTES:
            raise ConfigurationError(f"not the pieces that {self.holder} holds of this key")

    def __repr__(self) -> str:
        return (
            f"KeyRing({self.plan.label}, {self.holder}, {len(self.seeds)} pieces ****, "
            f"opens={self.public_key_digest.hex()})"
        )

    def __reduce__(self) -> Any:
        raise TypeError("a key ring is not pickled: use save and load")

    @property
    def index(self) -> int:
        """The holder's number, from 0."""
        return self.plan.index(self.holder)

    @property
    def box_key(self) -> BoxKey:
        """Opens what is sealed to this holder."""
        return BoxKey(self.box)

    def derive(self, message: bytes) -> bytes:
        """32 bytes that this key's holders alone, each of them, can make of a message.

        Args:
            message: starts with a tag of its purpose.
        """
        return hmac.digest(self.group, tag("holders-derive") + message, "sha256")

    def save(self, path: Path | str, password: str, *, light: bool = False) -> None:
        """Writes the ring under a password (`ddcai.keyfile.save_secret`).

        Raises:
            KeyfileError: if the file is there already, or the password is empty.
        """
        public = {
            "plan": self.plan.to_json(),
            "holder": self.holder,
            "public_key_digest": self.public_key_digest.hex(),
            "ceremony_digest": self.ceremony_digest.hex(),
        }
        secret = b"".join((*self.seeds.values(), self.group, self.box))
        save_secret(
            path, holds=HOLDS_PIECES, secret=secret, public=public, password=password, light=light
        )

    @classmethod
    def load(cls, path: Path | str, password: str) -> Self:
        """Reads what `save` wrote.

        Raises:
            KeyfileError: if the file is missing, damaged, or holds something else.
            WrongPassword: if the password does not open it.
        """
        secret, public = load_secret(path, holds=HOLDS_PIECES, password=password)
        try:
            names = ("plan", "holder", "public_key_digest", "ceremony_digest")
            found = fields_of(public, names)
            plan, holder = KeyPlan.from_json(found["plan"]), str(found["holder"])
            held = plan.held_by(plan.index(holder))
            end = SEED_BYTES * len(held)
            return cls(
                plan=plan,
                holder=holder,
                public_key_digest=hex_bytes(found["public_key_digest"], DIGEST_BYTES),
                ceremony_digest=hex_bytes(found["ceremony_digest"], DIGEST_BYTES),
                seeds={
                    piece: secret[SEED_BYTES * at : SEED_BYTES * (at + 1)]
                    for at, piece in enumerate(held)
                },
                group=secret[end : end + SEED_BYTES],
                box=secret[end + SEED_BYTES :],
            )
        except (ConfigurationError, MalformedError):
            # Not chained: the cause could quote the secret.
            raise KeyfileError(f"{path} is damaged: restore it from a backup") from None


def holds_pieces(path: Path | str) -> bool:
    """Whether a key file is a ring, without opening it."""
    try:
        read_public(path, holds=HOLDS_PIECES)
    except KeyfileError:
        return False
    return True
