"""One holder's part in opening: its partial openings, and what all of them together come to.

The same sums are opened, and refused, as with a single key (`ddcai.encryption.sealed`): each holder
recomputes the sum for itself. Beside that, a key opens no more than its noise hides
(`ddcai.encryption.threshold.smudging`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from ddcai.digests import RoundContext, tag
from ddcai.encryption import wire
from ddcai.encryption.opening import OpenedSum, opened_to_blob
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.scalars import Committed, ScalarRules, Vectors, told
from ddcai.encryption.sealed import Allowance, SealedRound, SealedSums
from ddcai.encryption.threshold import smudging
from ddcai.encryption.threshold.combine import open_products, open_sum
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.pieces import KeyPiece
from ddcai.encryption.threshold.products import Products
from ddcai.encryption.threshold.sharing import Piece
from ddcai.encryption.words import WordArray, pack_words, unpack_words
from ddcai.errors import MalformedError

Result = TypeVar("Result")


class HeldKey:
    """A holder's part of a key, ready for use.

    Args:
        ring: this holder's.
        contributors: most updates in a sum, ``encryption.max_contributors``: what the noise is
            reckoned for.
    """

    def __init__(self, ring: KeyRing, contributors: int) -> None:
        self.ring = ring
        self._size = (self.parameters, len(ring.plan.sharing.pieces), contributors)

    def __repr__(self) -> str:
        return f"HeldKey({self.ring!r})"

    @property
    def parameters(self) -> ParameterSet:
        """The parameter set."""
        return self.ring.plan.parameter_set

    @cached_property
    def pieces(self) -> dict[Piece, KeyPiece]:
        """Its pieces."""
        return {piece: KeyPiece(seed, self.parameters) for piece, seed in self.ring.seeds.items()}

    @property
    def smudging_bits(self) -> int:
        """Bits of the noise on each partial opening."""
        return smudging.smudging_bits(*self._size)

    def allowance(self, *journals: Path) -> Allowance:
        """How much the key may open.

        Args:
            journals: of everything that this holder opens with it.
        """

        def scalars(vectors: int, ciphertexts: int) -> float:
            return smudging.scalars_as_openings(
                *self._size, ciphertexts=ciphertexts, vectors=vectors
            )

        most = smudging.most_openings(*self._size)
        return Allowance(ciphertexts=most, journals=journals, scalars=scalars)


@dataclass(frozen=True, kw_only=True)
class Partial(Generic[Result]):
    """What a holder brings to one opening.

    Attributes:
        about: names what is opened.
        own: its partial opening of each piece that it holds, all of one length.
        finish: what the partial openings of all pieces come to. Raises ForgedUpdate, and tells
            nothing, where that is not what honest contributors and holders make.
    """

    about: bytes
    own: Mapping[Piece, bytes]
    finish: Callable[[Mapping[Piece, bytes]], Result]


class ThresholdSums:
    """One holder's part in opening sealed sums.

    Args:
        key: this holder's.
        sums: what may be opened.
        value_limit: largest magnitude of one contributor's integer.
    """

    def __init__(self, key: HeldKey, sums: SealedSums, *, value_limit: int) -> None:
        self._key, self._sums, self._value_limit = key, sums, value_limit

    def __repr__(self) -> str:
        return f"ThresholdSums({self._key!r}, {self._sums!r})"

    def opened(self, context: RoundContext) -> frozenset[int]:
        """The rounds of the context's federation that this key ever opened."""
        return self._sums.opened(context)

    def partial(self, sealed: SealedRound) -> Partial[OpenedSum]:
        """This holder's part in opening a sealed sum; the same, asked again.

        Raises:
            OpeningRefused: in all the cases of `SealedSums.recompute`.
        """
        ciphertexts = wire.open_blob(self._sums.recompute(sealed), self._key.parameters)
        words: WordArray = np.stack(list(ciphertexts.blocks()))
        about = tag("sum-opening") + sealed.context.words() + sealed.sum_digest
        limit = len(sealed.updates) * self._value_limit

        def finish(partials: Mapping[Piece, bytes]) -> OpenedSum:
            found = [
                unpack_partial(packed, len(words), self._key.parameters)
                for packed in partials.values()
            ]
            values = open_sum(words, found, ciphertexts.values, self._key.parameters, limit)
            return OpenedSum(values=values, blob=opened_to_blob(values))

        own = {
            name: pack_partial(
                piece.partial(words, about, self._key.smudging_bits), self._key.parameters
            )
            for name, piece in self._key.pieces.items()
        }
        return Partial(about=about, own=own, finish=finish)


class ThresholdScalars:
    """One holder's part in opening scalars of committed updates.

    Args:
        key: this holder's.
        rules: what may be opened.
        value_limit: largest magnitude of one contributor's integer.
    """

    def __init__(self, key: HeldKey, rules: ScalarRules, *, value_limit: int) -> None:
        self._key, self._rules, self._value_limit = key, rules, value_limit

    def __repr__(self) -> str:
        return f"ThresholdScalars({self._key!r}, {self._rules!r})"

    def partial(
        self, committed: Committed, vectors: Vectors, deviation: float = 0.0
    ) -> Partial[Mapping[str, tuple[int, ...]]]:
        """This holder's part in opening them; args and result as `ScalarOpener.open`.

        The noise of ``deviation`` is of all holders' common key, so that all add the same.

        Raises:
            OpeningRefused: in all the cases of `ScalarRules.admit`.
        """
        p, bits = self._key.parameters, self._key.smudging_bits
        updates: dict[str, tuple[bytes, WordArray]] = {}
        for address, blob in self._rules.admit(committed, vectors).items():
            about = tag("scalars-opening") + committed.context.words()
            about += dict(committed.updates)[address]
            updates[address] = about, np.stack(list(wire.open_blob(blob, p).blocks()))
        own: dict[Piece, bytes] = {}
        shapes: tuple[int, int] = (0, 0)
        for name, piece in self._key.pieces.items():
            packed = []
            for about, words in updates.values():
                found = piece.partial_products(words, vectors, about, bits)
                shapes = len(found.scalars), len(found.checks)
                both = np.concatenate([found.scalars, found.checks])
                packed.append(both.astype("<u8").tobytes())
            own[name] = b"".join(packed)

        def finish(partials: Mapping[Piece, bytes]) -> Mapping[str, tuple[int, ...]]:
            size = (len(updates), sum(shapes), len(p.data_primes))
            found = [_read_words(packed, size) for packed in partials.values()]
            opened: dict[str, tuple[int, ...]] = {}
            for number, (address, (_, words)) in enumerate(updates.items()):
                products = [
                    Products(rows[number][: shapes[0]], rows[number][shapes[0] :]) for rows in found
                ]
                opened[address] = told(
                    partial(open_products, words, products, vectors, p),
                    committed,
                    address,
                    vectors,
                    self._value_limit,
                    deviation,
                    self._key.ring.derive,
                )
            return opened

        listed = b"".join(digest for _, digest in committed.updates)
        about = tag("scalars-opening") + committed.context.words() + vectors.digest() + listed
        return Partial(about=about, own=own, finish=finish)


def _read_words(packed: bytes, shape: tuple[int, ...]) -> WordArray:
    if len(packed) != 8 * math.prod(shape):
        raise MalformedError(f"partial products of {len(packed)} bytes, not words {shape}")
    return np.frombuffer(packed, "<u8").astype(np.uint64).reshape(shape)


def pack_partial(words: WordArray, parameters: ParameterSet) -> bytes:
    """A partial opening uint64[c, data primes, n] as bytes."""
    return pack_words(words.reshape(-1), parameters.word_bits)


def unpack_partial(packed: bytes, ciphertexts: int, parameters: ParameterSet) -> WordArray:
    """Reads what `pack_partial` gives; words may still be not below their prime.

    Raises:
        MalformedError: another number of bytes.
    """
    p = parameters
    shape = (ciphertexts, len(p.data_primes), p.poly_modulus_degree)
    try:
        return unpack_words(packed, int(np.prod(shape)), p.word_bits).reshape(shape)
    except ValueError as error:
        raise MalformedError(f"a partial opening of {len(packed)} bytes: {error}") from error
