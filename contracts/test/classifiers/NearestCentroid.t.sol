// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Classifier} from "../../src/classifiers/Classifier.sol";
import {NearestCentroid} from "../../src/classifiers/NearestCentroid.sol";
import {IClassifier} from "../../src/interfaces/IClassifier.sol";
import {DenseCases} from "./ClassifierCases.sol";

/// forge-config: default.fuzz.runs = 128
contract NearestCentroidTest is DenseCases {
    uint256 private constant FULL = 2 ** 24 - 1;

    function shape() internal pure override returns (uint256 features, uint256 parameter) {
        return (21, 0);
    }

    function create(uint256 features, uint256 classes, uint256 parameter)
        internal
        override
        returns (Classifier)
    {
        if (parameter != 0) {
            // The constructor takes none: the shape that is refused is one that it cannot be given.
            bytes memory answer = abi.encodeWithSelector(
                IClassifier.WrongShape.selector, features, classes, parameter
            );
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return new NearestCentroid(features, classes);
    }

    function drawWords(Classifier model, uint256 seed)
        internal
        view
        override
        returns (uint256[] memory words)
    {
        words = new uint256[](model.wordCount());
        for (uint256 c = 0; c < model.classLimit(); ++c) {
            uint256 r = uint256(keccak256(abi.encode(seed, "examples", c)));
            uint256[4] memory edges = [uint256(1), 2, FULL, FULL - 1];
            uint256 examples = r % 2 == 0 ? edges[(r >> 1) % 4] : 1 + (r >> 8) % 1000;
            setLane(words, 0, c, 32, examples);
            for (uint256 j = 0; j < model.featureLimit(); ++j) {
                uint256 s = uint256(keccak256(abi.encode(seed, c, j)));
                int256 most = 128 * int256(examples);
                int256[4] memory ends = [most, -most, most - 1, int256(0)];
                int256 sum = s % 2 == 0
                    ? ends[(s >> 1) % 4]
                    : int256((s >> 8) % uint256(2 * most + 1)) - most;
                setLane(words, _row(model, c), j, 32, uint256(sum));
            }
        }
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
        for (uint256 j = 0; j < features.length; ++j) {
            int256 sum = int32(uint32(lane(words, _row(model, class), j, 32)));
            dot += sum * feature(features, j);
            square += sum * sum;
        }
        return (2 * number * dot - square) * 2 ** 16 / (number * number);
    }

    function plainLearn(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class,
        uint256
    ) internal view override returns (bool changed) {
        uint256 examples = lane(words, 0, class, 32);
        if (examples >= FULL) return false;
        setLane(words, 0, class, 32, examples + 1);
        for (uint256 j = 0; j < features.length; ++j) {
            int256 sum = int32(uint32(lane(words, _row(model, class), j, 32)));
            setLane(words, _row(model, class), j, 32, uint256(sum + feature(features, j)));
        }
        return true;
    }

    function test_words_out_of_range_are_refused() public {
        NearestCentroid model = new NearestCentroid(9, 2);
        uint256[] memory words = new uint256[](5);
        _refuseWord(model, words, 0); // a class without examples
        words[0] = (FULL + 1) | (1 << 32);
        _refuseWord(model, words, 0);
        words[0] = 1 | (1 << 32) | (1 << 64); // a third class
        _refuseWord(model, words, 0);
        words[0] = 1 | (2 << 32);
        setLane(words, 1, 3, 32, 129); // above 128 an example
        _refuseWord(model, words, 1);
        setLane(words, 1, 3, 32, uint256(-int256(129)));
        _refuseWord(model, words, 1);
        setLane(words, 1, 3, 32, uint256(-int256(128)));
        setLane(words, 2, 1, 32, 1); // after the last feature
        _refuseWord(model, words, 2);
        setLane(words, 2, 1, 32, 0);
        setLane(words, 4, 0, 32, 256);
        model.load(0, words);
    }

    /// @notice The largest model, all sums and features at their ends: squares and dot products are
    /// as large as they get.
    function test_the_largest_sums() public {
        NearestCentroid model = new NearestCentroid(4096, 2);
        uint256[] memory words = new uint256[](model.wordCount());
        words[0] = FULL | (FULL << 32);
        for (uint256 i = 0; i < 512; ++i) {
            for (uint256 j = 0; j < 8; ++j) {
                setLane(words, 1 + i, j, 32, uint256(-int256(128 * FULL)));
                setLane(words, 513 + i, j, 32, 128 * FULL);
            }
        }
        model.load(0, words);
        model.seal();
        bytes memory features = new bytes(4096);
        for (uint256 j = 0; j < 4096; ++j) {
            features[j] = 0x80;
        }
        (uint256 class, int256[] memory scores) = model.predict(features);
        vm.assertEq(class, 0);
        int256 square = 4096 * 2 ** 14;
        vm.assertEq(scores[0], square * 2 ** 16);
        vm.assertEq(scores[1], -3 * square * 2 ** 16);
        (, bool changed) = model.update(features, 0);
        vm.assertFalse(changed);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_order_does_not_matter(uint256 seed) public {
        Classifier model = _sealed(3, seed);
        _assumeRoom(model);
        Classifier other = _sealed(3, seed);
        for (uint256 k = 0; k < 4; ++k) {
            uint256 back = 3 - k;
            model.update(drawFeatures(model, seed ^ k), k % 3);
            other.update(drawFeatures(model, seed ^ back), back % 3);
        }
        uint256 count = model.wordCount();
        vm.assertEq(other.words(0, count), model.words(0, count));
        bytes memory features = drawFeatures(model, ~seed);
        (uint256 class, int256[] memory scores) = model.predict(features);
        (uint256 otherClass, int256[] memory otherScores) = other.predict(features);
        vm.assertEq(abi.encode(class, scores), abi.encode(otherClass, otherScores));
    }

    /// @dev A class that fills up on the way leaves out what comes last.
    function _assumeRoom(Classifier model) private view {
        uint256[] memory words = model.words(0, 1);
        for (uint256 c = 0; c < 3; ++c) {
            vm.assume(lane(words, 0, c, 32) < FULL - 4);
        }
    }

    function _row(Classifier model, uint256 class) private view returns (uint256) {
        return ceil(model.classLimit(), 8) + class * ceil(model.featureLimit(), 8);
    }
}
