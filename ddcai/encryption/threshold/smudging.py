"""How wide the noise on a partial opening is, and what it hides.

What is opened, q/t m + v, has the noise v of the contributors' encryptions in it, which depends on
the key: it must not be told. So each piece's part carries a uniform x from -2**B to 2**B - 1 of
its own. By the smudging lemma (Asharov, Jain, Lopez-Alt, Tromer, Vaikuntanathan and Wichs,
EUROCRYPT 2012, Lemma 1), x + v is within |v| / 2**(B + 1) of x in statistical distance. T - 1
holders lack exactly one piece; its part of an opening can be computed from the opened sum, the
ciphertext and the other pieces, but for the noise. So by the union over the n coefficients of C
ciphertexts, what they see of C openings is within

    n C E|v| / 2**(B + 1),  E|v| <= sigma + K / 2

of what the opened sums tell them anyway; sigma is of K contributors under a key of P pieces
(`ParameterSet.noise_deviation`), and K / 2 bounds the rounding of their messages. Fewer holders
than T - 1 see less. It is security against those who look (Mouchet et al., PETS 2021): a
contributor that makes up a c1 makes up v as well.
"""

from __future__ import annotations

import math

from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.threshold.products import CHECKS, WEIGHT_BITS
from ddcai.errors import PlanError

LEAST_STATISTICAL_BITS = 40
# Of a step q/t, so that honest noise and smudging take half of the room; what lies between is
# refused. If all of it were taken, c0 could be put half a step beside a message, for the key to
# decide the rounding.
MOST_NOISE = 1 / 4
# A Gaussian is beyond 10 sigma once in 2**75 draws.
_NOISE_SIGMAS = 10
_INT8_MAX = 127


def smudging_bits(parameters: ParameterSet, pieces: int, contributors: int) -> int:
    """B, the largest with which a sum is still opened exactly and not taken for a forged one.

    P 2**B + 10 sigma + K / 2 <= MOST_NOISE q / t.

    Args:
        parameters: the federation's set.
        pieces: P, of the key (`Sharing.pieces`).
        contributors: K, the most in a sum.

    Raises:
        PlanError: more contributors than the set adds, or no room.
    """
    parameters.value_limit(contributors)
    if pieces < 1:
        raise PlanError(f"a key of {pieces} pieces: it has at least one")
    honest = _NOISE_SIGMAS * parameters.noise_deviation(contributors, pieces) + contributors / 2
    room = int(2 * MOST_NOISE * parameters.noise_room) - math.ceil(honest)
    if room < 2 * pieces:
        raise PlanError(
            f"encryption.parameter_set is {parameters.id}: it has no room for the noise of "
            f"{pieces} pieces; choose bfv-8192-3x20"
        )
    return (room // pieces).bit_length() - 1


def statistical_security(
    parameters: ParameterSet, pieces: int, contributors: int, ciphertexts_opened: float
) -> float:
    """-log2 of the distance above, after so many ciphertexts were opened under one key.

    Raises:
        PlanError: as `smudging_bits`.
    """
    bits = smudging_bits(parameters, pieces, contributors)
    seen = _seen(parameters, pieces, contributors) * ciphertexts_opened
    return bits + 1 - math.log2(seen)


def most_openings(parameters: ParameterSet, pieces: int, contributors: int) -> int:
    """Ciphertexts that one key may open with 40 bits of statistical security left.

    Raises:
        PlanError: not even one, or as `smudging_bits`.
    """
    left = statistical_security(parameters, pieces, contributors, 1) - LEAST_STATISTICAL_BITS
    if left < 0:
        raise PlanError(
            f"encryption.parameter_set is {parameters.id}: with {pieces} pieces and sums of "
            f"{contributors}, one opening has {left + LEAST_STATISTICAL_BITS:.0f} bits of "
            f"statistical security, {LEAST_STATISTICAL_BITS} are needed; choose bfv-8192-3x20, "
            "fewer key holders or a lower encryption.max_contributors"
        )
    return math.floor(2**left)


def scalars_as_openings(
    parameters: ParameterSet, pieces: int, contributors: int, *, ciphertexts: int, vectors: int
) -> float:
    """As how many openings of a sum's ciphertext the scalars of one update count.

    A product with x in place of a coefficient has v x, of at most |x| sigma + |x|_1 / 2 on
    average, where K = 1. The combinations of reserved coefficients, whose message is zero, have
    |w| sigma.

    Args:
        parameters: an assessable set.
        pieces: of the key.
        contributors: the most in a sum.
        ciphertexts: of an update.
        vectors: of int8, each of which weighs at most block_weight.
    """
    p = parameters
    length = math.sqrt(_INT8_MAX * p.block_weight)
    product = length * p.noise_deviation(1, pieces) + p.block_weight / 2
    # Uniform from -2**10 to 2**10 - 1, on average over what draws them.
    weights: float = 2**WEIGHT_BITS * math.sqrt(ciphertexts * p.reserved / 3)
    checks = CHECKS * weights * p.noise_deviation(1, pieces)
    return (vectors * product + checks) / _seen(p, pieces, contributors)


def _seen(parameters: ParameterSet, pieces: int, contributors: int) -> float:
    """n E|v|."""
    noise = parameters.noise_deviation(contributors, pieces) + contributors / 2
    return parameters.poly_modulus_degree * noise
