"""The threshold scheme in plain integers, written from its description; and keys for tests.

Polynomials are lists of integers; products are those of one large integer each (Kronecker).
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np
from eth_utils.crypto import keccak

from ddcai.encryption.bfv import PublicKey, SecretKey
from ddcai.encryption.parameters import PARAMETER_SETS, ParameterSet
from ddcai.encryption.threshold.pieces import KeyPiece, collective_key, public_polynomial

SETS = ("bfv-8192-2x30", "bfv-8192-3x20")
PUBLIC_SEED = b"public"


@lru_cache
def pieces(set_id: str, count: int = 3) -> tuple[KeyPiece, ...]:
    return tuple(
        KeyPiece(hashlib.sha256(b"%d" % number).digest(), PARAMETER_SETS[set_id])
        for number in range(count)
    )


@lru_cache
def public_key(set_id: str, count: int = 3) -> PublicKey:
    parameters = PARAMETER_SETS[set_id]
    a = public_polynomial(PUBLIC_SEED, parameters)
    shares = [piece.public_share(a) for piece in pieces(set_id, count)]
    return collective_key(a, shares, parameters)


@lru_cache
def reconstructed(set_id: str, count: int = 3) -> SecretKey:
    """The secret key that nobody has: the sum of the pieces."""
    parameters = PARAMETER_SETS[set_id]
    total = sum(piece._secret for piece in pieces(set_id, count))
    words = total % np.array(parameters.primes, np.uint64)[:, None]
    return SecretKey(parameters, words, public_key(set_id, count).digest())


def stream(kind: bytes, *parts: bytes, size: int) -> bytes:
    absorbed = keccak(b"ddcai.v1." + kind)
    for part in parts:
        absorbed += len(part).to_bytes(8, "little") + part
    return hashlib.shake_256(absorbed).digest(size)


def blake(words: np.ndarray) -> bytes:
    return hashlib.blake2b(words.tobytes(), digest_size=32).digest()


def words_of(data: bytes, width: int = 8) -> list[int]:
    return [int.from_bytes(data[at : at + width], "little") for at in range(0, len(data), width)]


def ternary(data: bytes, degree: int) -> list[int]:
    return [byte % 3 - 1 for byte in data if byte < 255][:degree]


def binomial(data: bytes) -> list[int]:
    return [
        (word & (2**21 - 1)).bit_count() - (word >> 21 & (2**21 - 1)).bit_count()
        for word in words_of(data)
    ]


def smudging(data: bytes, bits: int, degree: int) -> list[int]:
    """12 bytes each: 64 bits from all the low words, then 32 from all the high ones."""
    low, high = words_of(data[: 8 * degree]), words_of(data[8 * degree :], 4)
    most = min(bits + 1, 64)
    return [
        (one >> 64 - most) + (other >> 32 - (bits + 1 - most) << 64) - 2**bits
        for one, other in zip(low, high, strict=True)
    ]


def secret(seed: bytes, parameters: ParameterSet) -> list[int]:
    n = parameters.poly_modulus_degree
    drawn = stream(b"threshold-secret", seed, bytes([parameters.number]), size=2 * n)
    return ternary(drawn, n)


def negacyclic(left: list[int], right: list[int], modulus: int) -> list[int]:
    """Product modulo X**n + 1, coefficients below the modulus."""
    n = len(left)
    width = (n * modulus * modulus).bit_length() // 8 + 1

    def whole(polynomial: list[int]) -> int:
        return int.from_bytes(
            b"".join((one % modulus).to_bytes(width, "little") for one in polynomial), "little"
        )

    product = (whole(left) * whole(right)).to_bytes(2 * n * width, "little")
    both = words_of(product, width)
    return [(both[i] - both[i + n]) % modulus for i in range(n)]


def crt(rows: np.ndarray, primes: tuple[int, ...]) -> list[int]:
    """Residues uint64[primes, m] to integers modulo q."""
    q = math.prod(primes)
    weights = [pow(q // prime, -1, prime) * (q // prime) for prime in primes]
    columns = zip(*(row.tolist() for row in rows), strict=True)
    return [
        sum(one * weight for one, weight in zip(column, weights, strict=True)) % q
        for column in columns
    ]


def centred(value: int, modulus: int) -> int:
    value %= modulus
    return value - modulus if value > modulus // 2 else value


def root(prime: int, degree: int) -> int:
    """The smallest primitive 2n-th root of unity, as SEAL takes it."""
    some = next(
        found
        for base in range(2, 1000)
        if pow(found := pow(base, (prime - 1) // (2 * degree), prime), degree, prime) == prime - 1
    )
    square, power, least = some * some % prime, some, some
    for _ in range(degree):
        power = power * square % prime
        least = min(least, power)
    return least


def evaluate(polynomial: list[int], index: int, prime: int) -> int:
    """Place ``index`` of SEAL's NTT form: the value at psi**(2 bitrev(index) + 1)."""
    n = len(polynomial)
    bits = n.bit_length() - 1
    exponent = 2 * int(f"{index:0{bits}b}"[::-1], 2) + 1
    point, total = pow(root(prime, n), exponent, prime), 0
    for coefficient in reversed(polynomial):
        total = (total * point + coefficient) % prime
    return total
