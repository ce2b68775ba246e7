from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.encryption.words import pack_words, packed_size, unpack_words

WIDTHS = st.sampled_from([8, 30, 36, 37, 38, 48, 57])


@given(WIDTHS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_packing_is_the_plain_sum_of_shifted_words(width, groups, random):
    words = [random.getrandbits(width) for _ in range(8 * groups)]
    packed = pack_words(np.array(words, dtype=np.uint64), width)
    # The slow oracle: one large integer.
    total = sum(word << (width * place) for place, word in enumerate(words))
    assert packed == total.to_bytes(packed_size(len(words), width), "little")
    assert unpack_words(packed, len(words), width).tolist() == words


@given(WIDTHS, st.data())
def test_unpacking_then_packing_gives_any_bytes_back(width, data):
    size = packed_size(16, width)
    packed = data.draw(st.binary(min_size=size, max_size=size))
    assert pack_words(unpack_words(packed, 16, width), width) == packed


def test_what_cannot_be_packed_is_refused():
    with pytest.raises(ValueError, match="bits cannot be packed"):
        packed_size(8, 58)
    with pytest.raises(ValueError, match="bits cannot be packed"):
        packed_size(8, 0)
    with pytest.raises(ValueError, match="whole bytes"):
        packed_size(3, 36)
    with pytest.raises(ValueError, match="are not"):
        unpack_words(b"123", 2, 36)
