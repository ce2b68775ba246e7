// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IClassifier} from "../interfaces/IClassifier.sol";
import {Classifier} from "./Classifier.sol";
import {SparseCounts} from "./SparseCounts.sol";
import {SparseFeatures} from "../lib/SparseFeatures.sol";

/// @title The nearest mean, over binary features that are named by their indices.
/// @notice The squared distance of x to the mean m of a class is |x|^2 - (2 x m - |m|^2); |x|^2 is
/// the same for all classes, and the score is the rest in units of 2^-32, cut towards zero. The
/// highest score is the nearest mean. Means are kept as counts and a number of examples, so that
/// learning is exact and its order does not matter.
/// @dev With counts s of n examples, 2 x m - |m|^2 = (2 n (x s) - |s|^2) / n^2. |s|^2 is kept: at
/// most 2^16 * 2^62. A count is at most its class's number of examples, so |score| is below 2^50.
contract SparseNearestCentroid is SparseCounts {
    int256 private constant UNIT = 2 ** 32;

    constructor(uint256 features, uint256 classes)
        Classifier(features, SparseFeatures.MAX, classes, 0, 0)
        SparseCounts(classes)
    {}

    /// @inheritdoc IClassifier
    function kind() public pure override returns (string memory) {
        return "SparseNearestCentroid";
    }

    function _score(uint256[] memory counts, uint256, uint256 class)
        internal
        view
        override
        returns (int256)
    {
        uint256 classes = classLimit;
        uint256 dot = 0;
        for (uint256 i = class; i < counts.length; i += classes) {
            dot += counts[i];
        }
        uint256 number = _examples(class);
        int256 above = int256(2 * number * dot) - int256(uint256(_sums[class]));
        return above * UNIT / int256(number * number);
    }

    function _measure(uint256 count) internal pure override returns (uint256) {
        return count * count;
    }

    /// @dev An example has a feature once.
    function _plausible(uint256 count, uint256 examples_) internal pure override returns (bool) {
        return count <= examples_;
    }
}
