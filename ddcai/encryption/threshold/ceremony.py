"""How N holders make a key that nobody has: one participant's side, message by message.

Additive multiparty key generation (Mouchet, Troncoso-Pastoriza, Bossuat and Hubaux, "Multiparty
Homomorphic Encryption from Ring-Learning-with-Errors", PoPETs 2021, protocol EncKeyGen) over the
pieces of a replicated sharing instead of over parties. Six phases; in each, every holder sends one
message to all, and goes on when it has all of them:

| phase | a holder says | and so |
|---|---|---|
| commit | the key that boxes are sealed to it under; hashes of its contribution to each of its \
pieces' seeds, to the holders' common key and to the public polynomial | nobody chooses its \
contribution after another's |
| reveal | its contributions, boxed to the holders they are for; the last one openly | a seed is \
the hash of its holders' contributions: random if one of them is honest |
| digests | a hash of each public share b_A = -(a s_A + e_A) of its pieces | no share is made to \
fit the others (a rogue key) |
| shares | the shares of the pieces that fall to it | the collective key is (sum of b_A, a) |
| test | hashes of its partial openings of a ciphertext that nobody chose; the words of those \
that fall to it | the key opens, by any quorum |
| accept | the collective key's digest | all have the same |

For the compact scheme (`ddcai.encryption.compact`) there is no key that lasts: the same phases,
with no pieces, make the holders' common key; public are the keys that boxes are sealed under.

Whoever holds a piece recomputes what others say of it. Every message is public; who reads all of
them and holds fewer than the threshold's pieces learns no more than the public key.
Passive security is proven in the paper; that lies are found is argued here and tested, no more.
Any holder can make a ceremony fail. A failed one leaves nothing behind: the holders begin another,
under another label, without the holder that is named.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import shake_256
from typing import Any

from eth_utils.crypto import keccak

from ddcai.digests import DIGEST_BYTES, tag
from ddcai.encryption.bfv import PublicKey, pack_key, unpack_key
from ddcai.encryption.compact.keys import HolderKeys
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.encryption.public import AnyKey
from ddcai.encryption.threshold import trial_opening
from ddcai.encryption.threshold.bodies import fields_of, hex_bytes, hex_list
from ddcai.encryption.threshold.boxes import PUBLIC_BYTES, SECRET_BYTES, BoxKey, seal
from ddcai.encryption.threshold.keyring import SEED_BYTES, KeyRing
from ddcai.encryption.threshold.pieces import KeyPiece, collective_key, public_polynomial
from ddcai.encryption.threshold.plan import KeyPlan
from ddcai.encryption.threshold.sharing import Piece
from ddcai.errors import CeremonyFailed, MalformedError

PHASES = ("commit", "reveal", "digests", "shares", "test", "accept")
PARTICIPANT_SECRET_BYTES = SEED_BYTES + SECRET_BYTES
# The holders' common key is made as the pieces are; no holder lacks it.
_GROUP: Piece = ()

Body = dict[str, Any]


def new_secret() -> bytes:
    """What a participant's messages follow from, from the operating system's randomness."""
    return os.urandom(PARTICIPANT_SECRET_BYTES)


class Participant:
    """One holder in a ceremony.

    What it says follows from the plan, its secret and what others said, but for the boxes, which
    are other bytes at each call: what was sent once is to be sent again, not made again.

    Args:
        plan: what the holders agreed on.
        index: this holder's number.
        secret: `PARTICIPANT_SECRET_BYTES`, used in this ceremony alone.
    """

    def __init__(self, plan: KeyPlan, index: int, secret: bytes) -> None:
        if len(secret) != PARTICIPANT_SECRET_BYTES:
            raise MalformedError(f"a participant's secret has {PARTICIPANT_SECRET_BYTES} bytes")
        self.plan, self.index = plan, index
        self._root, self._box_secret = secret[:SEED_BYTES], secret[SEED_BYTES:]
        self._box = BoxKey(self._box_secret)
        self._taken = 0
        self._seeds: dict[Piece, bytes] = {}
        self._shares: dict[Piece, bytes] = {}
        self._partials: dict[Piece, bytes] = {}
        self._public: AnyKey | None = None

    def __repr__(self) -> str:
        return f"Participant({self.plan.label}, {self.plan.holders[self.index]}, ****)"

    def __reduce__(self) -> Any:
        raise TypeError("a participant is not pickled")

    @property
    def phase(self) -> str | None:
        """The phase whose message it makes next; None when all are done."""
        return PHASES[self._taken] if self._taken < len(PHASES) else None

    @property
    def public_key(self) -> AnyKey:
        """The collective key, or the holders' keys, once the shares are taken."""
        assert self._public is not None
        return self._public

    def body(self) -> Body:
        """This holder's message of the phase."""
        makers: Mapping[str, Callable[[], Body]] = {
            "commit": self._commit,
            "reveal": self._reveal,
            "digests": self._digests,
            "shares": self._share,
            "test": self._test,
            "accept": lambda: {"public_key": self.public_key.digest().hex()},
        }
        assert self.phase is not None
        return makers[self.phase]()

    def take(self, bodies: Sequence[Any]) -> None:
        """Takes all holders' messages of the phase, its own among them, and goes on to the next.

        Raises:
            CeremonyFailed: naming a holder whose message is malformed or false, or the holders
                of whom one lies.
        """
        takers: Mapping[str, Callable[[Sequence[Any]], None]] = {
            "commit": self._take_commits,
            "reveal": self._take_reveals,
            "digests": self._take_digests,
            "shares": self._take_shares,
            "test": self._take_tests,
            "accept": self._take_accepts,
        }
        assert self.phase is not None
        assert len(bodies) == len(self.plan.holders)
        takers[self.phase](bodies)
        self._taken += 1

    def ring(self, ceremony_digest: bytes) -> KeyRing:
        """What this holder keeps, once all phases are done.

        Args:
            ceremony_digest: of the record of all messages.
        """
        assert self.phase is None
        return KeyRing(
            plan=self.plan,
            holder=self.plan.holders[self.index],
            public_key_digest=self.public_key.digest(),
            ceremony_digest=ceremony_digest,
            seeds={piece: self._seeds[piece] for piece in self._held(self.index)},
            group=self._seeds[_GROUP],
            box=self._box_secret,
        )

    # --- commit ---

    def _commit(self) -> Body:
        return {
            "box_key": self._box.public_bytes().hex(),
            "commitments": [
                self._commitment(self.index, piece, self._contribution(piece)).hex()
                for piece in self._contributed(self.index)
            ],
            "public": self._commitment(self.index, None, self._contribution(None)).hex(),
        }

    def _take_commits(self, bodies: Sequence[Any]) -> None:
        self._box_keys: list[bytes] = []
        self._commitments: list[dict[Piece | None, bytes]] = []
        for holder, body in enumerate(bodies):
            with self._blaming(holder):
                fields = fields_of(body, ("box_key", "commitments", "public"))
                self._box_keys.append(hex_bytes(fields["box_key"], PUBLIC_BYTES))
                pieces = self._contributed(holder)
                hashes = hex_list(fields["commitments"], len(pieces), DIGEST_BYTES)
                own: dict[Piece | None, bytes] = dict(zip(pieces, hashes, strict=True))
                own[None] = hex_bytes(fields["public"], DIGEST_BYTES)
                self._commitments.append(own)

    # --- reveal ---

    def _reveal(self) -> Body:
        boxes = []
        for holder in self._others():
            inside = b"".join(map(self._contribution, self._common(holder)))
            with self._blaming(holder):
                box = seal(inside, self._box_keys[holder], self._about(self.index, holder))
            boxes.append(box.hex())
        return {"boxes": boxes, "public": self._contribution(None).hex()}

    def _take_reveals(self, bodies: Sequence[Any]) -> None:
        given: dict[Piece, list[bytes]] = {piece: [] for piece in self._contributed(self.index)}
        publics = []
        for holder, body in enumerate(bodies):
            with self._blaming(holder):
                fields = fields_of(body, ("boxes", "public"))
                publics.append(hex_bytes(fields["public"], SEED_BYTES))
                self._check_commitment(holder, None, publics[-1])
                boxes = hex_list(fields["boxes"], len(self.plan.holders) - 1)
                if holder == self.index:
                    inside = b"".join(map(self._contribution, self._contributed(holder)))
                    pieces = self._contributed(holder)
                else:
                    box = boxes[self.index - (self.index > holder)]
                    inside = self._box.open(box, self._about(holder, self.index))
                    pieces = self._common(holder)
                if len(inside) != SEED_BYTES * len(pieces):
                    raise MalformedError("a box holds another number of contributions")
                for at, piece in enumerate(pieces):
                    contribution = inside[SEED_BYTES * at : SEED_BYTES * (at + 1)]
                    self._check_commitment(holder, piece, contribution)
                    given[piece].append(contribution)
        # Each piece's contributions came in the order of its holders.
        self._seeds = {
            piece: keccak(
                tag("ceremony-seed") + self.plan.digest + _name(piece) + b"".join(contributions)
            )
            for piece, contributions in given.items()
        }
        seed = keccak(tag("ceremony-public") + self.plan.digest + b"".join(publics))
        # What is said next follows from what was taken, not from what was said: a participant
        # that goes on after a crash takes again, but does not say again.
        if self.plan.compact:
            return
        parameters = self.plan.parameter_set
        self._polynomial = public_polynomial(seed, parameters)
        self._pieces = {
            piece: KeyPiece(self._seeds[piece], parameters) for piece in self._held(self.index)
        }
        self._shares = {
            piece: pack_key(secret.public_share(self._polynomial)[None], parameters)
            for piece, secret in self._pieces.items()
        }

    # --- digests, shares ---

    def _digests(self) -> Body:
        return {"digests": [self._digest("share", *item).hex() for item in self._shares.items()]}

    def _take_digests(self, bodies: Sequence[Any]) -> None:
        said = self._read_digests(bodies)
        self._share_digests = self._agreed("share", said, self._shares)

    def _share(self) -> Body:
        assigned = self._assigned(self.index)
        return {"shares": [self._shares[piece].hex() for piece in assigned]}

    def _take_shares(self, bodies: Sequence[Any]) -> None:
        found: dict[Piece, Any] = {}
        for holder, body in enumerate(bodies):
            with self._blaming(holder):
                pieces = self._assigned(holder)
                fields = fields_of(body, ("shares",))
                for piece, packed in zip(
                    pieces, hex_list(fields["shares"], len(pieces)), strict=True
                ):
                    if self._digest("share", piece, packed) != self._share_digests[piece]:
                        raise MalformedError("a public share is not the one that it named before")
                    words = unpack_key(packed, self.plan.parameter_set, polynomials=1)
                    found[piece] = words[0]
        shape = self.plan.any_set
        if isinstance(shape, CompactShape):
            self._public = HolderKeys(shape, self.plan.sharing, tuple(self._box_keys))
            return
        shares = [found[piece] for piece in self.plan.pieces]
        self._public = collective_key(self._polynomial, shares, shape)
        self._partials = trial_opening.partials(self._public, self._pieces, self.plan)

    # --- test, accept ---

    def _test(self) -> Body:
        assigned = self._assigned(self.index)
        return {
            "digests": [self._digest("partial", *item).hex() for item in self._partials.items()],
            "partials": [self._partials[piece].hex() for piece in assigned],
        }

    def _take_tests(self, bodies: Sequence[Any]) -> None:
        said = self._read_digests(bodies, "partials")
        agreed = self._agreed("partial", said, self._partials)
        found: dict[Piece, bytes] = {}
        for holder, body in enumerate(bodies):
            with self._blaming(holder):
                pieces = self._assigned(holder)
                packed = hex_list(body["partials"], len(pieces))
                for piece, words in zip(pieces, packed, strict=True):
                    if self._digest("partial", piece, words) != agreed[piece]:
                        raise MalformedError("a partial opening is not of its hash")
                    found[piece] = words
        # All holders of a piece named the same bytes, so that every quorum has these.
        if isinstance(self._public, PublicKey) and not trial_opening.opens(
            self._public, found, self.plan
        ):
            raise CeremonyFailed(
                "the holders' partial openings of the test do not open it: begin another ceremony"
            )

    def _take_accepts(self, bodies: Sequence[Any]) -> None:
        for holder, body in enumerate(bodies):
            with self._blaming(holder):
                found = hex_bytes(fields_of(body, ("public_key",))["public_key"], DIGEST_BYTES)
                if found != self.public_key.digest():
                    raise MalformedError(f"its collective key is {found.hex()}")

    # --- what is common to the phases ---

    def _held(self, holder: int) -> tuple[Piece, ...]:
        return self.plan.held_by(holder)

    def _contributed(self, holder: int) -> tuple[Piece, ...]:
        """What a holder helps to make: its pieces, and the common key."""
        return (*self._held(holder), _GROUP)

    def _common(self, holder: int) -> tuple[Piece, ...]:
        return tuple(piece for piece in self._contributed(self.index) if holder not in piece)

    def _others(self) -> list[int]:
        return [holder for holder in range(len(self.plan.holders)) if holder != self.index]

    def _assigned(self, holder: int) -> list[Piece]:
        everybody = range(len(self.plan.holders))
        assigned = self.plan.sharing.assign(everybody)
        return [piece for piece in self.plan.pieces if assigned[piece] == holder]

    def _contribution(self, piece: Piece | None) -> bytes:
        """32 bytes that this holder gives to a piece's seed; to the polynomial for None."""
        about = tag("ceremony-contribution") + self.plan.digest + _name(piece)
        return shake_256(about + self._root).digest(SEED_BYTES)

    def _commitment(self, holder: int, piece: Piece | None, contribution: bytes) -> bytes:
        about = tag("ceremony-commitment") + self.plan.digest + bytes([holder]) + _name(piece)
        return keccak(about + contribution)

    def _check_commitment(self, holder: int, piece: Piece | None, contribution: bytes) -> None:
        if self._commitment(holder, piece, contribution) != self._commitments[holder][piece]:
            raise MalformedError("a contribution is not the one that it committed to")

    def _about(self, sender: int, recipient: int) -> bytes:
        return tag("ceremony-box") + self.plan.digest + bytes([sender, recipient])

    def _digest(self, kind: str, piece: Piece, packed: bytes) -> bytes:
        return keccak(tag(f"ceremony-{kind}") + self.plan.digest + _name(piece) + packed)

    def _read_digests(self, bodies: Sequence[Any], *beside: str) -> list[dict[Piece, bytes]]:
        said = []
        for holder, body in enumerate(bodies):
            with self._blaming(holder):
                pieces = self._held(holder)
                hashes = fields_of(body, ("digests", *beside))["digests"]
                said.append(
                    dict(zip(pieces, hex_list(hashes, len(pieces), DIGEST_BYTES), strict=True))
                )
        return said

    def _agreed(
        self, kind: str, said: Sequence[Mapping[Piece, bytes]], own: Mapping[Piece, bytes]
    ) -> dict[Piece, bytes]:
        """What all holders of each piece say of it: its own computation, where it holds it."""
        agreed: dict[Piece, bytes] = {}
        for piece in self.plan.pieces:
            holders = self.plan.sharing.holders_of(piece)
            if piece in own:
                agreed[piece] = self._digest(kind, piece, own[piece])
                for holder in holders:
                    with self._blaming(holder):
                        if said[holder][piece] != agreed[piece]:
                            raise MalformedError(f"its {kind} of a common piece is another")
            else:
                agreed[piece] = said[holders[0]][piece]
                if any(said[holder][piece] != agreed[piece] for holder in holders):
                    names = ", ".join(self.plan.holders[holder] for holder in holders)
                    raise CeremonyFailed(
                        f"{names} do not say the same of a piece that only they hold: one of "
                        "them lies; begin another ceremony with other holders"
                    )
        return agreed

    def _blaming(self, holder: int) -> _Blaming:
        return _Blaming(self.plan.holders[holder])


class _Blaming:
    """Says whose message it was that is malformed or false."""

    def __init__(self, holder: str) -> None:
        self._holder = holder

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, MalformedError):
            raise CeremonyFailed(
                f"{self._holder}: {error}; begin another ceremony, without it if this happens again"
            ) from error


def _name(piece: Piece | None) -> bytes:
    """A piece as bytes; the public polynomial, which is none, as one byte that no piece has."""
    return b"\xff" if piece is None else bytes([len(piece), *piece])
