// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Classifier} from "../../src/classifiers/Classifier.sol";
import {SparseNearestCentroid} from "../../src/classifiers/SparseNearestCentroid.sol";
import {CountingCases} from "./CountingCases.sol";

/// forge-config: default.fuzz.runs = 128
contract SparseNearestCentroidTest is CountingCases {
    function shape() internal pure override returns (uint256 features, uint256 parameter) {
        return (13, 0);
    }

    function create(uint256 features, uint256 classes, uint256 parameter)
        internal
        override
        returns (Classifier)
    {
        if (parameter != 0) {
            // The constructor takes none: the shape that is refused is one that it cannot be given.
            bytes4 selector = bytes4(keccak256("WrongShape(uint256,uint256,uint256)"));
            bytes memory answer = abi.encodeWithSelector(selector, features, classes, parameter);
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return new SparseNearestCentroid(features, classes);
    }

    /// @dev An example has a feature once.
    function drawCount(uint256 r, uint256 examples) internal pure override returns (uint256) {
        uint256[4] memory edges = [uint256(0), examples, examples - 1, examples / 2];
        return r % 2 == 0 ? edges[(r >> 1) % 4] : (r >> 8) % (examples + 1);
    }

    function plainScore(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class
    ) internal view override returns (int256) {
        int256 number = int256(lane(words, 0, class, 32));
        int256 dot = 0;
        int256 square = 0;
        for (uint256 j = 0; j < model.featureLimit(); ++j) {
            int256 count = int256(_count(model, words, j, class));
            square += count * count;
            if (has(features, j)) dot += count;
        }
        return (2 * number * dot - square) * 2 ** 32 / (number * number);
    }

    function test_a_count_above_its_examples_is_refused() public {
        SparseNearestCentroid model = new SparseNearestCentroid(4, 2);
        uint256[] memory words = new uint256[](2);
        words[0] = 5 | (7 << 32);
        words[1] = 6;
        _refuseWord(model, words, 1);
        words[1] = 5 | (8 << 32);
        _refuseWord(model, words, 1);
        words[1] = 5 | (7 << 32);
        model.load(0, words);
    }
}
