"""From opened integers to the scores of one update in one round.

What is opened of an update u (integers, restricted to the block B) are inner products with the
rows of a `Frame`: random projections, the anchor's direction and the last public movements.
Three rounds later one more is opened, with the direction that the model took since.

|u|_B is nowhere opened. It is estimated: the part of u in the span of the public directions is
known exactly from its inner products (c' G^-1 c, G the directions' Gram matrix), and the energy
of the rest is the mean square of what the projections hold beyond it (each +-1 projection of a
vector has its squared length as expectation: Achlioptas 2003). A mere replay lies in the span,
so its length is known without any noise.

All of it is exact rational arithmetic, rounded once to a multiple of 2**-16 (half to even): a
score is the same whoever computes it, and is on chain as an integer (`fixed`). Sums of scores
are exact in float64, in any order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ddcai.assessment.derivation import Int8s
from ddcai.errors import ConfigurationError

SCALE = 1 << 16
# A replay's estimate can exceed 1, where quantised movements are nearly dependent.
MAX_REPLAY = 2.0
MAX_RATIO = 1e6
_EXACT = 1 << 53


def fixed(score: float) -> int:
    """A score as the integer that the chain holds: score * 2**16, rounded half to even."""
    return round(score * SCALE)


def on_grid(value: float) -> float:
    """The nearest multiple of 2**-16, half to even."""
    return fixed(value) / SCALE


def inner_products(vectors: Int8s, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The integer twin of what is opened from ciphertexts.

    Args:
        vectors: int8[k, m].
        values: int64[n, m], each row an update over the block.

    Returns:
        int64[n, k], exact: float64 products and sums of integers below 2**53 are.

    Raises:
        ConfigurationError: for shapes that do not fit, or sums that float64 cannot hold.
    """
    if vectors.ndim != 2 or values.ndim != 2 or vectors.shape[1] != values.shape[1]:
        raise ConfigurationError(
            f"vectors {vectors.shape} and values {values.shape}: give [k, m] and [n, m]"
        )
    if vectors.size == 0 or values.size == 0:
        return np.zeros((values.shape[0], vectors.shape[0]), np.int64)
    most = int(np.abs(values).max()) * 128 * values.shape[1]
    if most >= _EXACT:
        raise ConfigurationError(
            f"a value of {int(np.abs(values).max())} over {values.shape[1]} coordinates passes "
            "2**53: lower the lane's limit or the block"
        )
    products = values.astype(np.float64) @ vectors.T.astype(np.float64)
    return products.astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was opened of one update when its round was sealed.

    Attributes:
        projections: <u, p_j> for each projection.
        anchor: <u, d> with the anchor's direction.
        replay: <u, d_k> with each of the last movements.
    """

    projections: tuple[int, ...]
    anchor: int
    replay: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class RoundScores:
    """What an update is worth, as far as its own round can tell.

    Attributes:
        length: estimate of |u| over all coordinates, in integer steps; a multiple of 2**-16.
        squared_length: estimate of |u|_B squared, exact.
        anchor: R, its cosine with the anchor's direction, -1 to 1.
        replay: rho, its share of energy in the span of the last movements, 0 to `MAX_REPLAY`.
    """

    length: float
    squared_length: Fraction
    anchor: float
    replay: float


@dataclass(frozen=True, eq=False)
class Frame:
    """A round's public vectors over its block, and what follows from them.

    Attributes:
        projections: int8[s, m].
        anchor: int8[m], zeros where there is no anchor yet.
        replay: int8[k, m], newest first.
        dimension: D, coordinates that the block was drawn from.
    """

    projections: Int8s
    anchor: Int8s
    replay: Int8s
    dimension: int

    def __post_init__(self) -> None:
        block = self.anchor.shape[-1]
        good = (
            self.anchor.ndim == 1
            and block > 0
            and self.projections.ndim == 2
            and self.projections.shape[0] > 0
            and self.projections.shape[1] == block
            and self.replay.ndim == 2
            and self.replay.shape[1] == block
        )
        if not good or self.dimension < block:
            raise ConfigurationError(
                f"projections {self.projections.shape}, anchor {self.anchor.shape}, replay "
                f"{self.replay.shape}, {self.dimension} coordinates: give [s, m], [m], [k, m]"
            )

    @property
    def vectors(self) -> Int8s:
        """All that are opened in a round, in order: int8[s + 1 + k, m]."""
        return np.concatenate([self.projections, self.anchor[None], self.replay])

    def opened(self, products: Sequence[int]) -> Opened:
        """Inner products in the order of `vectors`, by name."""
        s, k = len(self.projections), len(self.replay)
        if len(products) != s + 1 + k:
            raise ConfigurationError(f"{len(products)} scalars were opened, not {s + 1 + k}")
        whole = [int(value) for value in products]
        return Opened(projections=tuple(whole[:s]), anchor=whole[s], replay=tuple(whole[s + 1 :]))

    @cached_property
    def _span(self) -> _Span:
        return _Span(np.concatenate([self.replay, self.anchor[None]]), self.projections)

    @cached_property
    def _past(self) -> _Span:
        return _Span(self.replay, self.projections)

    @cached_property
    def _anchor_square(self) -> int:
        return _square(self.anchor)

    def scores(self, opened: Opened) -> RoundScores:
        """Scores of one update.

        | opened | result |
        |---|---|
        | all zero | length 0, anchor 0, replay 0 |
        | no anchor yet (a direction of zeros) | anchor 0 |
        | no movement yet | replay 0 |
        | directions that depend on each other | the first of them count |
        | an estimate of the length that is too small | anchor within -1 to 1, replay at most 2 |

        Raises:
            ConfigurationError: for another number of scalars than the frame has vectors.
        """
        if len(opened.projections) != len(self.projections) or len(opened.replay) != len(
            self.replay
        ):
            raise ConfigurationError(
                f"{len(opened.projections)} projections and {len(opened.replay)} movements were "
                f"opened, not {len(self.projections)} and {len(self.replay)}"
            )
        square = self._span.squared_length((*opened.replay, opened.anchor), opened.projections)
        replay = Fraction(0)
        if square > 0:
            replay = self._past.energy(opened.replay) / square
        whole = square * self.dimension / self.anchor.size
        return RoundScores(
            length=on_grid(_root(whole)),
            squared_length=square,
            anchor=cosine(opened.anchor, square, self._anchor_square),
            replay=min(MAX_REPLAY, on_grid(float(replay))),
        )


def movement_score(product: int, squared_length: Fraction, direction: Int8s) -> float:
    """F: cosine of an update with the model's later direction, a multiple of 2**-16.

    Args:
        product: <u, d>, opened three rounds later over the block of the update's own round.
        squared_length: of the update's `RoundScores`.
        direction: d, int8[m].
    """
    return cosine(product, squared_length, _square(direction))


def cosine(product: int, squared_length: Fraction, direction_square: int) -> float:
    """product / (|u| |d|), on the grid, from -1 to 1; 0 where either has no length."""
    if squared_length <= 0 or direction_square <= 0:
        return 0.0
    value = _root(Fraction(product * product) / (squared_length * direction_square))
    return math.copysign(min(1.0, on_grid(value)), product) if value else 0.0


def _square(vector: Int8s) -> int:
    wide = vector.astype(np.int64)
    return int((wide * wide).sum())


def _root(value: Fraction) -> float:
    # Both steps round correctly by IEEE 754.
    return math.sqrt(float(value))


class _Span:
    """The span of public directions: exact projections onto it, by integers.

    Attributes:
        kept: which directions are independent of those before them.
    """

    def __init__(self, directions: Int8s, projections: Int8s) -> None:
        gram = _products(directions, directions)
        self.kept: list[int] = []
        for number in range(len(directions)):
            wanted = [*self.kept, number]
            if _determinant([[gram[i][j] for j in wanted] for i in wanted]) > 0:
                self.kept = wanted
        kept = [[gram[i][j] for j in self.kept] for i in self.kept]
        self._determinant = _determinant(kept)
        self._adjugate = _adjugate(kept)
        cross = _products(projections, directions)
        self._cross = [[row[i] for i in self.kept] for row in cross]

    def _coefficients(self, products: Sequence[int]) -> list[int]:
        """G^-1 c, times G's determinant."""
        kept = [products[i] for i in self.kept]
        return [sum(a * c for a, c in zip(row, kept, strict=True)) for row in self._adjugate]

    def energy(self, products: Sequence[int]) -> Fraction:
        """Squared length of the part in the span."""
        pairs = zip(self._coefficients(products), self.kept, strict=True)
        return Fraction(sum(a * products[i] for a, i in pairs), self._determinant)

    def squared_length(self, products: Sequence[int], projections: Sequence[int]) -> Fraction:
        """Squared length: in the span exactly, and an estimate of the rest."""
        coefficients = self._coefficients(products)
        rest = 0
        for projection, cross in zip(projections, self._cross, strict=True):
            known = sum(a * x for a, x in zip(coefficients, cross, strict=True))
            rest += (projection * self._determinant - known) ** 2
        scale = self._determinant * self._determinant * len(projections)
        return self.energy(products) + Fraction(rest, scale)


def _products(left: Int8s, right: Int8s) -> list[list[int]]:
    products: list[list[int]] = (left.astype(np.int64) @ right.astype(np.int64).T).tolist()
    return products


def _determinant(matrix: list[list[int]]) -> int:
    """Exact, by Bareiss' fraction-free elimination (1968); 1 for the empty matrix."""
    rows = [list(row) for row in matrix]
    sign, before = 1, 1
    for k in range(len(rows)):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        for i in range(k + 1, len(rows)):
            for j in range(k + 1, len(rows)):
                rows[i][j] = (rows[i][j] * rows[k][k] - rows[i][k] * rows[k][j]) // before
        before = rows[k][k]
    return sign * before


def _adjugate(matrix: list[list[int]]) -> list[list[int]]:
    """The transposed cofactors: matrix @ adjugate = determinant * identity."""
    size = range(len(matrix))
    return [
        [
            (-1) ** (i + j)
            * _determinant([[matrix[a][b] for b in size if b != i] for a in size if a != j])
            for j in size
        ]
        for i in size
    ]


__all__ = [
    "Frame",
    "MAX_RATIO",
    "MAX_REPLAY",
    "Opened",
    "RoundScores",
    "SCALE",
    "cosine",
    "fixed",
    "inner_products",
    "movement_score",
    "on_grid",
]
