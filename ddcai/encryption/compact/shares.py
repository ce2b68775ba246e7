"""A round's secret behind masks of which any T of N key holders have all, and T - 1 lack one.

`ddcai.encryption.threshold.sharing` says who has which piece. A piece is a seed of 32 bytes; by
SHAKE-256 it becomes a polynomial modulo 2**piece_bits. What everybody sees is the secret plus all
of these (additive masking, as in Bonawitz et al., "Practical Secure Aggregation", CCS 2017, with
masks that a replicated sharing deals out instead of pairs of contributors). The masked secrets are
added by everybody, the masks of each piece by its holders, and the difference is the sum of the
secrets.

T - 1 holders lack one seed. Were its mask uniform, the masked secret would be uniform and
independent of the secret for whoever lacks it. With SHAKE-256 in the place of uniform masks the
same holds for whoever does not guess a seed of 256 bits (random oracle model). A commitment hides
as much: it hashes a seed.

The contributor puts a commitment to each seed into its update, whose digest the chain seals:
holders of one piece are known to have got the same. That the masked secret is the one of the update
nobody can see before the sum is opened; if it is not, nothing is opened (`ForgedUpdate`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ddcai.digests import RoundContext, share_commitment, tag
from ddcai.encryption.compact.limbs import IntArray, add_words
from ddcai.encryption.compact.shapes import CompactShape
from ddcai.encryption.threshold.sharing import Piece, Sharing
from ddcai.errors import ForgedUpdate, MalformedError, RoundError, UpdateMismatch

SEED_BYTES = 32
_PIECE = tag("compact-piece")

PieceWords = NDArray[Any]
"""uint32[1, n] or uint64[2, n], the low limbs first: words modulo 2**piece_bits."""


@dataclass(frozen=True)
class Masked:
    """A secret that was masked.

    Attributes:
        words: the secret plus all masks; public.
        commitments: one a piece, 32 bytes each; public.
        packages: one a holder: the seeds of its pieces, for that holder alone; any T of them
            unmask the secret.
    """

    words: PieceWords
    commitments: tuple[bytes, ...]
    packages: tuple[bytes, ...] = field(repr=False)

    def __reduce__(self) -> Any:
        raise TypeError("seeds of masks are never pickled")


def mask(
    secret: IntArray,
    sharing: Sharing,
    shape: CompactShape,
    context: RoundContext,
    contributor: str,
) -> Masked:
    """Masks a secret, with new randomness at every call.

    Args:
        secret: int64[n] of this round (`RoundSecret.polynomial`).
        sharing: who holds what.
        shape: of the federation.
        context: chain, contract and round.
        contributor: whose secret it is, its account.

    Raises:
        RoundError: the secret is not int64[n].
    """
    if secret.shape != (shape.n,) or secret.dtype != np.int64:
        raise RoundError(f"a secret of {secret.dtype}{secret.shape}: give int64[{shape.n}]")
    seeds = {piece: os.urandom(SEED_BYTES) for piece in sharing.pieces}
    words = words_of(secret, shape)
    for seed in seeds.values():
        add_words(words, expand(seed, shape))
    return Masked(
        words,
        tuple(
            share_commitment(context, contributor, number, seed)
            for number, seed in enumerate(seeds.values())
        ),
        tuple(
            b"".join(seeds[piece] for piece in sharing.held_by(holder))
            for holder in range(sharing.holders)
        ),
    )


def package_bytes(sharing: Sharing) -> int:
    """Size of a holder's package; all hold as many pieces."""
    return SEED_BYTES * len(sharing.held_by(0))


def read_package(
    package: bytes,
    holder: int,
    sharing: Sharing,
    context: RoundContext,
    contributor: str,
    commitments: Sequence[bytes],
) -> dict[Piece, bytes]:
    """A holder's seeds of one contributor's masks, compared with the commitments.

    Args:
        package: of this holder, decrypted.
        holder: its number.
        sharing, context: the federation's, and the round.
        contributor: its account.
        commitments: those of the contributor's update, one a piece.

    Raises:
        MalformedError: another number of bytes.
        UpdateMismatch: a seed is not the one that the update commits to.
    """
    held = sharing.held_by(holder)
    if len(package) != SEED_BYTES * len(held):
        raise MalformedError(f"{len(held)} seeds in {len(package)} bytes: they take 32 each")
    seeds: dict[Piece, bytes] = {}
    for at, piece in enumerate(held):
        seeds[piece] = package[SEED_BYTES * at : SEED_BYTES * (at + 1)]
        number = sharing.pieces.index(piece)
        if share_commitment(context, contributor, number, seeds[piece]) != commitments[number]:
            raise UpdateMismatch(
                f"{contributor} committed in round {context.round} to another piece {number} than "
                f"key holder {holder} got: leave its update out"
            )
    return seeds


def expand(seed: bytes, shape: CompactShape) -> PieceWords:
    """The mask of a seed of 32 bytes: uniform words modulo 2**piece_bits."""
    stream = hashlib.shake_256(_PIECE + bytes([shape.number]) + seed).digest(piece_bytes(shape))
    return from_bytes(stream, shape)


def unmask(masked: PieceWords, masks: Iterable[PieceWords]) -> IntArray:
    """Masked words less all masks: the integers of least magnitude, int64[n].

    Raises:
        ForgedUpdate: they are far from what secrets add up to: a mask is another, or a contributor
            masked something else.
    """
    words = masked.copy()
    for one in masks:
        _subtract(words, one)
    if words.dtype == np.uint32:
        narrow: IntArray = words[0].view(np.int32).astype(np.int64)
        return narrow
    low: IntArray = words[0].view(np.int64).copy()
    if (words[1].view(np.int64) != low >> np.int64(63)).any():
        raise ForgedUpdate(
            "the secrets add up to more than any honest ones: a contributor masked something else; "
            "cancel the round"
        )
    return low


def piece_bytes(shape: CompactShape) -> int:
    """Size of one piece's words."""
    return shape.n * shape.piece_bits // 8


def from_bytes(data: bytes | memoryview, shape: CompactShape) -> PieceWords:
    """The words of a piece, all low limbs first, as an array of its own.

    Raises:
        MalformedError: another number of bytes.
    """
    if len(data) != piece_bytes(shape):
        raise MalformedError(f"a piece of {len(data)} bytes: it has {piece_bytes(shape)}")
    words = np.frombuffer(data, dtype=_dtype(shape)).reshape(-1, shape.n)
    return words.astype(words.dtype.newbyteorder("="))


def to_bytes(words: PieceWords) -> bytes:
    """What `from_bytes` reads."""
    return words.astype(words.dtype.newbyteorder("<")).tobytes()


def words_of(values: IntArray, shape: CompactShape) -> PieceWords:
    """Integers int64[n] modulo 2**piece_bits."""
    if shape.piece_bits == 32:
        return values.astype(np.uint32)[None]
    return np.stack([values, values >> np.int64(63)]).view(np.uint64)


def zero_words(shape: CompactShape) -> PieceWords:
    """A sum of no pieces."""
    return words_of(np.zeros(shape.n, np.int64), shape)


def _subtract(total: PieceWords, words: PieceWords) -> None:
    """Subtracts words from words, in place, modulo 2**piece_bits."""
    borrow = total[0] < words[0]
    total -= words
    if len(total) == 2:
        total[1] -= borrow


def _dtype(shape: CompactShape) -> str:
    return "<u4" if shape.piece_bits == 32 else "<u8"
