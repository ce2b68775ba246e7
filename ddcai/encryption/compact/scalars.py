"""One holder's part in opening inner products of single updates with public vectors.

An update's words are b = a s + e + 2**error_bits m. For a vector v over the words,

    <b, v> = <s, c> + <e, v> + 2**error_bits <m, v>    modulo q,

with c = a(1/X) v(X), summed over the blocks: multiplying by a is linear, and c is what its
transpose makes of v. Everybody can compute c. Of s everybody has masked = s + all masks, and so

    <e, v> + 2**error_bits <m, v> = <b, v> - <masked, c> + the sum over pieces A of <mask_A, c>.

A holder gives <mask_A, c> for each of its pieces, contributor and vector: one word. <m, v> has the
product of v with each lane in a field of its own, of which one lane's is told.

Whoever puts the words together reads <e, v> as it is, and the other lanes' products: a linear
equation about the errors, without noise, for which the words have no room. So the holders do that
among themselves (`ddcai.encryption.threshold.shares`). docs/compact.md says what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ddcai.digests import RoundContext, tag
from ddcai.encryption.compact import sampling, wire
from ddcai.encryption.compact.dots import FixedVectors, small_dot
from ddcai.encryption.compact.holding import open_seeds
from ddcai.encryption.compact.limbs import IntArray, WordArray, add_words
from ddcai.encryption.compact.ring import SmallPolynomial
from ddcai.encryption.compact.shapes import (
    BINOMIAL_PAIRS,
    DEVIATION,
    LEAST_MARGIN_SIGMA,
    CompactShape,
)
from ddcai.encryption.compact.shares import expand
from ddcai.encryption.scalars import Committed, ScalarRules, Vectors, told
from ddcai.encryption.threshold.keyring import KeyRing
from ddcai.encryption.threshold.opening import Partial
from ddcai.encryption.threshold.sharing import Piece
from ddcai.encryption.updates import lane_values
from ddcai.errors import ForgedUpdate, MalformedError, RoundError, UpdateMismatch


class CompactScalars:
    """One holder's part in opening scalars of committed updates.

    Args:
        ring: this holder's.
        rules: what may be opened.
        value_limit: largest magnitude of one contributor's integer.
    """

    def __init__(self, ring: KeyRing, rules: ScalarRules, *, value_limit: int) -> None:
        shape = ring.plan.any_set
        assert isinstance(shape, CompactShape)
        self._shape, self._ring = shape, ring
        self._rules, self._value_limit = rules, value_limit

    def __repr__(self) -> str:
        return f"CompactScalars({self._shape.id}, {self._rules!r})"

    def partial(
        self, committed: Committed, vectors: Vectors, deviation: float = 0.0
    ) -> Partial[Mapping[str, tuple[int, ...]]]:
        """This holder's part in opening them; args and result as `ScalarOpener.open`.

        The noise of ``deviation`` is of all holders' common key, so that all add the same.

        Raises:
            OpeningRefused: in all the cases of `ScalarRules.admit`; ForgedUpdate for a contributor
                whose box does not open, or has other seeds than its update commits to.
            RoundError: vectors that the shape does not open, before anything is remembered.
        """
        shape, sharing = self._shape, self._ring.plan.sharing
        context, box = committed.context, self._ring.box_key
        words = words_of_vectors(vectors, committed.values, shape)
        blobs = self._rules.admit(committed, vectors)
        fixed = FixedVectors(transposed(context, words, vectors.rows, shape))
        parts: dict[Piece, list[bytes]] = {p: [] for p in sharing.held_by(self._ring.index)}
        known: dict[str, list[int]] = {}
        for address, blob in blobs.items():
            try:
                update = wire.parse(blob, wire.UPDATE, shape, committed.values, sharing)
            except MalformedError as error:
                raise UpdateMismatch(
                    f"the update of {address} in round {context.round} is malformed: {error}"
                ) from error
            known[address] = [
                one - other
                for one, other in zip(
                    small_dot(update.words[:, words], vectors.rows),
                    fixed.dot(update.masked),
                    strict=True,
                )
            ]
            seeds = open_seeds(box, self._ring.index, update, context, address)
            for piece, seed in seeds.items():
                parts[piece].append(_to_bytes(fixed.dot(expand(seed, shape)), shape))

        def finish(partials: Mapping[Piece, bytes]) -> Mapping[str, tuple[int, ...]]:
            count = len(vectors.rows)
            found = [_from_bytes(one, count * len(known), shape) for one in partials.values()]
            opened: dict[str, tuple[int, ...]] = {}
            for number, (address, start) in enumerate(known.items()):
                masks = (one[number * count : (number + 1) * count] for one in found)
                products = [sum(terms) for terms in zip(start, *masks, strict=True)]
                opened[address] = told(
                    partial(open_products, products, vectors, shape, self._value_limit),
                    committed,
                    address,
                    vectors,
                    self._value_limit,
                    deviation,
                    self._ring.derive,
                )
            return opened

        listed = b"".join(digest for _, digest in committed.updates)
        return Partial(
            about=tag("compact-scalars") + context.words() + vectors.digest() + listed,
            own={piece: b"".join(some) for piece, some in parts.items()},
            finish=finish,
        )


def words_of_vectors(vectors: Vectors, values: int, shape: CompactShape) -> IntArray:
    """Which words of an update of so many values have the vectors' positions: int64[m].

    Raises:
        RoundError: positions that are not ascending or of another lane, rows of another size, a
            vector heavier than block_weight, or a shape that opens none.
    """
    positions, rows = vectors.positions, vectors.rows
    weights = _weights(rows)
    if not shape.assessable or int(weights.max(initial=0)) > shape.block_weight:
        raise RoundError(
            f"a vector weighs {weights.max(initial=0)}: {shape.id} opens no such product"
        )
    in_lane = lane_values(vectors.lane, values, shape)
    words = np.searchsorted(in_lane, positions).astype(np.int64)
    ascending = bool((np.diff(positions) > 0).all())
    if rows.shape[1:] != positions.shape or not ascending or not np.isin(positions, in_lane).all():
        raise RoundError(
            f"vectors {rows.shape} at {positions.shape} positions of lane {vectors.lane} of "
            f"{values} values"
        )
    return words


def transposed(
    context: RoundContext, words: IntArray, rows: NDArray[np.int8], shape: CompactShape
) -> WordArray:
    """c of each vector: <a s, v> = <s, c> modulo q, for every s.

    Args:
        context: chain, contract and round: what the public polynomials follow from.
        words: the vectors' words, int64[m], ascending.
        rows: int8[k, m].
        shape: of the federation.

    Returns:
        uint64[limbs, k, n]. A polynomial backwards is X**(n - 1) p(1/X), so that c backwards is a
        times v backwards; the package's order of coefficients turns round with it.
    """
    total = np.zeros((shape.limbs, len(rows), shape.n), dtype=np.uint64)
    public = sampling.PublicPolynomials(context, shape)
    blocks, within = np.divmod(words, shape.n)
    for block in range(int(blocks.max(initial=-1)) + 1):
        polynomial = public.take(1)
        here = blocks == block
        small = np.zeros(shape.n, dtype=np.int64)
        for vector, row in enumerate(rows[:, here]):
            small[shape.n - 1 - within[here]] = row
            if row.any():
                products = SmallPolynomial(small).multiply(polynomial)
                add_words(total[:, vector], products[:, 0])
    return total[:, :, ::-1]


def open_products(
    products: Sequence[int], vectors: Vectors, shape: CompactShape, limit: int
) -> IntArray:
    """Inner products of one update with vectors: int64[k], in the vectors' lane.

    Args:
        products: <e, v> + 2**error_bits <m, v> modulo q, of each vector.
        vectors: what was looked at, checked.
        shape: of the federation.
        limit: largest magnitude of one contributor's value.

    Raises:
        ForgedUpdate: errors beyond ten standard deviations, or a product in any lane that no
            honest update has. It tells nothing of them.
    """
    lengths = np.sqrt(np.square(vectors.rows.astype(np.float64)).sum(axis=1)).tolist()
    found = []
    for product, weight, length in zip(products, _weights(vectors.rows), lengths, strict=True):
        error, *lanes = _fields(product, shape)
        most = math.floor(LEAST_MARGIN_SIGMA * DEVIATION * length)
        if abs(error) > min(most, BINOMIAL_PAIRS * int(weight)):
            raise _forged()
        if max(map(abs, lanes)) > limit * int(weight):
            raise _forged()
        found.append(lanes[vectors.lane])
    return np.array(found, dtype=np.int64)


def _forged() -> ForgedUpdate:
    return ForgedUpdate(
        "an update is no honest encryption: its contributor forged it, or a partial opening is "
        "another; nothing of it is opened"
    )


def _weights(rows: NDArray[np.int8]) -> IntArray:
    weights: IntArray = np.abs(rows.astype(np.int64)).sum(axis=1)
    return weights


def _fields(word: int, shape: CompactShape) -> list[int]:
    """A word's fields, signed, from the lowest."""
    fields = []
    for width in shape.field_widths:
        half = 1 << (width - 1)
        field = (word + half) % (1 << width) - half
        word = (word - field) >> width
        fields.append(field)
    return fields


def _to_bytes(words: Sequence[int], shape: CompactShape) -> bytes:
    return b"".join(word.to_bytes(shape.bytes_per_word, "little") for word in words)


def _from_bytes(packed: bytes, count: int, shape: CompactShape) -> list[int]:
    size = shape.bytes_per_word
    if len(packed) != count * size:
        raise MalformedError(f"partial products of {len(packed)} bytes: {count} take {size} each")
    return [int.from_bytes(packed[at : at + size], "little") for at in range(0, len(packed), size)]
