"""Keys of several holders for tests: made in one place, as no ceremony would."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from eth_account import Account

from ddcai.encryption.bfv import PublicKey
from ddcai.encryption.parameters import PARAMETER_SETS
from ddcai.encryption.threshold.boxes import SECRET_BYTES
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.pieces import KeyPiece, collective_key, public_polynomial
from ddcai.encryption.threshold.plan import KeyPlan

SET = "bfv-8192-3x20"


def secret(*about: object) -> bytes:
    """32 bytes that follow from words."""
    return hashlib.sha256(repr(about).encode()).digest()


def accounts(count: int) -> list[str]:
    """So many accounts, ascending."""
    made = [str(Account.from_key(secret("account", i)).address) for i in range(count)]
    return sorted(made, key=str.lower)


def plan_of(holders: int, threshold: int, parameters: str = SET, label: str = "test") -> KeyPlan:
    """A plan for so many holders."""
    return KeyPlan(
        label=label, parameters=parameters, threshold=threshold, holders=tuple(accounts(holders))
    )


@lru_cache(maxsize=8)
def public_key(plan: KeyPlan) -> PublicKey:
    """The collective public key."""
    parameters = PARAMETER_SETS[plan.parameters]
    a = public_polynomial(secret(plan.label, "a"), parameters)
    pieces = [KeyPiece(secret(plan.label, piece), parameters) for piece in plan.sharing.pieces]
    return collective_key(a, [piece.public_share(a) for piece in pieces], parameters)


def rings_of(plan: KeyPlan, digest: bytes | None = None) -> list[KeyRing]:
    """Every holder's ring; for the digest given, or the collective key's."""
    return [
        KeyRing(
            plan=plan,
            holder=holder,
            public_key_digest=public_key(plan).digest() if digest is None else digest,
            ceremony_digest=secret(plan.label, "ceremony"),
            seeds={piece: secret(plan.label, piece) for piece in plan.sharing.held_by(index)},
            group=secret(plan.label, "group"),
            box=(secret(plan.label, holder) * 3)[:SECRET_BYTES],
        )
        for index, holder in enumerate(plan.holders)
    ]
