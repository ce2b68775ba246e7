// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Classifier} from "../../src/classifiers/Classifier.sol";
import {SparseCases} from "./ClassifierCases.sol";

/// @title What holds for both models that count.
abstract contract CountingCases is SparseCases {
    uint256 internal constant FULL = 2 ** 31;

    /// @dev A count near an end of what can be loaded with so many examples.
    function drawCount(uint256 r, uint256 examples) internal pure virtual returns (uint256);

    function drawWords(Classifier model, uint256 seed)
        internal
        view
        override
        returns (uint256[] memory words)
    {
        words = new uint256[](model.wordCount());
        uint256 classes = model.classLimit();
        for (uint256 c = 0; c < classes; ++c) {
            uint256 r = uint256(keccak256(abi.encode(seed, "examples", c)));
            uint256[4] memory edges = [uint256(1), 2, FULL - 1, FULL - 2];
            uint256 examples = r % 2 == 0 ? edges[(r >> 1) % 4] : 1 + (r >> 8) % 1000;
            setLane(words, 0, c, 32, examples);
            for (uint256 j = 0; j < model.featureLimit(); ++j) {
                uint256 s = uint256(keccak256(abi.encode(seed, c, j)));
                setLane(words, _first(model), j * classes + c, 32, drawCount(s, examples));
            }
        }
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
        for (uint256 j = 0; j < model.featureLimit(); ++j) {
            if (has(features, j)) _add(words, _first(model), j * model.classLimit() + class);
        }
        return true;
    }

    function _add(uint256[] memory words, uint256 first, uint256 i) private pure {
        setLane(words, first, i, 32, lane(words, first, i, 32) + 1);
    }

    function test_a_full_class_learns_no_more() public {
        (uint256 features, uint256 parameter) = shape();
        Classifier model = create(features, 2, parameter);
        uint256[] memory words = new uint256[](model.wordCount());
        words[0] = (FULL - 1) | (1 << 32);
        model.load(0, words);
        model.seal();
        (, bool changed) = model.update(hex"0001", 0);
        vm.assertTrue(changed);
        vm.assertEq(lane(model.words(0, 1), 0, 0, 32), FULL);
        uint256[] memory before = model.words(0, model.wordCount());
        (, changed) = model.update(hex"0001", 0);
        vm.assertFalse(changed);
        vm.assertEq(model.words(0, model.wordCount()), before);
        (, changed) = model.update(hex"0001", 1);
        vm.assertTrue(changed);
    }

    function test_words_out_of_range_are_refused() public {
        (uint256 features, uint256 parameter) = shape();
        Classifier model = create(features, 2, parameter);
        uint256[] memory words = new uint256[](model.wordCount());
        _refuseWord(model, words, 0); // a class without examples
        words[0] = FULL | (1 << 32);
        _refuseWord(model, words, 0);
        words[0] = 1 | (1 << 32) | (1 << 64); // a third class
        _refuseWord(model, words, 0);
        words[0] = (FULL - 1) | ((FULL - 1) << 32);
        words[1] = FULL;
        _refuseWord(model, words, 1);
        words[1] = 0;
        uint256 last = words.length - 1;
        uint256 used = 2 * features % 8;
        vm.assertTrue(used != 0);
        setLane(words, last, used, 32, 1); // after the last feature
        _refuseWord(model, words, last);
        setLane(words, last, used, 32, 0);
        model.load(0, words);
    }

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

    function _first(Classifier model) internal view returns (uint256) {
        return ceil(model.classLimit(), 8);
    }

    function _count(Classifier model, uint256[] memory words, uint256 j, uint256 class)
        internal
        view
        returns (uint256)
    {
        return lane(words, _first(model), j * model.classLimit() + class, 32);
    }
}
