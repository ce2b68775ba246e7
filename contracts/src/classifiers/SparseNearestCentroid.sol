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

    /// @inheritdoc IClassifier
    function predict(bytes calldata features)
        external
        view
        returns (uint256 class, int256[] memory scores)
    {
        _requireSealed();
        uint256[] memory indices = SparseFeatures.parse(features, featureLimit);
        uint256[] memory counts = _countsOf(indices);
        scores = new int256[](classLimit);
        for (uint256 c = 0; c < scores.length; ++c) {
            uint256 dot = 0;
            for (uint256 i = c; i < counts.length; i += scores.length) {
                dot += counts[i];
            }
            uint256 number = _examples(c);
            int256 above = int256(2 * number * dot) - int256(uint256(_sums[c]));
            scores[c] = above * UNIT / int256(number * number);
            if (scores[c] > scores[class]) class = c;
        }
    }

    /// @inheritdoc IClassifier
    function update(bytes calldata features, uint256 class)
        external
        onlyOwner
        returns (bool changed)
    {
        return _learn(features, class);
    }

    function _measure(uint256 count) internal pure override returns (uint256) {
        return count * count;
    }

    /// @dev An example has a feature once.
    function _plausible(uint256 count, uint256 examples_) internal pure override returns (bool) {
        return count <= examples_;
    }
}
