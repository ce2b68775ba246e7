"""Partial openings on their way between holders: closed to others, compared piece by piece.

Whoever has all partial openings of a ciphertext reads it, and a contributor can make a ciphertext
that opens to the key. So holders send them to one another, under a key that only they have, through
a coordinator that cannot read them; each puts them together for itself, and signs what it found
only if it is what honest updates add up to.

A share is AES-256-GCM under a key from the holders' common one and what is opened. In it: the
digest of the partial opening of every piece that the sender holds, then the partial openings of
the pieces that fall to it. Two holders of one piece make the same bytes, so that a false one is
found by every other holder of the piece.

A piece that one responder alone holds is beyond comparison: with exactly the threshold of
responders, one of them can shift what is opened. So all holders are asked, not the threshold.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import shake_256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_utils.crypto import keccak

from ddcai.digests import DIGEST_BYTES, tag
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.sharing import Piece
from ddcai.errors import RoundError

_NONCE_BYTES, _TAG_BYTES = 12, 16


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a holder made of all shares.

    Attributes:
        partials: the partial opening of every piece; None where shares do not agree.
        accused: numbers of the holders whose share is none, or not what this holder computes.
    """

    partials: dict[Piece, bytes] | None
    accused: tuple[int, ...]


class ShareExchange:
    """One opening among the holders that respond.

    Args:
        ring: this holder's.
        about: what is opened, starting with a domain tag; all that the partial openings follow
            from but the key.
        responders: numbers of the holders that take part, at least the threshold.

    Raises:
        RoundError: fewer, or this holder is none of them.
    """

    def __init__(self, ring: KeyRing, about: bytes, responders: tuple[int, ...]) -> None:
        self._sharing, self._index = ring.plan.sharing, ring.index
        self.responders = tuple(sorted(set(responders)))
        self._assigned = self._sharing.assign(self.responders)
        if self._index not in self.responders:
            raise RoundError(f"{ring.holder} is asked to open with others, and is none of them")
        bitmap = sum(1 << responder for responder in self.responders)
        self._about = tag("opening-share") + ring.public_key_digest + keccak(about)
        self._bound = self._about + bitmap.to_bytes(8, "big")
        secret = tag("opening-share-key") + self._about + ring.group
        self._cipher = AESGCM(shake_256(secret).digest(32))

    def share(self, own: Mapping[Piece, bytes]) -> bytes:
        """This holder's share.

        Args:
            own: its partial opening of each piece that it holds, all of one length.
        """
        digests = b"".join(self._digest(piece, own[piece]) for piece in self._held(self._index))
        words = b"".join(own[piece] for piece in self._falls_to(self._index))
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, digests + words, self._bound_to(self._index))

    def gather(self, own: Mapping[Piece, bytes], shares: Mapping[int, bytes]) -> Gathered:
        """Opens all responders' shares and compares them with one another.

        Args:
            own: as `share`.
            shares: by holder's number.
        """
        accused: set[int] = set()
        disagree = False
        size = len(next(iter(own.values())))
        mine = {piece: self._digest(piece, partial) for piece, partial in own.items()}
        said: dict[Piece, bytes] = dict(mine)
        partials: dict[Piece, bytes] = dict(own)
        for responder in self.responders:
            opened = self._open(responder, shares.get(responder, b""), size)
            if opened is None:
                accused.add(responder)
                continue
            digests, words = opened
            for piece, digest in digests.items():
                if said.setdefault(piece, digest) == digest:
                    continue
                disagree = True
                if piece in mine:
                    accused.add(responder)
            for piece, partial in words.items():
                if self._digest(piece, partial) != digests[piece]:
                    accused.add(responder)
                partials.setdefault(piece, partial)
        if accused or disagree:
            return Gathered(partials=None, accused=tuple(sorted(accused)))
        return Gathered(partials={p: partials[p] for p in self._sharing.pieces}, accused=())

    def _open(
        self, responder: int, share: bytes, size: int
    ) -> tuple[dict[Piece, bytes], dict[Piece, bytes]] | None:
        held, falls_to = self._held(responder), self._falls_to(responder)
        if len(share) != _NONCE_BYTES + self._size(held, falls_to, size) + _TAG_BYTES:
            return None
        nonce, sealed = share[:_NONCE_BYTES], share[_NONCE_BYTES:]
        try:
            content = self._cipher.decrypt(nonce, sealed, self._bound_to(responder))
        except InvalidTag:
            return None
        split = DIGEST_BYTES * len(held)
        digests, words = content[:split], content[split:]
        return (
            {p: digests[DIGEST_BYTES * i : DIGEST_BYTES * (i + 1)] for i, p in enumerate(held)},
            {p: words[size * i : size * (i + 1)] for i, p in enumerate(falls_to)},
        )

    def _size(self, held: tuple[Piece, ...], falls_to: tuple[Piece, ...], size: int) -> int:
        return DIGEST_BYTES * len(held) + size * len(falls_to)

    def _held(self, holder: int) -> tuple[Piece, ...]:
        return self._sharing.held_by(holder)

    def _falls_to(self, holder: int) -> tuple[Piece, ...]:
        return tuple(piece for piece, one in self._assigned.items() if one == holder)

    def _digest(self, piece: Piece, partial: bytes) -> bytes:
        return keccak(tag("partial-opening") + self._about + bytes(piece) + partial)

    def _bound_to(self, sender: int) -> bytes:
        return self._bound + bytes([sender])
