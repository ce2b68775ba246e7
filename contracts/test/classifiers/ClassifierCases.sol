// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Classifier} from "../../src/classifiers/Classifier.sol";
import {IClassifier} from "../../src/interfaces/IClassifier.sol";
import {Test} from "../helpers/Vm.sol";

/// @title What holds for every classifier, and a plain reference that each one brings.
/// @notice A reference reads one number at a time from the words, by the layouts that the
/// contracts document. Models, examples and shapes are drawn near their bounds.
abstract contract ClassifierCases is Test {
    address internal constant STRANGER = address(0x57a);

    /// @dev A model of a shape, empty.
    function create(uint256 features, uint256 classes, uint256 parameter)
        internal
        virtual
        returns (Classifier);

    /// @dev Words that the contract takes, their numbers at or next to the ends of what it takes.
    function drawWords(Classifier model, uint256 seed)
        internal
        view
        virtual
        returns (uint256[] memory);

    /// @dev Features that the contract takes.
    function drawFeatures(Classifier model, uint256 seed)
        internal
        view
        virtual
        returns (bytes memory);

    /// @dev A score, one number at a time.
    function plainScore(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class
    ) internal view virtual returns (int256);

    /// @dev Changes `words` as learning must, one number at a time; whether anything changed.
    function plainLearn(
        Classifier model,
        uint256[] memory words,
        bytes memory features,
        uint256 class,
        uint256 predicted
    ) internal view virtual returns (bool changed);

    /// @dev A shape that it can have.
    function shape() internal pure virtual returns (uint256 features, uint256 parameter);

    /// @dev The most that a score may be off its reference.
    function tolerance(Classifier, bytes memory) internal view virtual returns (uint256) {
        return 0;
    }

    // Shapes, loading and sealing.

    function test_a_new_model_has_its_shape_and_no_words() public {
        (Classifier model, uint256 features, uint256 parameter) = _three();
        vm.assertEq(model.featureLimit(), features);
        vm.assertEq(model.classLimit(), 3);
        vm.assertEq(model.parameter(), parameter);
        vm.assertEq(model.loadedCount(), 0);
        vm.assertEq(model.release(), 0);
        vm.assertFalse(model.isSealed());
        vm.assertEq(model.owner(), address(this));
        vm.assertTrue(bytes(model.kind()).length > 0);
    }

    function test_constructor_refuses_shapes_out_of_range() public {
        (uint256 features, uint256 parameter) = shape();
        _refuseShape(0, 2, parameter);
        _refuseShape(features, 1, parameter);
        _refuseShape(features, 257, parameter);
        _refuseShape(2 ** 16 + 1, 2, parameter);
        _refuseShape(2 ** 16, 256, parameter); // more than 2^16 words
        _refuseShape(features, 2, parameter == 0 ? 1 : 0);
        if (parameter != 0) _refuseShape(features, 2, 2 ** 16);
    }

    function test_chunks_are_the_same_as_all_at_once() public {
        (Classifier model,,) = _three();
        (Classifier other,,) = _three();
        uint256[] memory words = drawWords(model, 1);
        model.load(0, words);
        for (uint256 start = 0; start < words.length; start += 2) {
            other.load(start, _part(words, start, words.length - start < 2 ? 1 : 2));
        }
        vm.assertEq(other.loadedCount(), words.length);
        bytes32 digest = _digest(model, words);
        vm.expectEmit(address(model));
        emit IClassifier.ModelSealed(digest);
        model.seal();
        vm.expectEmit(address(other));
        emit IClassifier.ModelSealed(digest);
        other.seal();
        vm.assertEq(model.words(0, words.length), words);
        vm.assertEq(other.words(0, words.length), words);
        bytes memory features = drawFeatures(model, 1);
        (uint256 class, int256[] memory scores) = model.predict(features);
        (uint256 otherClass, int256[] memory otherScores) = other.predict(features);
        vm.assertEq(abi.encode(class, scores), abi.encode(otherClass, otherScores));
    }

    function test_load_refuses_gaps_repetitions_and_too_much() public {
        (Classifier model,,) = _three();
        uint256[] memory words = drawWords(model, 2);
        model.load(0, _part(words, 0, 1));
        _refuse(
            model, address(this), abi.encodeCall(model.load, (0, _part(words, 0, 1))),
            abi.encodeWithSelector(IClassifier.WrongChunk.selector, 0, 1)
        );
        _refuse(
            model, address(this), abi.encodeCall(model.load, (2, _part(words, 0, 1))),
            abi.encodeWithSelector(IClassifier.WrongChunk.selector, 2, 1)
        );
        _refuse(
            model, address(this), abi.encodeCall(model.load, (1, words)),
            abi.encodeWithSelector(IClassifier.WrongChunk.selector, 1, 1)
        );
    }

    function test_load_and_seal_are_the_owners_and_end_with_the_seal() public {
        (Classifier model,,) = _three();
        uint256[] memory words = drawWords(model, 3);
        bytes memory stranger =
            abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, STRANGER);
        _refuse(model, STRANGER, abi.encodeCall(model.load, (0, words)), stranger);
        _refuse(model, STRANGER, abi.encodeCall(model.seal, ()), stranger);
        _refuse(
            model, address(this), abi.encodeCall(model.seal, ()),
            abi.encodeWithSelector(IClassifier.Incomplete.selector, 0, words.length)
        );
        model.load(0, words);
        model.seal();
        bytes memory over = abi.encodeWithSelector(IClassifier.WrongLoadState.selector, true);
        _refuse(model, address(this), abi.encodeCall(model.seal, ()), over);
        _refuse(
            model, address(this), abi.encodeCall(model.load, (words.length, new uint256[](0))), over
        );
    }

    function test_before_the_seal_nothing_is_said_or_learned() public {
        (Classifier model,,) = _three();
        bytes memory features = drawFeatures(model, 4);
        bytes memory early = abi.encodeWithSelector(IClassifier.WrongLoadState.selector, false);
        _refuse(model, address(this), abi.encodeCall(model.predict, (features)), early);
        _refuse(model, address(this), abi.encodeCall(model.update, (features, 0)), early);
        model.load(0, drawWords(model, 4));
        _refuse(model, address(this), abi.encodeCall(model.predict, (features)), early);
    }

    function test_update_is_the_owners_and_for_classes_that_exist() public {
        Classifier model = _sealed(3, 5);
        bytes memory features = drawFeatures(model, 5);
        _refuse(
            model, STRANGER, abi.encodeCall(model.update, (features, 0)),
            abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, STRANGER)
        );
        _refuse(
            model, address(this), abi.encodeCall(model.update, (features, 3)),
            abi.encodeWithSelector(IClassifier.UnknownClass.selector, 3, 3)
        );
    }

    function test_words_beyond_the_end_are_refused() public {
        Classifier model = _sealed(3, 6);
        uint256 count = model.wordCount();
        vm.assertEq(model.words(count, 0).length, 0);
        _refuse(
            model, address(this), abi.encodeCall(model.words, (count, 1)),
            abi.encodeWithSelector(IClassifier.WrongChunk.selector, count, count)
        );
        _refuse(
            model, address(this), abi.encodeCall(model.words, (1, type(uint256).max)),
            abi.encodeWithSelector(IClassifier.WrongChunk.selector, 1, count)
        );
    }

    // Against the reference.

    function testFuzz_scores_are_the_plain_ones(uint256 classes, uint256 seed) public {
        Classifier model = _sealed(2 + classes % 9, seed);
        uint256[] memory words = model.words(0, model.wordCount());
        for (uint256 k = 0; k < 3; ++k) {
            _checkScores(model, words, drawFeatures(model, uint256(keccak256(abi.encode(seed, k)))));
        }
    }

    function testFuzz_learning_is_the_plain_one(uint256 classes, uint256 seed) public {
        Classifier model = _sealed(2 + classes % 9, seed);
        uint256[] memory words = model.words(0, model.wordCount());
        for (uint256 k = 0; k < 4; ++k) {
            uint256 r = uint256(keccak256(abi.encode(seed, "lesson", k)));
            bytes memory features = drawFeatures(model, r);
            uint256 class = r % model.classLimit();
            (uint256 said,) = model.predict(features);
            bool expected = plainLearn(model, words, features, class, said);
            vm.expectEmit(address(model));
            emit IClassifier.ModelUpdated(class, expected);
            (uint256 predicted, bool changed) = model.update(features, class);
            vm.assertEq(predicted, said);
            vm.assertEq(changed, expected);
            vm.assertEq(model.words(0, words.length), words);
            // What is kept beside the words fits them still.
            _checkScores(model, words, features);
        }
    }

    function _checkScores(Classifier model, uint256[] memory words, bytes memory features)
        private
        view
    {
        (uint256 class, int256[] memory scores) = model.predict(features);
        uint256 best = 0;
        vm.assertEq(scores.length, model.classLimit());
        int256 most = int256(tolerance(model, features));
        for (uint256 c = 0; c < scores.length; ++c) {
            int256 off = scores[c] - plainScore(model, words, features, c);
            vm.assertTrue(off <= most && -off <= most, "a score is not the plain one");
            if (scores[c] > scores[best]) best = c;
        }
        vm.assertEq(class, best);
    }

    // Helpers.

    function _three() internal returns (Classifier model, uint256 features, uint256 parameter) {
        (features, parameter) = shape();
        model = create(features, 3, parameter);
    }

    function _sealed(uint256 classes, uint256 seed) internal returns (Classifier model) {
        (uint256 features, uint256 parameter) = shape();
        model = create(1 + seed % features, classes, parameter);
        model.load(0, drawWords(model, seed));
        model.seal();
    }

    /// @dev A call is refused with this error, and changes nothing.
    function _refuse(Classifier model, address from, bytes memory call_, bytes memory expected)
        internal
    {
        bytes32 before = _state(model);
        vm.prank(from);
        (bool ok, bytes memory answer) = address(model).call(call_);
        vm.assertFalse(ok, "was not refused");
        vm.assertEq(answer, expected);
        vm.assertEq(_state(model), before, "a refused call changed something");
    }

    /// @dev A chunk with a word that the contract must refuse.
    function _refuseWord(Classifier model, uint256[] memory words, uint256 place) internal {
        _refuse(
            model, address(this), abi.encodeCall(model.load, (0, words)),
            abi.encodeWithSelector(IClassifier.WrongWord.selector, place)
        );
    }

    function _refuseShape(uint256 features, uint256 classes, uint256 parameter) internal {
        try this.createFor(features, classes, parameter) {
            vm.assertTrue(false, "a shape was not refused");
        } catch (bytes memory answer) {
            vm.assertEq(
                answer,
                abi.encodeWithSelector(
                    IClassifier.WrongShape.selector, features, classes, parameter
                )
            );
        }
    }

    function createFor(uint256 features, uint256 classes, uint256 parameter) external {
        create(features, classes, parameter);
    }

    function _state(Classifier model) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                model.loadedCount(), model.isSealed(), model.owner(),
                model.words(0, model.wordCount())
            )
        );
    }

    function _digest(Classifier model, uint256[] memory words) private view returns (bytes32 digest) {
        digest = keccak256(
            abi.encode(
                keccak256("ddcai.v1.classifier"), model.kind(), model.featureLimit(),
                model.classLimit(), model.parameter()
            )
        );
        for (uint256 i = 0; i < words.length; ++i) {
            digest = keccak256(abi.encode(digest, words[i]));
        }
    }

    function _part(uint256[] memory words, uint256 start, uint256 count)
        internal
        pure
        returns (uint256[] memory part)
    {
        part = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            part[i] = words[start + i];
        }
    }

    /// @dev Number `i` of `bits` each, from word `first` on.
    function lane(uint256[] memory words, uint256 first, uint256 i, uint256 bits)
        internal
        pure
        returns (uint256)
    {
        uint256 perWord = 256 / bits;
        return (words[first + i / perWord] >> (bits * (i % perWord))) & ((1 << bits) - 1);
    }

    function setLane(uint256[] memory words, uint256 first, uint256 i, uint256 bits, uint256 value)
        internal
        pure
    {
        uint256 perWord = 256 / bits;
        uint256 shift = bits * (i % perWord);
        uint256 mask = ((1 << bits) - 1) << shift;
        words[first + i / perWord] = (words[first + i / perWord] & ~mask) | ((value << shift) & mask);
    }

    function ceil(uint256 count, uint256 perWord) internal pure returns (uint256) {
        return (count + perWord - 1) / perWord;
    }

    /// @dev Ends of a signed type of so many bits and their neighbours half the time, else anything.
    function signedEdge(uint256 r, uint256 bits) internal pure returns (uint256) {
        uint256 top = 1 << (bits - 1);
        uint256[8] memory edges =
            [top, top - 1, top + 1, top - 2, uint256(0), 1, 2 * top - 1, top + 130];
        return r % 2 == 0 ? edges[(r >> 1) % 8] : (r >> 8) % (2 * top);
    }

    function clamp(int256 value, int256 least, int256 most) internal pure returns (int256) {
        return value < least ? least : value > most ? most : value;
    }
}

/// @title Features by their indices: what holds for every sparse classifier.
abstract contract SparseCases is ClassifierCases {
    function drawFeatures(Classifier model, uint256 seed)
        internal
        view
        override
        returns (bytes memory features)
    {
        uint256 limit = model.featureLimit();
        for (uint256 i = 0; i < limit; ++i) {
            uint256 r = uint256(keccak256(abi.encode(seed, "present", i)));
            bool isEnd = i == 0 || i == limit - 1;
            if (r % (isEnd ? 2 : 3) == 0) features = abi.encodePacked(features, uint16(i));
        }
    }

    function test_features_are_ascending_indices_below_the_limit() public {
        Classifier model = _sealed(3, 8);
        uint256 limit = model.featureLimit();
        vm.assertTrue(limit > 4);
        model.predict(""); // none is an example too
        model.update("", 1);
        _refuseFeatures(model, hex"00", IClassifier.WrongFeatureCount.selector, 1, 2);
        _refuseFeatures(model, hex"000100", IClassifier.WrongFeatureCount.selector, 3, 4);
        bytes4 wrong = IClassifier.WrongFeatureIndex.selector;
        _refuseFeatures(model, hex"00010001", wrong, 1, 1);
        _refuseFeatures(model, hex"000200030001", wrong, 2, 1);
        _refuseFeatures(model, abi.encodePacked(uint16(limit)), wrong, 0, limit);
        _refuseFeatures(model, hex"0000ffff", wrong, 1, 0xffff);
        model.predict(abi.encodePacked(uint16(0), uint16(limit - 1)));
    }

    function has(bytes memory features, uint256 index) internal pure returns (bool) {
        for (uint256 i = 0; i < features.length; i += 2) {
            if (uint256(uint8(features[i])) * 256 + uint8(features[i + 1]) == index) return true;
        }
        return false;
    }

    function _refuseFeatures(
        Classifier model,
        bytes memory features,
        bytes4 selector,
        uint256 first,
        uint256 second
    ) private {
        bytes memory expected = abi.encodeWithSelector(selector, first, second);
        _refuse(model, address(this), abi.encodeCall(model.predict, (features)), expected);
        _refuse(model, address(this), abi.encodeCall(model.update, (features, 0)), expected);
    }
}

/// @title Features as int8: what holds for every dense classifier.
abstract contract DenseCases is ClassifierCases {
    function drawFeatures(Classifier model, uint256 seed)
        internal
        view
        override
        returns (bytes memory features)
    {
        features = new bytes(model.featureLimit());
        for (uint256 j = 0; j < features.length; ++j) {
            uint256 r = uint256(keccak256(abi.encode(seed, "feature", j)));
            features[j] = bytes1(uint8(signedEdge(r, 8)));
        }
    }

    function test_another_number_of_features_is_refused() public {
        Classifier model = _sealed(3, 8);
        uint256 limit = model.featureLimit();
        for (uint256 i = 0; i < 2 * limit; ++i) {
            if (i == limit) continue;
            bytes memory expected =
                abi.encodeWithSelector(IClassifier.WrongFeatureCount.selector, i, limit);
            bytes memory features = new bytes(i);
            _refuse(model, address(this), abi.encodeCall(model.predict, (features)), expected);
            _refuse(model, address(this), abi.encodeCall(model.update, (features, 0)), expected);
        }
    }

    /// @notice The same features with garbage after them, up to the end of the last word and beyond.
    function testFuzz_bytes_after_the_features_teach_nothing(uint256 seed) public {
        Classifier model = _sealed(2, seed);
        Classifier other = _sealed(2, seed);
        bytes memory features = drawFeatures(model, seed);
        (uint256 said,) = model.predict(features);
        model.update(features, 1 - said);
        (bool ok, bytes memory answer) = address(other).call(
            abi.encodePacked(
                IClassifier.update.selector, uint256(64), 1 - said, features.length, features,
                keccak256(abi.encode(seed)), keccak256(abi.encode(~seed))
            )
        );
        vm.assertTrue(ok);
        vm.assertEq(answer.length, 64);
        uint256 count = model.wordCount();
        vm.assertEq(other.words(0, count), model.words(0, count));
    }

    function feature(bytes memory features, uint256 j) internal pure returns (int256) {
        return int8(uint8(features[j]));
    }
}
