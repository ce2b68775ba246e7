// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IClassifier} from "../interfaces/IClassifier.sol";
import {Classifier} from "./Classifier.sol";
import {SparseCounts} from "./SparseCounts.sol";
import {FixedLog} from "../lib/FixedLog.sol";
import {SparseFeatures} from "../lib/SparseFeatures.sol";

/// @title Multinomial naive Bayes over binary features that are named by their indices.
/// @notice score_c = log2(examples_c) + sum over features j present of log2(256 count_cj + s)
/// - n log2(256 total_c + s features), in units of 2^-40, with s the smoothing in units of 1/256,
/// n the number of features present and total_c the sum of count_cj: up to one common term the
/// logarithm of the class's probability. Nothing underflows: the factors are multiplied with an
/// exponent of their own, and one logarithm is taken of the product.
/// @dev A score is off by less than n + 3 units: the first two terms together by less than 2, the
/// last by less than 1 a feature (FixedLog). Products have 192 to 233 bits before each cut by 64,
/// so that each cut is a relative error of 2^-128; there are at most 2^16.
contract NaiveBayes is SparseCounts {
    uint256 private constant UNIT = 256;
    uint256 private constant MAX_SMOOTHING = 2 ** 16 - 1;
    uint256 private constant CUT_AT = 2 ** 192;
    uint256 private constant CUT_BITS = 64;

    constructor(uint256 features, uint256 classes, uint256 smoothing)
        Classifier(features, SparseFeatures.MAX, classes, smoothing, MAX_SMOOTHING)
        SparseCounts(classes)
    {}

    /// @inheritdoc IClassifier
    function kind() public pure override returns (string memory) {
        return "NaiveBayes";
    }

    function _score(uint256[] memory counts, uint256 present, uint256 class)
        internal
        view
        override
        returns (int256)
    {
        uint256 product = _examples(class);
        uint256 smoothing = parameter;
        uint256 classes = classLimit;
        uint256 exponent = 0;
        // A product below 2^192 times a factor below 2^41 is below 2^233. The logarithms are
        // below 2^48, `present` is at most 2^16, and the exponent below 2^22.
        unchecked {
            for (uint256 i = class; i < counts.length; i += classes) {
                product *= UNIT * counts[i] + smoothing;
                if (product >= CUT_AT) {
                    product >>= CUT_BITS;
                    exponent += CUT_BITS;
                }
            }
            uint256 total = UNIT * _sums[class] + smoothing * featureLimit;
            return int256(FixedLog.log2(product) + (exponent << FixedLog.DIGITS))
                - int256(present * FixedLog.log2(total));
        }
    }

    function _measure(uint256 count) internal pure override returns (uint256) {
        return count;
    }

    /// @dev A word may have occurred several times in the examples that a model is loaded from.
    function _plausible(uint256, uint256) internal pure override returns (bool) {
        return true;
    }
}
