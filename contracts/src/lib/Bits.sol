// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Set bits of a word: how many, and which is the lowest.
library Bits {
    /// @dev Number of set bits (Hacker's Delight, 5-1, widened to 256 bits).
    function count(uint256 word) internal pure returns (uint256) {
        // Each sum stays in its own field: at most 2 in two bits, 4 in four, 8 in eight, and the
        // bytes' total, at most 256, is read from the multiplication's top two bytes so that a
        // full word does not wrap to 0. Nothing can overflow, but the multiplication by 0x01..01,
        // which is meant to be modulo 2^256.
        unchecked {
            word -= (word >> 1) & 0x5555555555555555555555555555555555555555555555555555555555555555;
            word = (word & 0x3333333333333333333333333333333333333333333333333333333333333333)
                + ((word >> 2) & 0x3333333333333333333333333333333333333333333333333333333333333333);
            word = (word + (word >> 4))
                & 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f;
            word = (word & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
                + ((word >> 8) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff);
            return (word * 0x0001000100010001000100010001000100010001000100010001000100010001) >> 240;
        }
    }

    /// @dev Position of the lowest set bit; `word` must not be 0.
    function lowest(uint256 word) internal pure returns (uint256) {
        // Two's complement: word & -word keeps the lowest set bit alone; 0 - word wraps on purpose.
        unchecked {
            return Math.log2(word & (0 - word));
        }
    }
}
