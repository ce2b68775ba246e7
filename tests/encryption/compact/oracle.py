"""The scheme in python's integers, written from its definition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ddcai.encryption.compact.limbs import WordArray


def negacyclic(a: Sequence[int], b: Sequence[int], modulus: int) -> list[int]:
    """a * b in Z_modulus[X]/(X**n + 1), by Kronecker substitution: one product of integers."""
    n = len(a)
    bound = sum(abs(x) for x in a) * max(map(abs, b)) + 1
    width = bound.bit_length() // 8 + 2  # bytes a slot, with room for a sign

    def number(values: Iterable[int]) -> int:
        positive, negative = bytearray(), bytearray()
        for value in values:
            positive += max(value, 0).to_bytes(width, "little")
            negative += max(-value, 0).to_bytes(width, "little")
        return int.from_bytes(positive, "little") - int.from_bytes(negative, "little")

    half = 1 << (8 * width - 1)
    bias = int.from_bytes((b"\0" * (width - 1) + b"\x80") * (2 * n), "little")
    product = (number(a) * number(b) + bias).to_bytes(width * 2 * n + 1, "little")
    slots = [
        int.from_bytes(product[i * width : (i + 1) * width], "little") - half for i in range(2 * n)
    ]
    return [(slots[i] - slots[n + i]) % modulus for i in range(n)]


def stored(natural: Sequence[int]) -> list[int]:
    """Coefficients 0, 1, 2, ... in the order in which the package has them."""
    half = len(natural) // 2
    return [natural[j // 2 + half * (j % 2)] for j in range(len(natural))]


def product(a: Sequence[int], b: Sequence[int], modulus: int) -> list[int]:
    """`negacyclic` of polynomials in the package's order."""
    natural = negacyclic([*a[::2], *a[1::2]], [*b[::2], *b[1::2]], modulus)
    return stored(natural)


def integers(words: WordArray) -> list[int]:
    """Words uint64[limbs, m] as python's integers."""
    limbs = [limb.tolist() for limb in words]
    return [
        sum(part << (64 * i) for i, part in enumerate(parts)) for parts in zip(*limbs, strict=True)
    ]


def words(values: Iterable[int], limbs: int) -> WordArray:
    """The inverse of `integers`."""
    listed = list(values)
    parts = [[value >> (64 * i) & (2**64 - 1) for value in listed] for i in range(limbs)]
    return np.array(parts, dtype=np.uint64)
