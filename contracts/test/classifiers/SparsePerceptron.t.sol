// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Classifier} from "../../src/classifiers/Classifier.sol";
import {SparsePerceptron} from "../../src/classifiers/SparsePerceptron.sol";
import {SparseCases} from "./ClassifierCases.sol";

/// forge-config: default.fuzz.runs = 128
contract SparsePerceptronTest is SparseCases {
    uint256 private _rate = 2 ** 15 - 1; // the largest: saturates soonest

    function shape() internal pure override returns (uint256 features, uint256 parameter) {
        return (23, 2 ** 15 - 1);
    }

    function create(uint256 features, uint256 classes, uint256 parameter)
        internal
        override
        returns (Classifier)
    {
        return new SparsePerceptron(
            features, classes, parameter == 2 ** 15 - 1 ? _rate : parameter
        );
    }

    function drawWords(Classifier model, uint256 seed)
        internal
        view
        override
        returns (uint256[] memory words)
    {
        words = new uint256[](model.wordCount());
        for (uint256 i = 0; i < (model.featureLimit() + 1) * _rows(model); ++i) {
            setLane(words, 0, i, 16, signedEdge(uint256(keccak256(abi.encode(seed, i))), 16));
        }
    }

    function plainScore(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class
    ) internal view override returns (int256 score) {
        uint256 rows = _rows(model);
        if (rows == 1 && class == 0) return 0;
        uint256 row = rows == 1 ? 0 : class;
        score = _weight(words, row);
        for (uint256 j = 0; j < model.featureLimit(); ++j) {
            if (has(features, j)) score += _weight(words, row + rows * (j + 1));
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
        int256 rate = int256(model.parameter());
        if (_rows(model) == 1) {
            _move(model, words, features, 0, class == 1 ? rate : -rate);
        } else {
            _move(model, words, features, class, rate);
            _move(model, words, features, predicted, -rate);
        }
        return keccak256(abi.encode(words)) != before;
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_every_rate(uint256 rate, uint256 seed) public {
        _rate = _bound(rate, 1, 2 ** 15 - 1);
        testFuzz_learning_is_the_plain_one(seed, seed >> 8);
    }

    function test_a_tie_is_class_0_and_learns_as_one() public {
        SparsePerceptron model = new SparsePerceptron(4, 2, 3);
        model.load(0, new uint256[](1));
        model.seal();
        (uint256 class, int256[] memory scores) = model.predict(hex"00000002");
        vm.assertEq(class, 0);
        vm.assertEq(scores[1], int256(0));
        (uint256 predicted, bool changed) = model.update(hex"00000002", 1);
        vm.assertEq(predicted, 0);
        vm.assertTrue(changed);
        (class, scores) = model.predict(hex"00000002");
        vm.assertEq(class, 1);
        vm.assertEq(scores[1], int256(9)); // bias and two features
    }

    function test_where_everything_stands_at_its_end_nothing_changes() public {
        SparsePerceptron model = new SparsePerceptron(2, 3, 5);
        uint256[] memory words = new uint256[](1);
        // Class 0 wins by feature 0 and cannot fall further by feature 1; no mistake is possible
        // that changes nothing but with every weight of both rows at its end.
        for (uint256 i = 0; i < 9; ++i) {
            setLane(words, 0, i, 16, uint16(i % 3 == 0 ? type(int16).min : type(int16).max));
        }
        model.load(0, words);
        model.seal();
        (uint256 predicted, bool changed) = model.update(hex"00000001", 1);
        vm.assertEq(predicted, 1);
        vm.assertFalse(changed);
        // Class 2 is told from class 1, both at the upper end: only the first one falls.
        (predicted, changed) = model.update(hex"00000001", 2);
        vm.assertEq(predicted, 1);
        vm.assertTrue(changed);
        words = model.words(0, 1);
        vm.assertEq(lane(words, 0, 1, 16), uint16(type(int16).max - 5));
        vm.assertEq(lane(words, 0, 2, 16), uint16(type(int16).max));
    }

    function test_padding_must_be_zero() public {
        SparsePerceptron model = new SparsePerceptron(4, 3, 1); // 15 weights
        uint256[] memory words = new uint256[](1);
        words[0] = 1 << 240;
        _refuseWord(model, words, 0);
        words[0] = 1 << 239;
        model.load(0, words);
        model.load(1, new uint256[](0));
        model.seal();
        // None to look at where the last word is full.
        model = new SparsePerceptron(15, 2, 1);
        words[0] = type(uint256).max;
        model.load(0, words);
        model.seal();
    }

    function _move(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 row,
        int256 step
    ) private view {
        uint256 rows = _rows(model);
        for (uint256 j = 0; j <= model.featureLimit(); ++j) {
            if (j > 0 && !has(features, j - 1)) continue;
            int256 weight = clamp(_weight(words, row + rows * j) + step, -(2 ** 15), 2 ** 15 - 1);
            setLane(words, 0, row + rows * j, 16, uint256(weight));
        }
    }

    function _weight(uint256[] memory words, uint256 i) private pure returns (int256) {
        return int16(uint16(lane(words, 0, i, 16)));
    }

    function _rows(Classifier model) private view returns (uint256) {
        return model.classLimit() == 2 ? 1 : model.classLimit();
    }
}
