from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.compact.limbs import add_shifted, add_words, limbs_of, take_bits
from tests.encryption.compact.oracle import integers, words

LIMBS = pytest.mark.parametrize("limbs", [1, 2])
INT64 = st.integers(-(2**63), 2**63 - 1)
EDGES = [0, 1, 2**63, 2**64 - 1, 2**64, 2**127, 2**128 - 1]


def word_lists(size: int = 8) -> st.SearchStrategy[list[int]]:
    word = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**128 - 1))
    return st.lists(word, min_size=size, max_size=size)


@LIMBS
@given(a=word_lists(), b=word_lists())
def test_words_add_as_integers_modulo_the_word(limbs: int, a: list[int], b: list[int]) -> None:
    total = words(a, limbs)
    add_words(total, words(b, limbs))
    assert integers(total) == [(x + y) % 2 ** (64 * limbs) for x, y in zip(a, b, strict=True)]
    total = words(a, limbs)
    add_words(total, limbs_of(b[0], limbs))
    assert integers(total) == [(x + b[0]) % 2 ** (64 * limbs) for x in a]


@LIMBS
@given(a=word_lists(), values=st.lists(INT64, min_size=8, max_size=8), data=st.data())
def test_signed_values_are_added_at_any_bit(
    limbs: int, a: list[int], values: list[int], data: st.DataObject
) -> None:
    shift = data.draw(st.integers(0, 64 * limbs - 1), label="shift")
    total = words(a, limbs)
    add_shifted(total, np.array(values, dtype=np.int64), shift)
    wanted = [(x + (v << shift)) % 2 ** (64 * limbs) for x, v in zip(a, values, strict=True)]
    assert integers(total) == wanted


@LIMBS
@given(a=word_lists(), data=st.data())
def test_any_bits_are_taken_out(limbs: int, a: list[int], data: st.DataObject) -> None:
    bits = data.draw(st.integers(1, 63), label="bits")
    shift = data.draw(st.integers(0, 64 * limbs - bits), label="shift")
    taken = take_bits(words(a, limbs), shift, bits).tolist()
    assert taken == [x % 2 ** (64 * limbs) >> shift & ((1 << bits) - 1) for x in a]
