// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Classifier} from "./Classifier.sol";
import {IClassifier} from "../interfaces/IClassifier.sol";
import {SparseFeatures} from "../lib/SparseFeatures.sol";

/// @title A Perceptron over binary features that are named by their indices.
/// @notice int16 weights. A row of them for each class; for two classes a single row, the
/// difference, and scores (0, s). A row's bias is the weight of a feature that is always present.
/// Learns on a mistake only: adds the learning rate to the weights of the features present in the
/// class's row and takes it from the predicted class's. Weights stop at the ends of int16. Scores
/// are exact: |score| is at most (2^16 + 1) * 2^15, below 2^32.
/// @dev Layout: weight i of the model at bits [16 (i % 16), ...) of word i / 16, with
/// i = row + rows * (0 for the bias, index + 1 for a feature). All rows of a feature are
/// neighbours: an example touches at most one word a feature while rows divide 16. Whoever
/// numbers features by how often they occur makes examples share words, the bias's included.
contract SparsePerceptron is Classifier {
    uint256 private constant WEIGHTS_PER_WORD = 16;
    uint256 private constant MAX_RATE = 2 ** 15 - 1;
    uint256 private constant NO_WORD = type(uint256).max;

    uint256 private immutable _rows;

    constructor(uint256 features, uint256 classes, uint256 learningRate)
        Classifier(features, SparseFeatures.MAX, classes, learningRate, MAX_RATE)
    {
        _rows = _rowsOf(classes);
    }

    /// @inheritdoc IClassifier
    function kind() public pure override returns (string memory) {
        return "SparsePerceptron";
    }

    /// @inheritdoc IClassifier
    function predict(bytes calldata features)
        external
        view
        returns (uint256 class, int256[] memory scores)
    {
        _requireSealed();
        return _predict(SparseFeatures.parse(features, featureLimit));
    }

    /// @inheritdoc IClassifier
    function update(bytes calldata features, uint256 class)
        external
        onlyOwner
        returns (uint256 predicted, bool changed)
    {
        _requireClass(class);
        uint256[] memory indices = SparseFeatures.parse(features, featureLimit);
        (predicted,) = _predict(indices);
        if (predicted != class) changed = _learn(indices, class, predicted);
        emit ModelUpdated(class, changed);
    }

    function _predict(uint256[] memory indices)
        private
        view
        returns (uint256 class, int256[] memory scores)
    {
        scores = new int256[](classLimit);
        uint256 rows = _rows;
        uint256 first = rows == 1 ? 1 : 0;
        uint256 at = NO_WORD;
        uint256 word = 0;
        // Indices are below 2^16, rows at most 2^8, sums below 2^32: nothing can overflow.
        unchecked {
            for (uint256 k = 0; k <= indices.length; ++k) {
                uint256 i = k == 0 ? 0 : (indices[k - 1] + 1) * rows;
                for (uint256 row = first; row < first + rows; ++row) {
                    if (i / WEIGHTS_PER_WORD != at) {
                        at = i / WEIGHTS_PER_WORD;
                        word = _words[at];
                    }
                    scores[row] += _weight(word, i);
                    ++i;
                }
            }
            for (uint256 c = 1; c < scores.length; ++c) {
                if (scores[c] > scores[class]) class = c;
            }
        }
    }

    /// @dev Moves the rows of both classes; false if every weight stands at its end already.
    function _learn(uint256[] memory indices, uint256 class, uint256 predicted)
        private
        returns (bool changed)
    {
        uint256 rows = _rows;
        int256 rate = int256(parameter);
        // Rows in ascending order, so that a word is never left and entered again.
        uint256 low = 0;
        uint256 high = 0;
        int256 lowStep = 0;
        if (rows == 1) {
            lowStep = class == 1 ? rate : -rate;
        } else {
            (low, high, lowStep) =
                class < predicted ? (class, predicted, rate) : (predicted, class, -rate);
        }
        uint256 at = NO_WORD;
        uint256 word = 0;
        uint256 stored = 0;
        // Indices are below 2^16, rows at most 2^8: nothing can overflow.
        unchecked {
            for (uint256 k = 0; k <= indices.length; ++k) {
                uint256 base = k == 0 ? 0 : (indices[k - 1] + 1) * rows;
                uint256 i = base + low;
                int256 step = lowStep;
                while (true) {
                    if (i / WEIGHTS_PER_WORD != at) {
                        if (word != stored) {
                            _words[at] = word;
                            changed = true;
                        }
                        at = i / WEIGHTS_PER_WORD;
                        stored = _words[at];
                        word = stored;
                    }
                    word = _move(word, i, step);
                    if (rows == 1 || i == base + high) break;
                    i = base + high;
                    step = -lowStep;
                }
            }
            if (word != stored) {
                _words[at] = word;
                changed = true;
            }
        }
    }

    function _weight(uint256 word, uint256 i) private pure returns (int256) {
        return int16(uint16(word >> (16 * (i % WEIGHTS_PER_WORD))));
    }

    /// @dev The word with weight `i` moved by `step`, within int16.
    function _move(uint256 word, uint256 i, int256 step) private pure returns (uint256) {
        // |weight| and |step| are at most 2^15, and shifts below 256.
        unchecked {
            uint256 shift = 16 * (i % WEIGHTS_PER_WORD);
            int256 weight = int16(uint16(word >> shift));
            int256 moved = weight + step;
            if (moved > type(int16).max) moved = type(int16).max;
            if (moved < type(int16).min) moved = type(int16).min;
            return word ^ ((uint256(uint16(int16(weight))) ^ uint256(uint16(int16(moved)))) << shift);
        }
    }

    function _rowsOf(uint256 classes) private pure returns (uint256) {
        return classes == 2 ? 1 : classes;
    }

    function _countWords(uint256 features, uint256 classes) internal pure override returns (uint256) {
        return Math.ceilDiv((features + 1) * _rowsOf(classes), WEIGHTS_PER_WORD);
    }

    /// @dev Every word of weights is good, but for the padding of the last.
    function _accept(uint256 offset, uint256[] calldata words_) internal view override {
        uint256 used = (featureLimit + 1) * _rows % WEIGHTS_PER_WORD;
        if (used == 0 || words_.length == 0 || offset + words_.length != wordCount) return;
        require(words_[words_.length - 1] >> (16 * used) == 0, WrongWord(wordCount - 1));
    }
}
