// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Sums of int8 features in int32, eight a word: dot products, and adding an example.
/// @dev As in DenseDot, with X = 2^64 and four coefficients: a product of a sum and a feature is
/// at most 2^31 * 2^7, a coefficient gets 2 * 4 of them from a word, and 2^20 words would still
/// stay below 2^63.
library DenseSums {
    uint256 internal constant PER_WORD = 8;

    /// @dev The lower half of each 64-bit lane.
    uint256 private constant LANES_32 =
        0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    /// @dev The lower byte of each 64-bit lane.
    uint256 private constant LANES_8 =
        0x00000000000000ff00000000000000ff00000000000000ff00000000000000ff;
    /// @dev The lower two bytes of each 64-bit lane.
    uint256 private constant LANES_16 =
        0x000000000000ffff000000000000ffff000000000000ffff000000000000ffff;
    /// @dev The lower 32 bits of each 128-bit unit.
    uint256 private constant UNITS_32 =
        0x000000000000000000000000ffffffff000000000000000000000000ffffffff;
    /// @dev The lower half of each 128-bit unit.
    uint256 private constant UNITS_64 =
        0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
    uint256 private constant SIGNS_8 = 0x8080808080808080;
    /// @dev 2^7, 2^31 and 2^63 a 64-bit lane.
    uint256 private constant OFFSET_8 =
        0x0000000000000080000000000000008000000000000000800000000000000080;
    uint256 private constant OFFSET_32 =
        0x0000000080000000000000008000000000000000800000000000000080000000;
    uint256 private constant OFFSET_64 =
        0x8000000000000000800000000000000080000000000000008000000000000000;
    /// @dev The sign bit of each int32.
    uint256 private constant SIGNS_32 =
        0x8000000080000000800000008000000080000000800000008000000080000000;

    /// @dev Two words an eight features, for the even and the odd ones of them: feature 2i (or
    /// 2i + 1) as coefficient 3 - i of a polynomial in 2^64, signed. Zero after the last feature.
    function spread(bytes calldata features) internal pure returns (uint256[] memory spread_) {
        spread_ = new uint256[](2 * Math.ceilDiv(features.length, PER_WORD));
        assembly ("memory-safe") {
            let to := add(spread_, 32)
            let end := add(features.offset, features.length)
            for { let from := features.offset } lt(from, end) { from := add(from, 8) } {
                let lanes := shr(192, calldataload(from))
                if gt(add(from, 8), end) {
                    let unused := shl(3, sub(add(from, 8), end))
                    lanes := shl(unused, shr(unused, lanes))
                }
                lanes := xor(lanes, SIGNS_8)
                lanes := and(or(lanes, shl(96, lanes)), UNITS_32)
                lanes := and(or(lanes, shl(48, lanes)), LANES_16)
                mstore(to, sub(and(shr(8, lanes), LANES_8), OFFSET_8))
                mstore(add(to, 32), sub(and(lanes, LANES_8), OFFSET_8))
                to := add(to, 64)
            }
        }
    }

    /// @dev The dot product of the features with the sums from storage slot `slot` on.
    function dot(uint256[] memory spread_, uint256 slot) internal view returns (int256 total) {
        assembly ("memory-safe") {
            let at := add(spread_, 32)
            let end := add(at, shl(5, mload(spread_)))
            let sum := OFFSET_64
            for {} lt(at, end) { at := add(at, 64) } {
                let lanes := xor(sload(slot), SIGNS_32)
                sum := add(sum, mul(sub(and(lanes, LANES_32), OFFSET_32), mload(at)))
                sum :=
                    add(
                        sum,
                        mul(sub(and(shr(32, lanes), LANES_32), OFFSET_32), mload(add(at, 32)))
                    )
                slot := add(slot, 1)
            }
            total := sub(shr(192, sum), 0x8000000000000000)
        }
    }

    /// @dev Adds the features to the sums from `slot` on, which must have room.
    /// @return square |x|^2.
    function add(uint256[] memory spread_, uint256 slot) internal returns (uint256 square) {
        // Offset features and sums are positive in their lanes, and the caller's bound keeps a
        // sum plus a feature in int32: nothing overflows into another lane. |x|^2 is at most
        // 2^14 a feature.
        unchecked {
            for (uint256 k = 0; k < spread_.length; k += 2) {
                (uint256 even, uint256 square0) = _ascending(spread_[k]);
                (uint256 odd, uint256 square1) = _ascending(spread_[k + 1]);
                square += square0 + square1;
                assembly ("memory-safe") {
                    let word := sload(slot)
                    let lanes := xor(word, SIGNS_32)
                    let low := sub(add(and(lanes, LANES_32), even), OFFSET_8)
                    let high := sub(add(and(shr(32, lanes), LANES_32), odd), OFFSET_8)
                    let sums := xor(or(low, shl(32, high)), SIGNS_32)
                    if iszero(eq(sums, word)) { sstore(slot, sums) }
                    slot := add(slot, 1)
                }
            }
        }
    }

    /// @dev Four features with their offset, the first one lowest; and the sum of their squares.
    function _ascending(uint256 spread_) private pure returns (uint256 lanes, uint256 square) {
        // A polynomial times its reverse has the sum of squares as its coefficient of X^3; signed
        // coefficients wrap on purpose, and are at most 2^16.
        unchecked {
            uint256 offset = spread_ + OFFSET_8;
            lanes = (offset >> 128) | (offset << 128);
            lanes = ((lanes >> 64) & UNITS_64) | ((lanes & UNITS_64) << 64);
            square = ((lanes - OFFSET_8) * spread_ + OFFSET_64) >> 192;
            square -= 0x8000000000000000;
        }
    }
}
