"""One holder's part in opening a sum of the compact scheme: its pieces' masks, added up.

Whoever has the masks of T holders' pieces opens the updates on a list; from two lists of one
round it has the difference, which may be a single update. So a holder adds the masks of a sealed
list that it read from the chain, one list a round (`ddcai.encryption.sealed`). With 2T > N every
two quorums have a holder in common, who refuses the second list.

A copy of another's update is of no use: the commitments in it are bound to that contributor's
account, so that no box fits the copy.
"""

from __future__ import annotations

from collections.abc import Mapping

from ddcai import digests
from ddcai.digests import RoundContext, tag
from ddcai.encryption.compact import wire
from ddcai.encryption.compact.limbs import add_words
from ddcai.encryption.compact.opening import open_sum
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.encryption.compact.shares import (
    PieceWords,
    expand,
    from_bytes,
    read_package,
    to_bytes,
    unmask,
    zero_words,
)
from ddcai.encryption.opening import OpenedSum, opened_to_blob
from ddcai.encryption.sealed import SealedRound, SealedSums
from ddcai.encryption.threshold.boxes import BoxKey
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.opening import Partial
from ddcai.encryption.threshold.sharing import Piece
from ddcai.errors import ForgedUpdate, MalformedError, UpdateMismatch


class CompactSums:
    """One holder's part in opening sealed sums.

    Args:
        ring: this holder's.
        sums: what may be opened.
        value_limit: largest magnitude of one contributor's integer.
    """

    def __init__(self, ring: KeyRing, sums: SealedSums, *, value_limit: int) -> None:
        shape = ring.plan.any_set
        assert isinstance(shape, CompactShape)
        self._shape, self._sharing = shape, ring.plan.sharing
        self._holder, self._box = ring.index, ring.box_key
        self._sums, self._value_limit = sums, value_limit

    def __repr__(self) -> str:
        return f"CompactSums({self._shape.id}, {self._sums!r})"

    def partial(self, sealed: SealedRound) -> Partial[OpenedSum]:
        """This holder's part in opening a sealed sum; the same, asked again.

        Raises:
            OpeningRefused: in all the cases of `SealedSums.recompute`; ForgedUpdate for a
                contributor whose box does not open, or has other seeds than its update commits to.
        """
        masks: dict[Piece, PieceWords] = {
            piece: zero_words(self._shape) for piece in self._sharing.held_by(self._holder)
        }
        total = self._sums.recompute(
            sealed, lambda address, blob: self._add(masks, sealed.context, address, blob)
        )

        def finish(partials: Mapping[Piece, bytes]) -> OpenedSum:
            found = [from_bytes(packed, self._shape) for packed in partials.values()]
            secrets = unmask(wire.parse(total, wire.SUM, self._shape).masked, found)
            values = open_sum(total, secrets, sealed.context, limit=self._value_limit)
            return OpenedSum(values=values, blob=opened_to_blob(values))

        return Partial(
            about=tag("compact-opening") + sealed.context.words() + sealed.sum_digest,
            own={piece: to_bytes(words) for piece, words in masks.items()},
            finish=finish,
        )

    def _add(
        self, masks: dict[Piece, PieceWords], context: RoundContext, address: str, blob: bytes
    ) -> None:
        update = wire.parse(blob, wire.UPDATE, self._shape, None, self._sharing)
        seeds = open_seeds(self._box, self._holder, update, context, address)
        for piece, seed in seeds.items():
            add_words(masks[piece], expand(seed, self._shape))


def open_seeds(
    box: BoxKey, holder: int, update: wire.Parsed, context: RoundContext, address: str
) -> dict[Piece, bytes]:
    """A holder's seeds of the masks of one contributor's secret.

    Args:
        box: opens what is sealed to the holder.
        holder: its number.
        update: of the digest that the chain names.
        context, address: the round, and the contributor's account.

    Raises:
        ForgedUpdate: the box does not open, or has other seeds than the update commits to.
    """
    about = digests.share_package(context, address, holder)
    try:
        package = box.open(update.boxes[holder], about)
        return read_package(package, holder, update.sharing, context, address, update.commitments)
    except (MalformedError, UpdateMismatch) as error:
        # The update is the one that the chain names: no other copy has another box.
        raise ForgedUpdate(
            f"{address} sent key holder {holder} no pieces of the secret that its update "
            f"commits to: {error}; cancel the round"
        ) from error
