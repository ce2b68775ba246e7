from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.compact.dots import FixedVectors, small_dot
from tests.encryption.compact.oracle import integers, words


def _integers(rng: np.random.Generator, count: int, limbs: int) -> list[int]:
    return [int.from_bytes(rng.bytes(8 * limbs), "little") for _ in range(count)]


@given(st.sampled_from([1, 2]), st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**32))
def test_inner_products_are_those_of_python_s_integers(
    limbs: int, count: int, n: int, seed: int
) -> None:
    rng, modulus = np.random.default_rng(seed), 2 ** (64 * limbs)
    vectors = [_integers(rng, n, limbs) for _ in range(count)]
    other = _integers(rng, n, limbs)
    fixed = FixedVectors(np.stack([words(one, limbs) for one in vectors], axis=1))
    expected = [sum(a * b for a, b in zip(one, other, strict=True)) % modulus for one in vectors]
    assert fixed.dot(words(other, limbs)) == expected
    rows = rng.integers(-128, 128, (count, n)).astype(np.int8)
    small = [sum(a * int(b) for a, b in zip(other, row, strict=True)) % modulus for row in rows]
    assert small_dot(words(other, limbs), rows) == small


def test_exact_where_every_digit_is_the_largest() -> None:
    for limbs in (1, 2):
        modulus, n = 2 ** (64 * limbs), 8192
        largest = np.full((limbs, n), 2**64 - 1, np.uint64)
        assert set(integers(largest)) == {modulus - 1}
        assert FixedVectors(largest[:, None]).dot(largest) == [n]
        assert small_dot(largest, np.full((1, n), -128, np.int8)) == [128 * n]
        assert small_dot(largest, np.full((1, n), 127, np.int8)) == [modulus - 127 * n]
