// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Classifier} from "../../src/classifiers/Classifier.sol";
import {NaiveBayes} from "../../src/classifiers/NaiveBayes.sol";
import {FixedLog} from "../../src/lib/FixedLog.sol";
import {CountingCases} from "./CountingCases.sol";

/// forge-config: default.fuzz.runs = 128
contract NaiveBayesTest is CountingCases {
    uint256 private constant SMOOTHING = 256;

    function shape() internal pure override returns (uint256 features, uint256 parameter) {
        return (13, SMOOTHING);
    }

    function create(uint256 features, uint256 classes, uint256 parameter)
        internal
        override
        returns (Classifier)
    {
        return new NaiveBayes(features, classes, parameter);
    }

    /// @dev A word may occur more often than there are examples.
    function drawCount(uint256 r, uint256) internal pure override returns (uint256) {
        uint256[4] memory edges = [uint256(0), 1, FULL - 1, FULL - 2];
        return r % 2 == 0 ? edges[(r >> 1) % 4] : (r >> 8) % 100;
    }

    /// @dev A logarithm a factor, added up: each is cut by less than one unit.
    function plainScore(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class
    ) internal view override returns (int256 score) {
        uint256 total = 0;
        score = int256(FixedLog.log2(lane(words, 0, class, 32)));
        for (uint256 j = 0; j < model.featureLimit(); ++j) {
            uint256 count = _count(model, words, j, class);
            total += count;
            if (has(features, j)) {
                score += int256(FixedLog.log2(256 * count + model.parameter()));
            }
        }
        score -= int256(
            features.length / 2 * FixedLog.log2(256 * total + model.parameter() * model.featureLimit())
        );
    }

    /// @dev Of n + 1 factors' logarithms, each cut by less than 1 here and their sum once there.
    function tolerance(Classifier, bytes memory features) internal pure override returns (uint256) {
        return features.length / 2 + 2;
    }

    /// @notice 2,000 words of which a class has none: the product is below 10^-12000.
    function test_long_examples_do_not_underflow() public {
        uint256 count = 2000;
        NaiveBayes model = new NaiveBayes(count, 2, 1);
        uint256[] memory words = new uint256[](model.wordCount());
        words[0] = 1000 | (1000 << 32);
        for (uint256 j = 0; j < count; ++j) {
            setLane(words, 1, 2 * j + 1, 32, 1); // class 1 has each word once
        }
        model.load(0, words);
        model.seal();
        bytes memory features = "";
        for (uint256 j = 0; j < count; ++j) {
            features = abi.encodePacked(features, uint16(j));
        }
        (uint256 class, int256[] memory scores) = model.predict(features);
        // P(word | class 0) = 1/2000, P(word | class 1) = 257/(256 * 2000 + 2000): the same.
        vm.assertEq(class, scores[1] > scores[0] ? 1 : 0);
        int256 gap = scores[1] - scores[0];
        vm.assertTrue(gap < int256(count + 3) && -gap < int256(count + 3));
        vm.assertTrue(scores[0] < -int256(count * 10) << 40);
        // One word more for class 1 decides it.
        model.update(hex"0000", 1);
        (class,) = model.predict(hex"0000");
        vm.assertEq(class, 1);
    }
}
