// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {PerceptronHead} from "../src/PerceptronHead.sol";
import {IHead} from "../src/interfaces/IHead.sol";
import {Test} from "./helpers/Vm.sol";

contract PerceptronHeadTest is Test {
    function test_constructor_gives_the_shape() public {
        _expectShape(1, 2, 3);
        _expectShape(16, 2, 3);
        _expectShape(17, 2, 5);
        _expectShape(64, 8, 33);
        _expectShape(128, 10, 82);
        _expectShape(384, 2, 49);
        _expectShape(4080, 2, 511);
        _expectShape(16, 256, 288);
    }

    function test_constructor_refuses_shapes() public {
        _refuseShape(0, 2);
        _refuseShape(4081, 2);
        _refuseShape(16, 0);
        _refuseShape(16, 1);
        _refuseShape(16, 257);
        _refuseShape(4080, 3); // 766 words
        _refuseShape(type(uint256).max, 2);
        _refuseShape(2, type(uint256).max);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_write_and_words_round_trip(uint256 dimensions, uint256 classes, uint256 seed)
        public
    {
        (PerceptronHead head, uint256[] memory words) = _random(dimensions, classes, seed);
        vm.expectEmit(address(head));
        emit IHead.HeadWritten(keccak256(abi.encodePacked(keccak256("ddcai.v1.head"), words)));
        head.write(words);
        vm.assertEq(head.words(), words);
    }

    function test_write_is_the_owners() public {
        PerceptronHead head = new PerceptronHead(16, 2);
        vm.prank(address(0xbad));
        vm.expectRevert(
            abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(0xbad))
        );
        head.write(new uint256[](3));
    }

    function test_write_refuses_another_number_of_words() public {
        PerceptronHead head = new PerceptronHead(16, 2);
        for (uint256 i = 0; i < 6; ++i) {
            if (i == 3) continue;
            vm.expectRevert(abi.encodeWithSelector(IHead.WrongWordCount.selector, i, 3));
            head.write(new uint256[](i));
        }
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_write_refuses_padding(uint256 dimensions, uint256 classes, uint256 bit) public {
        (PerceptronHead head, uint256[] memory words) = _random(dimensions, classes, bit);
        head.write(words);
        uint256 used = head.dimensions() % 16;
        uint256 word = (head.dimensions() + 15) / 16 - 1; // the first class's last
        if (used != 0) {
            uint256 before = words[word];
            words[word] |= 1 << (16 * used + bit % (256 - 16 * used));
            vm.expectRevert(abi.encodeWithSelector(IHead.NonZeroPadding.selector, word));
            head.write(words);
            words[word] = before;
        }
        used = head.classes() % 8;
        if (used != 0) {
            word = words.length - 1;
            uint256 before = words[word];
            words[word] |= 1 << (32 * used + bit % (256 - 32 * used));
            vm.expectRevert(abi.encodeWithSelector(IHead.NonZeroPadding.selector, word));
            head.write(words);
            words[word] = before;
        }
        vm.assertEq(head.words(), words);
    }

    function test_predict_refuses_another_number_of_features() public {
        PerceptronHead head = new PerceptronHead(16, 2);
        for (uint256 i = 0; i < 34; ++i) {
            if (i == 16) continue;
            vm.expectRevert(abi.encodeWithSelector(IHead.WrongFeatureCount.selector, i, 16));
            head.predict(new bytes(i));
        }
    }

    /// forge-config: default.fuzz.runs = 200
    function testFuzz_predict_is_the_plain_sum(uint256 dimensions, uint256 classes, uint256 seed)
        public
    {
        (PerceptronHead head, uint256[] memory words) = _random(dimensions, classes, seed);
        head.write(words);
        _check(head, words, _features(head.dimensions(), seed, 3));
    }

    /// @notice Weights and features at or next to the ends of int16 and int8, where sums are
    /// largest and lanes would spill into each other first.
    /// forge-config: default.fuzz.runs = 200
    function testFuzz_predict_near_the_bounds(uint256 dimensions, uint256 classes, uint256 seed)
        public
    {
        (PerceptronHead head, uint256[] memory words) = _shape(dimensions, classes);
        _fill(head, words, seed, 0);
        head.write(words);
        _check(head, words, _features(head.dimensions(), seed, 0));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_predict_ignores_bytes_after_the_features(
        uint256 dimensions,
        uint256 classes,
        uint256 seed
    ) public {
        (PerceptronHead head, uint256[] memory words) = _random(dimensions, classes, seed);
        head.write(words);
        bytes memory features = _features(head.dimensions(), seed, 3);
        (uint256 class, int256[] memory scores) = head.predict(features);
        // The same features, with garbage up to and after the end of the last word.
        bytes memory garbage = _features(64, ~seed, 3);
        (bool ok, bytes memory answer) = address(head).staticcall(
            abi.encodePacked(IHead.predict.selector, uint256(32), features.length, features, garbage)
        );
        vm.assertTrue(ok);
        vm.assertEq(answer, abi.encode(class, scores));
    }

    function test_predict_at_every_corner_of_the_largest_head() public {
        PerceptronHead head = new PerceptronHead(4080, 2);
        uint256[] memory words = new uint256[](511);
        int16[4] memory weights = [type(int16).min, -1, int16(0), type(int16).max];
        int8[4] memory features = [type(int8).min, -1, int8(0), type(int8).max];
        int32[2] memory biases = [type(int32).min, type(int32).max];
        for (uint256 w = 0; w < 4; ++w) {
            for (uint256 i = 0; i < 510; ++i) {
                words[i] = _repeat(uint16(weights[i < 255 ? w : 3 - w]));
            }
            words[510] = uint256(uint32(biases[w % 2])) | (uint256(uint32(biases[(w + 1) % 2])) << 32);
            head.write(words);
            for (uint256 f = 0; f < 4; ++f) {
                (, int256[] memory scores) = head.predict(_constant(4080, features[f]));
                vm.assertEq(scores[0], _score(weights[w], features[f], biases[w % 2]));
                vm.assertEq(scores[1], _score(weights[3 - w], features[f], biases[(w + 1) % 2]));
            }
        }
    }

    function test_predict_takes_the_lowest_class_on_a_tie() public {
        PerceptronHead head = new PerceptronHead(1, 9);
        uint256[] memory words = new uint256[](11);
        bytes memory zero = new bytes(1);
        (uint256 class,) = _predict(head, words, zero);
        vm.assertEq(class, 0);
        words[9] = uint256(uint32(int32(-1))); // class 0 below the others
        (class,) = _predict(head, words, zero);
        vm.assertEq(class, 1);
        words[10] = 5; // class 8 above them
        (class,) = _predict(head, words, zero);
        vm.assertEq(class, 8);
        words[9] |= 5 << 96; // class 3 as high
        (class,) = _predict(head, words, zero);
        vm.assertEq(class, 3);
    }

    function _score(int256 weight, int256 feature, int256 bias) private pure returns (int256) {
        return 4080 * weight * feature + bias;
    }

    function _predict(PerceptronHead head, uint256[] memory words, bytes memory features)
        private
        returns (uint256, int256[] memory)
    {
        head.write(words);
        return head.predict(features);
    }

    /// @dev The naive reference: one weight at a time, from the layout in IHead.
    function _check(PerceptronHead head, uint256[] memory words, bytes memory features)
        private
        view
    {
        (uint256 class, int256[] memory scores) = head.predict(features);
        uint256 perClass = (head.dimensions() + 15) / 16;
        vm.assertEq(scores.length, head.classes());
        uint256 best = 0;
        for (uint256 c = 0; c < scores.length; ++c) {
            uint256 biasWord = words[scores.length * perClass + c / 8];
            int256 expected = int32(uint32(biasWord >> (32 * (c % 8))));
            for (uint256 j = 0; j < features.length; ++j) {
                int256 weight = int16(uint16(words[c * perClass + j / 16] >> (16 * (j % 16))));
                expected += weight * int8(uint8(features[j]));
            }
            vm.assertEq(scores[c], expected);
            if (scores[c] > scores[best]) best = c;
        }
        vm.assertEq(class, best);
    }

    /// @dev A shape of at most 600 features, often at the edges of a word and of a run of words.
    function _shape(uint256 dimensions, uint256 classes)
        private
        returns (PerceptronHead head, uint256[] memory words)
    {
        uint256[8] memory edges = [uint256(1), 15, 16, 17, 255, 256, 257, 512];
        dimensions = dimensions % 2 == 0 ? edges[(dimensions >> 1) % 8] : 1 + (dimensions >> 1) % 600;
        head = new PerceptronHead(dimensions, 2 + classes % 9);
        words = new uint256[](head.wordCount());
    }

    function _random(uint256 dimensions, uint256 classes, uint256 seed)
        private
        returns (PerceptronHead head, uint256[] memory words)
    {
        (head, words) = _shape(dimensions, classes);
        _fill(head, words, seed, 3);
    }

    /// @dev Weights and biases from their kind's range; `spread` 0 for its ends only.
    function _fill(PerceptronHead head, uint256[] memory words, uint256 seed, uint256 spread)
        private
        view
    {
        uint256 perClass = (head.dimensions() + 15) / 16;
        for (uint256 c = 0; c < head.classes(); ++c) {
            for (uint256 j = 0; j < head.dimensions(); ++j) {
                uint256 r = uint256(keccak256(abi.encode(seed, c, j)));
                uint256 weight = spread == 0 ? _edge(r, 16) : r % 2 ** 16;
                words[c * perClass + j / 16] |= weight << (16 * (j % 16));
            }
            uint256 s = uint256(keccak256(abi.encode(seed, "bias", c)));
            uint256 bias = spread == 0 ? _edge(s, 32) : s % 2 ** 32;
            words[words.length - 1 - (head.classes() - 1) / 8 + c / 8] |= bias << (32 * (c % 8));
        }
    }

    function _features(uint256 count, uint256 seed, uint256 spread)
        private
        pure
        returns (bytes memory features)
    {
        features = new bytes(count);
        for (uint256 j = 0; j < count; ++j) {
            uint256 r = uint256(keccak256(abi.encode(seed, "feature", j)));
            features[j] = bytes1(uint8(spread == 0 ? _edge(r, 8) : r));
        }
    }

    /// @dev Mostly the least value, else one of the greatest, their neighbours, -1, 0 and 1.
    function _edge(uint256 r, uint256 bits) private pure returns (uint256) {
        uint256 top = 1 << (bits - 1);
        uint256[8] memory edges =
            [top, top, top, top - 1, top + 1, top - 2, uint256(0), 2 * top - 1];
        return edges[r % 8];
    }

    function _repeat(uint16 weight) private pure returns (uint256 word) {
        for (uint256 i = 0; i < 16; ++i) {
            word |= uint256(weight) << (16 * i);
        }
    }

    function _constant(uint256 count, int8 feature) private pure returns (bytes memory features) {
        features = new bytes(count);
        for (uint256 j = 0; j < count; ++j) {
            features[j] = bytes1(uint8(feature));
        }
    }

    function _expectShape(uint256 dimensions, uint256 classes, uint256 words) private {
        PerceptronHead head = new PerceptronHead(dimensions, classes);
        vm.assertEq(head.dimensions(), dimensions);
        vm.assertEq(head.classes(), classes);
        vm.assertEq(head.wordCount(), words);
        vm.assertEq(head.words().length, words);
    }

    function _refuseShape(uint256 dimensions, uint256 classes) private {
        vm.expectRevert(abi.encodeWithSelector(IHead.WrongShape.selector, dimensions, classes));
        new PerceptronHead(dimensions, classes);
    }
}
