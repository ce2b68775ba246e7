// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Classifier} from "./Classifier.sol";
import {IClassifier} from "../interfaces/IClassifier.sol";
import {DenseDot} from "../lib/DenseDot.sol";

/// @title A Perceptron over int8 features: int16 weights, int32 biases, a row for each class.
/// @notice Learns on a mistake only: with learning rate r, adds r * feature to the weights of the
/// class's row and takes it from the predicted class's; biases move by r * 127^2, since features
/// are 127 times and biases 127 * 127 times what they stand for in units of r. Weights and
/// biases stop at the ends of their types. Scores are exact, below 2^35.
/// @dev Words as in IHead, so that a federation's head can be loaded as it is.
contract DensePerceptron is Classifier {
    uint256 private constant MAX_FEATURES = 4096;
    uint256 private constant MAX_RATE = 255;
    uint256 private constant BIASES_PER_WORD = 8;
    int256 private constant BIAS_STEP = 127 * 127;

    constructor(uint256 features, uint256 classes, uint256 learningRate)
        Classifier(features, MAX_FEATURES, classes, learningRate, MAX_RATE)
    {}

    /// @inheritdoc IClassifier
    function kind() public pure override returns (string memory) {
        return "DensePerceptron";
    }

    /// @inheritdoc IClassifier
    function predict(bytes calldata features)
        external
        view
        returns (uint256 class, int256[] memory scores)
    {
        _requireSealed();
        return _predict(_spread(features));
    }

    /// @inheritdoc IClassifier
    function update(bytes calldata features, uint256 class)
        external
        returns (uint256 predicted, bool changed)
    {
        _requireTeacher();
        _requireClass(class);
        uint256[] memory spread = _spread(features);
        (predicted,) = _predict(spread);
        if (predicted != class) {
            DenseDot.clean(spread, featureLimit);
            // Both, whatever the first says.
            changed = _learn(spread, class, false);
            changed = _learn(spread, predicted, true) || changed;
        }
        emit ModelUpdated(class, changed);
    }

    /// @dev Reverts unless the caller may teach: here the owner.
    function _requireTeacher() internal view virtual {
        _checkOwner();
    }

    function _spread(bytes calldata features) private view returns (uint256[] memory) {
        require(features.length == featureLimit, WrongFeatureCount(features.length, featureLimit));
        return DenseDot.spread(features);
    }

    function _predict(uint256[] memory spread)
        private
        view
        returns (uint256 class, int256[] memory scores)
    {
        uint256 count = classLimit;
        scores = new int256[](count);
        // Slots of a model are far below 2^256, and scores below 2^35.
        unchecked {
            uint256 rowWords = spread.length / 2;
            uint256 row = _slot(0);
            uint256 bias = row + count * rowWords;
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
                row += rowWords;
            }
        }
    }

    /// @dev Moves one class's row and bias towards the features, or away.
    function _learn(uint256[] memory spread, uint256 class, bool away)
        private
        returns (bool changed)
    {
        uint256 rowWords = spread.length / 2;
        changed = DenseDot.learn(spread, _slot(class * rowWords), parameter, away);
        uint256 place = classLimit * rowWords + class / BIASES_PER_WORD;
        uint256 shift = 32 * (class % BIASES_PER_WORD);
        uint256 word = _words[place];
        int256 bias = int32(uint32(word >> shift));
        int256 step = int256(parameter) * BIAS_STEP;
        int256 moved = away ? bias - step : bias + step;
        if (moved > type(int32).max) moved = type(int32).max;
        if (moved < type(int32).min) moved = type(int32).min;
        if (moved != bias) {
            _words[place] =
                word ^ (uint256(uint32(int32(bias)) ^ uint32(int32(moved))) << shift);
            changed = true;
        }
    }

    /// @dev The storage slot of a word.
    function _slot(uint256 place) private pure returns (uint256 slot) {
        assembly ("memory-safe") {
            slot := add(_words.slot, place)
        }
    }

    function _countWords(uint256 features, uint256 classes) internal pure override returns (uint256) {
        return classes * Math.ceilDiv(features, DenseDot.WEIGHTS_PER_WORD)
            + Math.ceilDiv(classes, BIASES_PER_WORD);
    }

    /// @dev Every word is good, but for padding: after a row's last weight and the last bias.
    function _accept(uint256 offset, uint256[] calldata words_) internal virtual override {
        _requirePadding(offset, words_);
    }

    /// @dev That words of the model, from `offset` on, have zeros where nothing is.
    function _requirePadding(uint256 offset, uint256[] calldata words_) internal view {
        uint256 rowWords = Math.ceilDiv(featureLimit, DenseDot.WEIGHTS_PER_WORD);
        uint256 usedWeights = featureLimit % DenseDot.WEIGHTS_PER_WORD;
        uint256 usedBiases = classLimit % BIASES_PER_WORD;
        for (uint256 k = 0; k < words_.length; ++k) {
            uint256 place = offset + k;
            uint256 used = 0;
            if (place < classLimit * rowWords) {
                if (place % rowWords == rowWords - 1) used = 16 * usedWeights;
            } else if (place == wordCount - 1) {
                used = 32 * usedBiases;
            }
            require(used == 0 || words_[k] >> used == 0, WrongWord(place));
        }
    }
}
