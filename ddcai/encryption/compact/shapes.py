"""Shapes: ring, words, lanes. A federation names one and cannot change it.

A coefficient of the sum is a word modulo q = 2**word_bits with three kinds of field: from below,
error_bits of signed error, then the lanes of lane_bits each. A field of b bits holds
-2**(b - 1) to 2**(b - 1) - 1 and never runs over into the next one, while errors and values of
the sum stay inside.

Modulus against ring: HomomorphicEncryption.org's standard (2018, table 1, classical, ternary
secret) allows for n = 4096 up to 109 bits at 128-bit security and 75 at 192, for n = 8192 218 and
152; 64 and 128 bits are inside the 192-bit class. Secret and errors here are wider than there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddcai.errors import PlanError

# A centred binomial of 84 + 84 bits: variance 84 / 2. With one other honest contributor the opened
# sums of secrets and of errors are hints of the same deviation, and Hint-RLWE with deviation sigma
# is as hard as RLWE with sigma / 2 = 3.24 (Kim, Lee, Seo, Song, CRYPTO 2023, theorem 1:
# 1 / sigma_0**2 = 2 (1 / sigma_1**2 + 1 / sigma_2**2)); SEAL's own errors have 3.24.
BINOMIAL_PAIRS = 84
DEVIATION = math.sqrt(BINOMIAL_PAIRS / 2)

# The sum of K errors is binomial, with lighter tails than a Gaussian: beyond 10 sigma less than
# once in 2**71 coefficients (Hoeffding).
LEAST_MARGIN_SIGMA = 10.0


@dataclass(frozen=True, kw_only=True)
class CompactShape:
    """One shape of the compact scheme.

    Attributes:
        id: the name in a federation's configuration.
        number: the same as one byte, for blobs; never used again for another shape.
        n: degree of the ring, a power of two; coefficients a block.
        word_bits: 64 or 128: log2 of the modulus.
        lanes: signed values a coefficient.
        lane_bits: width of a lane; a sum of values stays within +-lane_max.
        error_bits: width of the field of the errors, below the lanes.
        max_contributors: most updates in a sum.
        block_weight: of a shape with room for inner products with public vectors, the largest sum
            of a vector's magnitudes; 0 without.
    """

    id: str
    number: int
    n: int
    word_bits: int
    lanes: int
    lane_bits: int
    error_bits: int
    max_contributors: int
    block_weight: int = 0

    @property
    def assessable(self) -> bool:
        """Whether inner products of an update with public vectors can be opened."""
        return self.block_weight > 0

    @property
    def opened_by_threshold(self) -> bool:
        """Whether several key holders open it together: there is no other way."""
        return True

    @property
    def limbs(self) -> int:
        """64-bit limbs of a word."""
        return self.word_bits // 64

    @property
    def values_per_block(self) -> int:
        """Values that one polynomial carries."""
        return self.lanes * self.n

    @property
    def bytes_per_word(self) -> int:
        """Size of one coefficient on the wire."""
        return self.word_bits // 8

    @property
    def bytes_per_value(self) -> float:
        """Of words whose lanes are all used; a blob has at most lanes - 1 unused ones."""
        return self.bytes_per_word / self.lanes

    @property
    def piece_bits(self) -> int:
        """Width of the words in which a secret is shared out (`ddcai.encryption.compact.shares`).

        A sum of secrets is below 2**17 in magnitude, and 32 bits hold it. Inner products take
        pieces that add up to the secret modulo q itself.
        """
        return self.word_bits if self.assessable else 32

    @property
    def lane_max(self) -> int:
        """Largest magnitude that a lane holds: 2**(lane_bits - 1) - 1."""
        return (1 << (self.lane_bits - 1)) - 1

    @property
    def field_widths(self) -> tuple[int, ...]:
        """Widths of a word's fields in bits, from the lowest: the error, then the lanes."""
        return (self.error_bits, *(self.lane_bits,) * self.lanes)

    def lane_shift(self, lane: int) -> int:
        """The lowest bit of a lane in a word."""
        return self.error_bits + lane * self.lane_bits

    def in_lane(self, lane: int, values: int) -> slice:
        """Which of so many values are in a lane; the k-th of them is in word k.

        Value i is in lane i // w of w words: whole lanes are contiguous. With room for inner
        products it is in lane i % lanes: what is opened of an update is of one lane, which must be
        a fair sample of all its layers.
        """
        if self.assessable:
            return slice(lane, values, self.lanes)
        count = self.words(values)
        return slice(min(lane * count, values), min((lane + 1) * count, values))

    def words(self, values: int) -> int:
        """Words that so many values take. Of the last polynomial only the coefficients that
        carry values are sent: each of them opens without the others."""
        return -(-values // self.lanes)

    def blocks(self, values: int) -> int:
        """Polynomials that so many values take."""
        return -(-self.words(values) // self.n)

    def check(self, contributors: int) -> None:
        """Refuses sums that could not be exact.

        Raises:
            PlanError: for none, for more than max_contributors, or less than
                `LEAST_MARGIN_SIGMA` of room.
        """
        if not 1 <= contributors <= self.max_contributors:
            raise PlanError(
                f"encryption.max_contributors is {contributors}: the shape {self.id} adds 1 to "
                f"{self.max_contributors}; lower it or choose another shape"
            )
        margin = self.noise_margin_sigma(contributors)
        if margin < LEAST_MARGIN_SIGMA:
            raise PlanError(
                f"encryption.max_contributors is {contributors}: the errors of so many leave "
                f"{margin:.1f} sigma in {self.id}; {LEAST_MARGIN_SIGMA} are needed"
            )

    def value_limit(self, contributors: int) -> int:
        """Largest magnitude of one contributor's value, so that a sum of them fits a lane, and
        so does an inner product with a public vector where there are any.

        Raises:
            PlanError: if the shape cannot add so many.
        """
        self.check(contributors)
        return self.lane_max // max(contributors, self.block_weight)

    def noise_margin_sigma(self, contributors: int) -> float:
        """Distance from a wrong opening, in standard deviations of the sum of K errors.

        The sum opens right while each coefficient of it is within +-(2**(error_bits - 1) - 1).
        """
        return ((1 << (self.error_bits - 1)) - 1) / (DEVIATION * math.sqrt(contributors))

    def most_error(self, contributors: int) -> int:
        """Largest magnitude of a coefficient of a sum of honest errors, or secrets.

        Ten standard deviations, or what the centred binomial can at most give if that is less.
        """
        return min(
            math.floor(LEAST_MARGIN_SIGMA * DEVIATION * math.sqrt(contributors)),
            BINOMIAL_PAIRS * contributors,
        )


COMPACT_SHAPES: dict[str, CompactShape] = {
    entry.id: entry
    for entry in (
        CompactShape(
            id="compact-64-3x18",
            number=1,
            n=4096,
            word_bits=64,
            lanes=3,
            lane_bits=18,
            error_bits=10,
            max_contributors=62,
        ),
        CompactShape(
            id="compact-64-3x17",
            number=2,
            n=4096,
            word_bits=64,
            lanes=3,
            lane_bits=17,
            error_bits=13,
            max_contributors=256,
        ),
        CompactShape(
            id="compact-64-2x25",
            number=3,
            n=4096,
            word_bits=64,
            lanes=2,
            lane_bits=25,
            error_bits=14,
            max_contributors=1024,
        ),
        CompactShape(
            id="compact-128-3x36",
            number=4,
            n=8192,
            word_bits=128,
            lanes=3,
            lane_bits=36,
            error_bits=20,
            max_contributors=1024,
            block_weight=4096 * 15,
        ),
    )
}
COMPACT_SHAPES_BY_NUMBER: dict[int, CompactShape] = {
    entry.number: entry for entry in COMPACT_SHAPES.values()
}
