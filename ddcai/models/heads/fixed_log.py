"""Binary logarithms in fixed point, the same bits as `contracts/src/lib/FixedLog.sol`."""

from __future__ import annotations

from functools import lru_cache

DIGITS = 40


@lru_cache(maxsize=65_536)
def log2_fixed(x: int) -> int:
    """log2(x) in units of 2^-40 for x in 1..2^256 - 1.

    At most the exact value, and above it less 1 + 2^-80. A mantissa in [1, 2) with 127 binary
    places is squared for each digit: the digit is whether the square is 2 or more.

    Raises:
        ValueError: for x out of range.
    """
    if not 1 <= x < 1 << 256:
        raise ValueError(f"log2_fixed of {x}: give 1 to 2**256 - 1")
    result = x.bit_length() - 1
    mantissa = x >> (result - 127) if result > 127 else x << (127 - result)
    for _ in range(DIGITS):
        mantissa = mantissa * mantissa >> 127
        digit = mantissa >> 128
        mantissa >>= digit
        result = result << 1 | digit
    return result
