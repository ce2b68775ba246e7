// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IHead} from "./interfaces/IHead.sol";
import {Digests} from "./lib/Digests.sol";

/// @title A dense Perceptron layer in fixed point: int16 weights, int32 biases, int8 features.
/// @notice At most 4080 features, 2 to 256 classes and 512 words: the first write of the largest
/// head then fits into one transaction of 2^24 gas (EIP-7825). Scores are exact: |score| is at
/// most 2^31 + 4080 * 2^15 * 2^7, below 2^35.
/// @dev Eight multiply-accumulates per MUL. Write eight weights as a polynomial
/// W = sum w_i X^i and eight features, reversed, as F = sum f_i X^(7-i), with X = 2^32. The
/// coefficient of X^7 in W F is sum w_i f_i, and modulo 2^256 it is the top one: nothing above it
/// is left. Weights and features are signed, so W, F and the products are sums modulo 2^256 in
/// which a negative coefficient borrows from the next one; adding 2^31 to every coefficient of a
/// sum of products makes them all positive again, as long as each stays below 2^31 in absolute
/// value. A coefficient gets at most 2 * 8 terms from a word of sixteen weights, each at most
/// 2^15 * 2^7 = 2^22: the sum is read out after 16 words, at 256 * 2^22 = 2^30.
contract PerceptronHead is IHead, Ownable {
    /// @dev What MAX_WORDS leaves for two classes.
    uint256 private constant MAX_DIMENSIONS = 4080;
    uint256 private constant MAX_CLASSES = 256;
    uint256 private constant MAX_WORDS = 512;

    uint256 private constant WEIGHTS_PER_WORD = 16;
    uint256 private constant BIASES_PER_WORD = 8;
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

    /// @inheritdoc IHead
    uint256 public immutable dimensions;
    /// @inheritdoc IHead
    uint256 public immutable classes;
    /// @inheritdoc IHead
    uint256 public immutable wordCount;

    uint256[MAX_WORDS] private _words;

    constructor(uint256 dimensions_, uint256 classes_) Ownable(msg.sender) {
        require(
            dimensions_ >= 1 && dimensions_ <= MAX_DIMENSIONS && classes_ >= 2
                && classes_ <= MAX_CLASSES,
            WrongShape(dimensions_, classes_)
        );
        uint256 count = classes_ * Math.ceilDiv(dimensions_, WEIGHTS_PER_WORD)
            + Math.ceilDiv(classes_, BIASES_PER_WORD);
        require(count <= MAX_WORDS, WrongShape(dimensions_, classes_));
        dimensions = dimensions_;
        classes = classes_;
        wordCount = count;
    }

    /// @inheritdoc IHead
    function write(uint256[] calldata words_) external onlyOwner {
        require(words_.length == wordCount, WrongWordCount(words_.length, wordCount));
        _checkPadding(words_);
        for (uint256 i = 0; i < words_.length; ++i) {
            _words[i] = words_[i];
        }
        emit HeadWritten(Digests.headDigest(words_));
    }

    /// @inheritdoc IHead
    function words() external view returns (uint256[] memory words_) {
        words_ = new uint256[](wordCount);
        for (uint256 i = 0; i < words_.length; ++i) {
            words_[i] = _words[i];
        }
    }

    /// @inheritdoc IHead
    function predict(bytes calldata features)
        external
        view
        returns (uint256 class, int256[] memory scores)
    {
        require(features.length == dimensions, WrongFeatureCount(features.length, dimensions));
        uint256[] memory spread = _spread(features);
        scores = new int256[](classes);
        uint256 weightWords = spread.length / 2;
        uint256 firstBias = scores.length * weightWords;
        uint256 biases = 0;
        for (uint256 c = 0; c < scores.length; ++c) {
            if (c % BIASES_PER_WORD == 0) biases = _words[firstBias + c / BIASES_PER_WORD];
            scores[c] = _dot(spread, c * weightWords) + int32(uint32(biases));
            biases >>= 32;
            if (scores[c] > scores[class]) class = c;
        }
    }

    /// @dev Two words a sixteen features, for the even and the odd ones of them: feature 2i (or
    /// 2i + 1) as coefficient 7 - i of a polynomial in 2^32, signed.
    function _spread(bytes calldata features) private pure returns (uint256[] memory spread) {
        spread = new uint256[](2 * Math.ceilDiv(features.length, WEIGHTS_PER_WORD));
        assembly ("memory-safe") {
            let to := add(spread, 32)
            let end := add(features.offset, features.length)
            for { let from := features.offset } lt(from, end) { from := add(from, 16) } {
                // Sixteen bytes, the first one highest. Bytes after the last feature, whatever
                // they are, meet weights that `write` made sure are zero.
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

    /// @dev The dot product of the features with the weights from word `slot` on.
    function _dot(uint256[] memory spread, uint256 slot) private view returns (int256 total) {
        assembly ("memory-safe") {
            let at := add(spread, 32)
            let end := add(at, shl(5, mload(spread)))
            slot := add(slot, _words.slot)
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

    /// @dev Weights after the last feature of a class and biases after the last class are zero,
    /// so that a head has one list of words and one digest.
    function _checkPadding(uint256[] calldata words_) private view {
        uint256 weightWords = Math.ceilDiv(dimensions, WEIGHTS_PER_WORD);
        uint256 used = dimensions % WEIGHTS_PER_WORD;
        if (used != 0) {
            for (uint256 c = 0; c < classes; ++c) {
                uint256 last = weightWords * (c + 1) - 1;
                require(words_[last] >> (16 * used) == 0, NonZeroPadding(last));
            }
        }
        used = classes % BIASES_PER_WORD;
        if (used != 0) {
            uint256 last = words_.length - 1;
            require(words_[last] >> (32 * used) == 0, NonZeroPadding(last));
        }
    }
}
