// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IClassifier} from "../../src/interfaces/IClassifier.sol";

/// @title The plainest model that learns: a dense Perceptron, one weight a word, all of them 0.
/// @notice For tests of trainers; class by class, no bias, learning rate 1, sealed at once.
contract PlainPerceptron is IClassifier, Ownable {
    uint256 public immutable featureLimit;
    uint256 public immutable classLimit;

    /// @inheritdoc IClassifier
    uint256 public release;

    int256[] private _weights;

    constructor(uint256 features, uint256 classes) Ownable(msg.sender) {
        featureLimit = features;
        classLimit = classes;
        _weights = new int256[](features * classes);
    }

    function predict(bytes calldata features)
        public
        view
        returns (uint256 class, int256[] memory scores)
    {
        require(
            features.length == featureLimit, WrongFeatureCount(features.length, featureLimit)
        );
        scores = new int256[](classLimit);
        for (uint256 c = 0; c < classLimit; ++c) {
            for (uint256 j = 0; j < featureLimit; ++j) {
                scores[c] += _weights[c * featureLimit + j] * int8(uint8(features[j]));
            }
            if (scores[c] > scores[class]) class = c;
        }
    }

    function update(bytes calldata features, uint256 class)
        external
        onlyOwner
        returns (uint256 predicted, bool changed)
    {
        require(class < classLimit, UnknownClass(class, classLimit));
        (predicted,) = predict(features);
        changed = predicted != class;
        emit ModelUpdated(class, changed);
        if (!changed) return (predicted, false);
        for (uint256 j = 0; j < featureLimit; ++j) {
            int256 feature = int8(uint8(features[j]));
            _weights[class * featureLimit + j] += feature;
            _weights[predicted * featureLimit + j] -= feature;
        }
    }

    /// @dev As if the model had been replaced, by itself.
    function replace() external {
        release += 1;
    }

    function words(uint256 offset, uint256 count) external view returns (uint256[] memory words_) {
        words_ = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            words_[i] = uint256(_weights[offset + i]);
        }
    }

    function load(uint256, uint256[] calldata) external view onlyOwner {
        revert WrongLoadState(true);
    }

    function seal() external view onlyOwner {
        revert WrongLoadState(true);
    }

    function kind() external pure returns (string memory) {
        return "PlainPerceptron";
    }

    function parameter() external pure returns (uint256) {
        return 0;
    }

    function isSealed() external pure returns (bool) {
        return true;
    }

    function wordCount() external view returns (uint256) {
        return _weights.length;
    }

    function loadedCount() external view returns (uint256) {
        return _weights.length;
    }
}
