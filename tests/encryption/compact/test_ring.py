from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.typing import NDArray

from ddcai.encryption.compact.limbs import WordArray
from ddcai.encryption.compact.ring import SmallPolynomial, error_bound
from ddcai.encryption.compact.shapes import BINOMIAL_PAIRS, COMPACT_SHAPES, DEVIATION, CompactShape
from ddcai.errors import RoundError
from tests.encryption.compact.oracle import integers, product, stored, words

# Ring degree and limbs of every shape.
RINGS = pytest.mark.parametrize(
    ("n", "limbs"), sorted({(shape.n, shape.limbs) for shape in COMPACT_SHAPES.values()})
)


def signs(kind: str, n: int) -> NDArray[np.int64]:
    """Patterns of signs that make products large, or cancel."""
    rng = np.random.default_rng(n)
    return {
        "plus": np.ones(n, dtype=np.int64),
        "minus": -np.ones(n, dtype=np.int64),
        "alternating": 1 - 2 * (np.arange(n) % 2),
        "random": rng.choice(np.array([-1, 1]), n),
    }[kind]


def check(small: NDArray[np.int64], blocks: WordArray) -> None:
    limbs, count, _ = blocks.shape
    products = SmallPolynomial(small).multiply(blocks)
    for block in range(count):
        wanted = product(integers(blocks[:, block]), small.tolist(), 2 ** (64 * limbs))
        assert integers(products[:, block]) == wanted


@RINGS
@pytest.mark.parametrize("kind", ["plus", "minus", "alternating", "random"])
def test_exact_at_the_largest_words_and_secrets(n: int, limbs: int, kind: str) -> None:
    # All words 2**w - 1, and the largest polynomial for which the bound allows a product.
    largest = BINOMIAL_PAIRS
    while error_bound(n, n * (largest + 1) ** 2) < 0.25:
        largest += 1
    small = largest * signs(kind, n)
    largest_words = np.full((limbs, 1, n), 2**64 - 1, dtype=np.uint64)
    check(small, largest_words)
    alternating = largest_words.copy()
    alternating[..., 1::2] = 0
    check(small, alternating)


@RINGS
def test_exact_for_random_words(n: int, limbs: int) -> None:
    rng = np.random.default_rng(limbs)
    blocks = rng.integers(0, 2**64, (limbs, 3, n), dtype=np.uint64, endpoint=False)
    check(rng.integers(-BINOMIAL_PAIRS, BINOMIAL_PAIRS + 1, n), blocks)


@RINGS
def test_x_to_the_n_is_minus_one(n: int, limbs: int) -> None:
    # X times a shifts every coefficient up by one and brings the last one back negated.
    modulus = 2 ** (64 * limbs)
    before = [pow(3, j, modulus) for j in range(n)]
    x = np.array(stored([0, 1, *[0] * (n - 2)]))
    block = words(stored(before), limbs)[:, None]
    found = integers(SmallPolynomial(x).multiply(block)[:, 0])
    assert found == stored([-before[-1] % modulus, *before[:-1]])


@pytest.mark.parametrize("shape", COMPACT_SHAPES.values(), ids=lambda shape: shape.id)
def test_every_honest_secret_and_sum_is_inside_the_bound(shape: CompactShape) -> None:
    assert error_bound(shape.n, shape.n * BINOMIAL_PAIRS**2) < 0.25
    most = round(2 * shape.n * DEVIATION**2 * shape.max_contributors)
    assert error_bound(shape.n, most) < 0.25


def test_a_polynomial_that_is_too_large_is_refused() -> None:
    for size in (2**20, 2**63 - 1):
        with pytest.raises(RoundError, match="cannot be multiplied exactly"):
            SmallPolynomial(np.full(4096, size, dtype=np.int64))


def test_a_secret_is_not_shown() -> None:
    small = SmallPolynomial(np.full(4, 77, dtype=np.int64))
    assert "77" not in repr(small)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(small)
