// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Signed numbers side by side in a word, each moved by a difference and held in its type.
library Lanes {
    /// @notice live + (next - last), lane by lane; a sum outside the type stops at its end.
    /// @param bits of a lane: 16 or 32.
    function shift(uint256 live, uint256 last, uint256 next, uint256 bits)
        internal
        pure
        returns (uint256 moved)
    {
        if (next == last) return live;
        if (live == last) return next;
        int256 top = int256(1 << (bits - 1)) - 1;
        // Every number is within 32 bits: nothing here comes near 2^255.
        unchecked {
            for (uint256 at = 0; at < 256; at += bits) {
                int256 sum = _lane(live, at, bits) + _lane(next, at, bits) - _lane(last, at, bits);
                if (sum > top) sum = top;
                if (sum < -top - 1) sum = -top - 1;
                moved |= (uint256(sum) & ((1 << bits) - 1)) << at;
            }
        }
    }

    /// @dev The lane that starts at bit `at`, with its sign.
    function _lane(uint256 word, uint256 at, uint256 bits) private pure returns (int256) {
        // at + bits is at most 256, as the only caller counts.
        unchecked {
            return int256(word << (256 - bits - at)) >> (256 - bits);
        }
    }
}
