"""Parameter sets: ring, primes, lanes. A federation names one and cannot change it.

All sets are inside the 128-bit class of SEAL's table for a ternary secret (n = 4096: at most 109
bits of modulus with the special prime; n = 8192: 218). Primes are written down, not asked from
SEAL, so that a library that picks others one day cannot change what bytes mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ddcai.errors import PlanError

# SEAL's centred binomial error: standard deviation sqrt(42 / 4).
_ERROR_DEVIATION = math.sqrt(42 / 4)
_TERNARY_VARIANCE = 2 / 3


@dataclass(frozen=True, kw_only=True)
class ParameterSet:
    """One BFV parameter set with signed lanes in each slot.

    Attributes:
        id: the name in a federation's configuration.
        number: the same as one byte, for blobs; never used again for another set.
        poly_modulus_degree: n, slots a ciphertext.
        primes: the coefficient modulus; the last is the special prime, which keys have
            and ciphertexts do not. The others (data level) have one width.
        plain_modulus: t, a prime of lanes * lane_bits bits, 1 modulo 2n (batching).
        lanes: signed values a slot.
        lane_bits: width of a lane; a sum of values stays within +-lane_max.
        max_contributors: most ciphertexts in a sum with noise to spare.
        block_weight: for a set whose values are the plaintext polynomial's coefficients, so that
            inner products can be opened (`ddcai.encryption.scalars`): the largest sum of a
            public vector's magnitudes, 4096 coordinates of up to 15. 0 for a set whose values
            are in batching slots.
        reserved: coefficients at the start of each ciphertext that every honest one leaves zero:
            with batching a forged encryption of the key is out of range, here nothing else tells
            it (`ddcai.encryption.bfv.SecretKey`).
    """

    id: str
    number: int
    poly_modulus_degree: int
    primes: tuple[int, ...]
    plain_modulus: int
    lanes: int
    lane_bits: int
    max_contributors: int
    block_weight: int = 0
    reserved: int = 0

    @property
    def assessable(self) -> bool:
        """Whether inner products of an update with public vectors can be opened."""
        return self.block_weight > 0

    @property
    def data_primes(self) -> tuple[int, ...]:
        """The primes of a ciphertext: all but the special one."""
        return self.primes[:-1]

    @property
    def coeff_mod_bit_sizes(self) -> tuple[int, ...]:
        """Widths of the primes in bits, as TenSEAL names them."""
        return tuple(prime.bit_length() for prime in self.primes)

    @property
    def word_bits(self) -> int:
        """Width of a packed ciphertext word in bits."""
        return self.data_primes[0].bit_length()

    @property
    def words_per_ciphertext(self) -> int:
        """Two polynomials by data primes by coefficients."""
        return 2 * len(self.data_primes) * self.poly_modulus_degree

    @property
    def bytes_per_ciphertext(self) -> int:
        """Packed size on the wire; a whole number of bytes for every set."""
        return self.words_per_ciphertext * self.word_bits // 8

    @property
    def values_per_ciphertext(self) -> int:
        """Values that one ciphertext carries."""
        return self.lanes * (self.poly_modulus_degree - self.reserved)

    @property
    def lane_max(self) -> int:
        """Largest magnitude that a lane holds: 2**(lane_bits - 1) - 1."""
        return (1 << (self.lane_bits - 1)) - 1

    def value_limit(self, contributors: int) -> int:
        """Largest magnitude of one contributor's value, so that a sum of them fits a lane, and
        so does an inner product with a public vector where there are any.

        Raises:
            PlanError: if the set cannot add so many.
        """
        if not 1 <= contributors <= self.max_contributors:
            raise PlanError(
                f"encryption.max_contributors is {contributors}: the parameter set {self.id} "
                f"adds 1 to {self.max_contributors}; lower it or choose another set"
            )
        return self.lane_max // max(contributors, self.block_weight)

    def ciphertexts(self, values: int) -> int:
        """Ciphertexts that so many values take."""
        return -(-values // self.values_per_ciphertext)

    def noise_deviation(self, contributors: int, pieces: int = 1) -> float:
        """Standard deviation of the noise of a sum of ciphertexts, in a coefficient.

        A fresh public-key ciphertext has noise u*e + e1 + s*e2, divided by the special prime,
        plus the rounding of that division: (1 + n * 2/3) / 12 of variance, which is nearly
        all of it. A key of several pieces (`ddcai.encryption.threshold`) has as many ternary
        secrets s and errors e in it, added.
        """
        norm = self.poly_modulus_degree * _TERNARY_VARIANCE
        fresh = _ERROR_DEVIATION**2 * (1 + 2 * pieces * norm)
        variance = fresh / self.primes[-1] ** 2 + (1 + pieces * norm) / 12
        return math.sqrt(contributors * variance)

    @property
    def noise_room(self) -> int:
        """q / (2 t): a ciphertext decrypts right while its noise is below."""
        return math.prod(self.data_primes) // (2 * self.plain_modulus)

    def noise_margin_sigma(self, contributors: int) -> float:
        """Distance from a wrong decryption, in standard deviations of the sum's noise."""
        # Scaling the message to q/t rounds by at most a half a ciphertext.
        return (self.noise_room - contributors / 2) / self.noise_deviation(contributors)

    @property
    def opened_by_threshold(self) -> bool:
        """Whether there is room to hide the noise behind a wider one, as key holders must who
        open together (`ddcai.encryption.threshold.smudging`): by 2**40, in every coefficient.
        """
        hidden = self.poly_modulus_degree * self.noise_deviation(self.max_contributors)
        return self.noise_room > hidden * 2**40


PARAMETER_SETS: dict[str, ParameterSet] = {
    entry.id: entry
    for entry in (
        ParameterSet(
            id="bfv-4096-3x19",
            number=1,
            poly_modulus_degree=4096,
            primes=(68719230977, 68719403009, 137438822401),
            plain_modulus=144115188075814913,
            lanes=3,
            lane_bits=19,
            max_contributors=64,
        ),
        ParameterSet(
            id="bfv-4096-2x23",
            number=2,
            poly_modulus_degree=4096,
            primes=(1073668097, 1073692673, 68719403009),
            plain_modulus=70368743669761,
            lanes=2,
            lane_bits=23,
            max_contributors=1024,
        ),
        ParameterSet(
            id="bfv-8192-2x30",
            number=3,
            poly_modulus_degree=8192,
            primes=(281474976317441, 281474976546817, 281474976694273, 274877562881),
            plain_modulus=1152921504606830593,
            lanes=2,
            lane_bits=30,
            max_contributors=1024,
            block_weight=4096 * 15,
            reserved=64,
        ),
        # Primes as wide as this for the room that a threshold's smudging takes.
        ParameterSet(
            id="bfv-8192-3x20",
            number=4,
            poly_modulus_degree=8192,
            primes=(281474976317441, 281474976546817, 281474976694273, 274877562881),
            plain_modulus=1152921504606830593,
            lanes=3,
            lane_bits=20,
            max_contributors=16384,
        ),
    )
}
PARAMETER_SETS_BY_NUMBER: dict[int, ParameterSet] = {
    entry.number: entry for entry in PARAMETER_SETS.values()
}


def parameter_set(set_id: str) -> ParameterSet:
    """The set of that name.

    Raises:
        PlanError: naming the known sets.
    """
    try:
        return PARAMETER_SETS[set_id]
    except KeyError:
        raise PlanError(
            f"encryption.parameter_set is {set_id!r}: give one of {', '.join(PARAMETER_SETS)}"
        ) from None
