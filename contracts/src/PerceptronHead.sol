// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IHead} from "./interfaces/IHead.sol";
import {DenseDot} from "./lib/DenseDot.sol";
import {Digests} from "./lib/Digests.sol";

/// @title A dense Perceptron layer in fixed point: int16 weights, int32 biases, int8 features.
/// @notice At most 4080 features, 2 to 256 classes and 512 words: the first write of the largest
/// head then fits into one transaction of 2^24 gas (EIP-7825). Scores are exact: |score| is at
/// most 2^31 + 4080 * 2^15 * 2^7, below 2^35.
contract PerceptronHead is IHead, Ownable {
    /// @dev What MAX_WORDS leaves for two classes.
    uint256 private constant MAX_DIMENSIONS = 4080;
    uint256 private constant MAX_CLASSES = 256;
    uint256 private constant MAX_WORDS = 512;

    uint256 private constant WEIGHTS_PER_WORD = DenseDot.WEIGHTS_PER_WORD;
    uint256 private constant BIASES_PER_WORD = 8;

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
        uint256[] memory spread = DenseDot.spread(features);
        uint256 count = classes;
        scores = new int256[](count);
        // Places are below MAX_WORDS, and scores below 2^35.
        unchecked {
            uint256 weightWords = spread.length / 2;
            uint256 row;
            assembly ("memory-safe") {
                row := _words.slot
            }
            uint256 bias = row + count * weightWords;
            uint256 biases = 0;
            int256 best = type(int256).min;
            for (uint256 c = 0; c < count; ++c) {
                if (c % BIASES_PER_WORD == 0) {
                    assembly ("memory-safe") {
                        biases := sload(bias)
                    }
                    ++bias;
                }
                int256 score = DenseDot.dot(spread, row) + int32(uint32(biases));
                scores[c] = score;
                if (score > best) (best, class) = (score, c);
                biases >>= 32;
                row += weightWords;
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
