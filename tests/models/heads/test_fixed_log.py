"""log2 in fixed point against integers of 400 bits; NaiveBayes' tests hold the contract to it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ddcai.models.heads import log2_fixed
from ddcai.models.heads.fixed_log import DIGITS

NUMBERS = st.one_of(
    st.integers(1, 2**256 - 1),
    st.integers(1, 10_000),
    st.tuples(st.integers(0, 255), st.integers(-2, 2)).map(
        lambda drawn: min(max((1 << drawn[0]) + drawn[1], 1), 2**256 - 1)
    ),
)
# Digits beyond the library's, and the bits of a mantissa: each squaring doubles its error.
_MORE, _BITS = 80, 400


def _exact(x: int) -> int:
    """floor(log2(x) * 2^120), by integers cut once too low and once too high."""
    results = []
    for up in (0, 1):
        result = x.bit_length() - 1
        mantissa = x << (_BITS - result)
        for _ in range(DIGITS + _MORE):
            mantissa = (mantissa * mantissa >> _BITS) + up
            digit = mantissa >> (_BITS + 1)
            if digit:
                mantissa = (mantissa >> 1) + up
            result = 2 * result + digit
        results.append(result)
    assert results[0] == results[1], "give _BITS more bits"
    return results[0]


@settings(max_examples=1000, deadline=None)
@given(NUMBERS)
def test_at_most_the_exact_value_and_above_it_less_a_unit_and_2_to_the_minus_80(x: int) -> None:
    found, exact = log2_fixed(x) << _MORE, _exact(x)
    assert exact - (1 << _MORE) - 1 < found <= exact


@pytest.mark.parametrize("power", [0, 1, 127, 128, 255])
def test_powers_of_two_are_exact(power: int) -> None:
    assert log2_fixed(1 << power) == power << DIGITS


@pytest.mark.parametrize("x", [0, -1, 2**256])
def test_numbers_out_of_range_are_refused(x: int) -> None:
    with pytest.raises(ValueError, match="give 1 to"):
        log2_fixed(x)
