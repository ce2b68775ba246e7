// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Dot products of int8 features with stored int16 weights, sixteen a word; and learning.
/// @dev Eight multiply-accumulates per MUL. Write eight weights as a polynomial
/// W = sum w_i X^i and eight features, reversed, as F = sum f_i X^(7-i), with X = 2^32. The
/// coefficient of X^7 in W F is sum w_i f_i, and modulo 2^256 it is the top one: nothing above it
/// is left. Weights and features are signed, so W, F and the products are sums modulo 2^256 in
/// which a negative coefficient borrows from the next one; adding 2^31 to every coefficient of a
/// sum of products makes them all positive again, as long as each stays below 2^31 in absolute
/// value. A coefficient gets at most 2 * 8 terms from a word of sixteen weights, each at most
/// 2^15 * 2^7 = 2^22: the sum is read out after 16 words, at 256 * 2^22 = 2^30.
library DenseDot {
    uint256 internal constant WEIGHTS_PER_WORD = 16;
    /// @dev Words of weights that are summed before the sum is read out.
    uint256 private constant RUN_WORDS = 16;

    /// @dev The lower sixteen bits of each 32-bit lane.
    uint256 private constant LANES_16 =
        0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    /// @dev The lower eight bits of each 32-bit lane.
    uint256 private constant LANES_8 =
        0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff;
    /// @dev The sign bit of each int16; flipped, int16 becomes uint16 with an offset of 2^15.
    uint256 private constant SIGNS_16 =
        0x8000800080008000800080008000800080008000800080008000800080008000;
    /// @dev That offset, a 32-bit lane.
    uint256 private constant OFFSET_16 =
        0x0000800000008000000080000000800000008000000080000000800000008000;
    /// @dev The lower half of each 128-bit, and of each 64-bit unit.
    uint256 private constant UNITS_64 =
        0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
    uint256 private constant UNITS_32 =
        0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    /// @dev The sign bit of each int8 in 16 bytes.
    uint256 private constant SIGNS_8 = 0x80808080808080808080808080808080;
    /// @dev The offset of int8, a 32-bit lane.
    uint256 private constant OFFSET_8 =
        0x0000008000000080000000800000008000000080000000800000008000000080;
    /// @dev 2^31 a 32-bit lane: makes every coefficient positive.
    uint256 private constant OFFSET_32 =
        0x8000000080000000800000008000000080000000800000008000000080000000;
    /// @dev 1 a 32-bit lane.
    uint256 private constant ONES =
        0x0000000100000001000000010000000100000001000000010000000100000001;

    /// @dev Two words a sixteen features, for the even and the odd ones of them: feature 2i (or
    /// 2i + 1) as coefficient 7 - i of a polynomial in 2^32, signed.
    function spread(bytes calldata features) internal pure returns (uint256[] memory spread_) {
        assembly ("memory-safe") {
            // A new array of 2 ceil(length / 16) words; the loop writes each, so none is cleared.
            spread_ := mload(0x40)
            let count := shl(1, shr(4, add(features.length, 15)))
            mstore(spread_, count)
            let to := add(spread_, 32)
            mstore(0x40, add(to, shl(5, count)))
            let end := add(features.offset, features.length)
            for { let from := features.offset } lt(from, end) { from := add(from, 16) } {
                // Sixteen bytes, the first one highest. Bytes after the last feature, whatever
                // they are, meet weights that the caller made sure are zero.
                let lanes := shr(128, calldataload(from))
                // Eight units of two bytes to the lower halves of eight lanes, in the same order.
                lanes := xor(lanes, SIGNS_8)
                lanes := and(or(lanes, shl(64, lanes)), UNITS_64)
                lanes := and(or(lanes, shl(32, lanes)), UNITS_32)
                lanes := and(or(lanes, shl(16, lanes)), LANES_16)
                mstore(to, sub(and(shr(8, lanes), LANES_8), OFFSET_8))
                mstore(add(to, 32), sub(and(lanes, LANES_8), OFFSET_8))
                to := add(to, 64)
            }
        }
    }

    /// @dev The dot product of the features with the weights from storage slot `slot` on.
    function dot(uint256[] memory spread_, uint256 slot) internal view returns (int256 total) {
        assembly ("memory-safe") {
            let at := add(spread_, 32)
            let end := add(at, shl(5, mload(spread_)))
            for {} lt(at, end) {} {
                let runEnd := add(at, mul(64, RUN_WORDS))
                if gt(runEnd, end) { runEnd := end }
                let sum := OFFSET_32
                for {} lt(at, runEnd) { at := add(at, 64) } {
                    let lanes := xor(sload(slot), SIGNS_16)
                    sum := add(sum, mul(sub(and(lanes, LANES_16), OFFSET_16), mload(at)))
                    sum :=
                        add(
                            sum,
                            mul(sub(and(shr(16, lanes), LANES_16), OFFSET_16), mload(add(at, 32)))
                        )
                    slot := add(slot, 1)
                }
                total := add(total, sub(shr(224, sum), 0x80000000))
            }
        }
    }

    /// @dev Adds rate * feature to every weight from `slot` on, or takes it away, within int16.
    /// @param spread_ of features of which those after the last are zero: `clean`.
    /// @param rate at most 255, so that rate * |feature| stays below 2^15.
    /// @return changed whether a weight changed.
    function learn(uint256[] memory spread_, uint256 slot, uint256 rate, bool away)
        internal
        returns (bool changed)
    {
        for (uint256 k = 0; k < spread_.length; k += 2) {
            uint256 word;
            uint256 moved;
            assembly ("memory-safe") {
                word := sload(slot)
            }
            uint256 lanes = word ^ SIGNS_16;
            moved = _move(lanes & LANES_16, spread_[k], rate, away)
                | (_move((lanes >> 16) & LANES_16, spread_[k + 1], rate, away) << 16);
            moved ^= SIGNS_16;
            if (moved != word) {
                assembly ("memory-safe") {
                    sstore(slot, moved)
                }
                changed = true;
            }
            // A storage slot of a model, far below 2^256.
            unchecked {
                ++slot;
            }
        }
    }

    /// @dev Eight weights, each with an offset of 2^15 in a lane of 32 bits, moved by
    /// rate * feature and held within 0 and 2^16 - 1.
    function _move(uint256 weights, uint256 spread_, uint256 rate, bool away)
        private
        pure
        returns (uint256 moved)
    {
        // With u = weight + 2^15 in [0, 2^16) and g = feature + 2^7 in [0, 2^8), a lane holds
        // 2^16 + u +- rate (g - 2^7), in (2^15, 2^17 + 2^15): no lane overflows into the next, or
        // borrows from it. Bit 17 says that the weight went over the top; neither bit 17 nor bit
        // 16, that it went below the bottom.
        unchecked {
            uint256 features = _reverse(spread_ + OFFSET_8) * rate;
            uint256 middle = OFFSET_8 * rate;
            moved = away
                ? weights + (ONES << 16) + middle - features
                : weights + (ONES << 16) - middle + features;
            uint256 over = (moved >> 17) & ONES;
            uint256 inside = ((moved >> 16) & ONES) | over;
            return ((moved & LANES_16) | (over * 0xffff)) & (inside * 0xffff);
        }
    }

    /// @dev Eight lanes of 32 bits in the opposite order.
    function _reverse(uint256 lanes) private pure returns (uint256) {
        lanes = (lanes >> 128) | (lanes << 128);
        lanes = ((lanes >> 64) & UNITS_64) | ((lanes & UNITS_64) << 64);
        return ((lanes >> 32) & UNITS_32) | ((lanes & UNITS_32) << 32);
    }

    /// @dev Sets to zero what stands after the last of `count` features.
    function clean(uint256[] memory spread_, uint256 count) internal pure {
        uint256 used = count % WEIGHTS_PER_WORD;
        if (used == 0) return;
        // Feature 2i is coefficient 7 - i, signed: positive again, cut, and signed again.
        uint256 last = spread_.length;
        for (uint256 odd = 0; odd < 2; ++odd) {
            uint256 kept = (used + 1 - odd) / 2;
            uint256 mask = kept == 0 ? 0 : type(uint256).max << (256 - 32 * kept);
            // Both wrap on purpose, as signed coefficients do.
            unchecked {
                uint256 lanes = spread_[last - 2 + odd] + OFFSET_8;
                spread_[last - 2 + odd] = ((lanes & mask) | (OFFSET_8 & ~mask)) - OFFSET_8;
            }
        }
    }
}
