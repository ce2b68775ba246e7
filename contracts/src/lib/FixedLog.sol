// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Binary logarithms in fixed point, without a table.
library FixedLog {
    /// @dev Binary digits after the point.
    uint256 internal constant DIGITS = 40;

    /// @dev log2(x) * 2^40, at most the exact value and above it less 1 + 2^-80; x is not 0.
    /// A mantissa in [1, 2) is squared for each digit: the digit is whether the square is 2 or
    /// more (Knuth, The Art of Computer Programming 1, 1.2.2, exercise 25 has the like).
    /// Mantissas have 127 binary places and are cut, not rounded: a relative error of 2^-127 each.
    function log2(uint256 x) internal pure returns (uint256 result) {
        uint256 whole = Math.log2(x);
        // Shifts are below 256; the mantissa stays below 2^128, its square below 2^256.
        unchecked {
            uint256 mantissa = whole > 127 ? x >> (whole - 127) : x << (127 - whole);
            result = whole;
            for (uint256 i = 0; i < DIGITS; ++i) {
                mantissa = (mantissa * mantissa) >> 127;
                uint256 digit = mantissa >> 128;
                mantissa >>= digit;
                result = (result << 1) | digit;
            }
        }
    }
}
