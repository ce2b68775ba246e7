// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Classifier} from "../../src/classifiers/Classifier.sol";
import {DensePerceptron} from "../../src/classifiers/DensePerceptron.sol";
import {DenseCases} from "./ClassifierCases.sol";

/// forge-config: default.fuzz.runs = 128
contract DensePerceptronTest is DenseCases {
    uint256 private _rate = 255; // the largest: saturates soonest

    function shape() internal pure override returns (uint256 features, uint256 parameter) {
        return (37, 255);
    }

    function create(uint256 features, uint256 classes, uint256 parameter)
        internal
        override
        returns (Classifier)
    {
        return new DensePerceptron(features, classes, parameter == 255 ? _rate : parameter);
    }

    function drawWords(Classifier model, uint256 seed)
        internal
        view
        override
        returns (uint256[] memory words)
    {
        words = new uint256[](model.wordCount());
        uint256 perClass = ceil(model.featureLimit(), 16);
        for (uint256 c = 0; c < model.classLimit(); ++c) {
            for (uint256 j = 0; j < model.featureLimit(); ++j) {
                uint256 r = uint256(keccak256(abi.encode(seed, c, j)));
                setLane(words, c * perClass, j, 16, signedEdge(r, 16));
            }
            uint256 s = uint256(keccak256(abi.encode(seed, "bias", c)));
            setLane(words, model.classLimit() * perClass, c, 32, signedEdge(s, 32));
        }
    }

    function plainScore(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class
    ) internal view override returns (int256 score) {
        uint256 perClass = ceil(model.featureLimit(), 16);
        score = int32(uint32(lane(words, model.classLimit() * perClass, class, 32)));
        for (uint256 j = 0; j < features.length; ++j) {
            score += int256(int16(uint16(lane(words, class * perClass, j, 16)))) * feature(features, j);
        }
    }

    function plainLearn(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class,
        uint256 predicted
    ) internal view override returns (bool changed) {
        if (class == predicted) return false;
        bytes32 before = keccak256(abi.encode(words));
        _move(model, words, features, class, int256(model.parameter()));
        _move(model, words, features, predicted, -int256(model.parameter()));
        return keccak256(abi.encode(words)) != before;
    }

    function _move(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class,
        int256 step
    ) private view {
        uint256 perClass = ceil(model.featureLimit(), 16);
        for (uint256 j = 0; j < features.length; ++j) {
            int256 weight = int16(uint16(lane(words, class * perClass, j, 16)));
            weight = clamp(weight + step * feature(features, j), -(2 ** 15), 2 ** 15 - 1);
            setLane(words, class * perClass, j, 16, uint256(weight));
        }
        uint256 biases = model.classLimit() * perClass;
        int256 bias = int32(uint32(lane(words, biases, class, 32)));
        bias = clamp(bias + step * 127 * 127, -(2 ** 31), 2 ** 31 - 1);
        setLane(words, biases, class, 32, uint256(bias));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_every_rate(uint256 rate, uint256 seed) public {
        _rate = _bound(rate, 1, 255);
        testFuzz_learning_is_the_plain_one(seed, seed);
    }

    /// @notice Every weight next to its end, every feature at its end: each step overshoots.
    function test_weights_and_biases_stop_at_their_ends() public {
        DensePerceptron model = new DensePerceptron(2, 2, 255);
        uint256[] memory words = new uint256[](3);
        setLane(words, 0, 0, 16, uint16(type(int16).max - 1));
        setLane(words, 0, 1, 16, uint16(type(int16).min + 1));
        setLane(words, 1, 0, 16, uint16(type(int16).min + 1));
        setLane(words, 1, 1, 16, uint16(type(int16).max - 1));
        setLane(words, 2, 0, 32, uint32(type(int32).min));
        setLane(words, 2, 1, 32, uint32(type(int32).max));
        model.load(0, words);
        model.seal();
        (uint256 said,) = model.predict(hex"7f80");
        vm.assertEq(said, 1); // by the biases
        (, bool changed) = model.update(hex"7f80", 0);
        vm.assertTrue(changed);
        words = model.words(0, 3);
        vm.assertEq(lane(words, 0, 0, 16), uint16(type(int16).max));
        vm.assertEq(lane(words, 0, 1, 16), uint16(type(int16).min));
        vm.assertEq(lane(words, 1, 0, 16), uint16(type(int16).min));
        vm.assertEq(lane(words, 1, 1, 16), uint16(type(int16).max));
        vm.assertEq(
            lane(words, 2, 0, 32), uint32(type(int32).min + int32(255 * 127 * 127))
        );
    }

    function test_where_everything_stands_at_its_end_nothing_changes() public {
        DensePerceptron model = new DensePerceptron(1, 2, 1);
        uint256[] memory words = new uint256[](3);
        setLane(words, 0, 0, 16, uint16(type(int16).min));
        setLane(words, 1, 0, 16, uint16(type(int16).max));
        setLane(words, 2, 0, 32, uint32(type(int32).max));
        setLane(words, 2, 1, 32, uint32(type(int32).min));
        model.load(0, words);
        model.seal();
        (uint256 said,) = model.predict(hex"81");
        vm.assertEq(said, 0);
        // Class 1 learns -127: away from its end. Teach class 0, which the model says: nothing.
        (, bool changed) = model.update(hex"81", 0);
        vm.assertFalse(changed);
        vm.assertEq(model.words(0, 3), words);
    }

    function test_padding_must_be_zero() public {
        DensePerceptron model = new DensePerceptron(17, 3, 1);
        uint256[] memory words = new uint256[](7);
        words[1] = 1 << 16;
        _refuseWord(model, words, 1);
        words[1] = 1 << 15;
        words[5] = 1 << 255;
        _refuseWord(model, words, 5);
        words[5] = 0;
        words[6] = 1 << 96;
        _refuseWord(model, words, 6);
        words[6] = 1 << 95;
        model.load(0, words);
        model.seal();
    }
}
