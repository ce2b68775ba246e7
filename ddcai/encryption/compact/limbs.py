"""Words of 64 or 128 bits as numpy arrays of 64-bit limbs.

Words are uint64[limbs, ...], the lowest limbs first: all low ones, then all high ones. All
arithmetic is modulo 2**(64 * limbs) and exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WordArray = NDArray[np.uint64]
IntArray = NDArray[np.int64]


def add_words(total: WordArray, words: WordArray) -> None:
    """Adds words to words of the same shape, in place."""
    low = total[0]
    low += words[0]
    if len(total) == 2:
        high = total[1]
        high += words[1]
        high += low < words[0]  # a sum that wrapped is less than what was added


def add_shifted(total: WordArray, values: IntArray, shift: int, *, spoil: bool = False) -> None:
    """Adds values * 2**shift to words, in place.

    Args:
        total: uint64[limbs, ...].
        values: int64[...], of either sign.
        shift: 0 to 64 * limbs - 1.
        spoil: whether the values may be written over, which spares an array.
    """
    limb, within = divmod(shift, 64)
    if limb == 0 and len(total) == 2:
        total[1] += (values >> np.int64(min(63, 64 - within))).view(np.uint64)
    added = values.view(np.uint64)
    if within:
        added = np.left_shift(added, np.uint64(within), out=added if spoil else None)
    total[limb] += added
    if limb == 0 and len(total) == 2:
        total[1] += total[0] < added


def take_bits(words: WordArray, shift: int, bits: int) -> WordArray:
    """Bits shift to shift + bits - 1 of each word, as new uint64[...]; bits below 64."""
    limb, within = divmod(shift, 64)
    taken: WordArray = words[limb] >> np.uint64(within)
    if within + bits > 64 and limb + 1 < len(words):
        taken |= words[limb + 1] << np.uint64(64 - within)
    if within + bits != 64 or limb + 1 < len(words):
        taken &= np.uint64((1 << bits) - 1)
    return taken


def limbs_of(word: int, limbs: int) -> WordArray:
    """An integer modulo 2**(64 * limbs) as uint64[limbs], to be added to every word."""
    parts = [word >> (64 * limb) & 0xFFFFFFFFFFFFFFFF for limb in range(limbs)]
    return np.array(parts, dtype=np.uint64)
