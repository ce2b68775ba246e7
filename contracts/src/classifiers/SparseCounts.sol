// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Classifier} from "./Classifier.sol";
import {IClassifier} from "../interfaces/IClassifier.sol";
import {SparseFeatures} from "../lib/SparseFeatures.sol";

/// @title Models that count: examples of a class, and those of them that have a feature.
/// @notice Learns every example, until a class has 2^31 of them; then it changes no more.
/// @dev Layout: ceil(classes / 8) words of eight uint32 numbers of examples, class c of a word at
/// bits [32 c, ...); then the counts, uint32, eight a word: count i with i = index * classes +
/// class, so that all classes of a feature are neighbours. Loaded examples are in 1..2^31 - 1 and
/// loaded counts below 2^31; at most 2^31 - 1 examples are learned, so that a count stays below
/// 2^32 and adding 1 to it never carries into the next.
abstract contract SparseCounts is Classifier {
    uint256 internal constant COUNTS_PER_WORD = 8;
    uint256 private constant MAX_EXAMPLES = 2 ** 31;
    uint256 private constant COUNT = 2 ** 32 - 1;
    uint256 private constant NO_WORD = type(uint256).max;

    /// @dev A sum over a class's counts, which `_measure` defines; below 2^80.
    uint128[MAX_CLASSES] internal _sums;

    uint256 private immutable _firstCount;

    constructor(uint256 classes) {
        _firstCount = Math.ceilDiv(classes, COUNTS_PER_WORD);
    }

    /// @dev What a count of a class adds to the class's sum.
    function _measure(uint256 count) internal pure virtual returns (uint256);

    /// @dev Whether a count of a class with this many examples can be loaded.
    function _plausible(uint256 count, uint256 examples_) internal pure virtual returns (bool);

    /// @inheritdoc IClassifier
    function predict(bytes calldata features)
        external
        view
        returns (uint256 class, int256[] memory scores)
    {
        _requireSealed();
        return _predict(SparseFeatures.parse(features, featureLimit));
    }

    /// @inheritdoc IClassifier
    function update(bytes calldata features, uint256 class)
        external
        onlyOwner
        returns (uint256 predicted, bool changed)
    {
        _requireClass(class);
        uint256[] memory indices = SparseFeatures.parse(features, featureLimit);
        (predicted,) = _predict(indices);
        changed = _learn(indices, class);
        emit ModelUpdated(class, changed);
    }

    function _predict(uint256[] memory indices)
        private
        view
        returns (uint256 class, int256[] memory scores)
    {
        uint256[] memory counts = _countsOf(indices);
        scores = new int256[](classLimit);
        for (uint256 c = 0; c < scores.length; ++c) {
            scores[c] = _score(counts, indices.length, c);
            if (scores[c] > scores[class]) class = c;
        }
    }

    /// @dev A class's score.
    /// @param counts of all classes, feature by feature, for the features present.
    /// @param present number of features present.
    function _score(uint256[] memory counts, uint256 present, uint256 class)
        internal
        view
        virtual
        returns (int256);

    /// @dev Learns an example, whatever the model says.
    function _learn(uint256[] memory indices, uint256 class) private returns (bool changed) {
        uint256 slot = class / COUNTS_PER_WORD;
        uint256 word = _words[slot];
        uint256 shift = 32 * (class % COUNTS_PER_WORD);
        if ((word >> shift) & COUNT < MAX_EXAMPLES) {
            _words[slot] = word + (1 << shift);
            _sums[class] += uint128(_count(indices, class));
            changed = true;
        }
    }

    /// @dev Adds 1 to the class's counts of these features.
    /// @return gained by how much the class's sum grows.
    function _count(uint256[] memory indices, uint256 class) private returns (uint256 gained) {
        uint256 classes = classLimit;
        uint256 at = NO_WORD;
        uint256 word = 0;
        // Indices are below 2^16, classes at most 2^8, counts below 2^32 - 1 (see above) and a
        // sum below 2^80: nothing can overflow.
        unchecked {
            for (uint256 k = 0; k < indices.length; ++k) {
                uint256 i = indices[k] * classes + class;
                uint256 slot = _firstCount + i / COUNTS_PER_WORD;
                if (slot != at) {
                    if (at != NO_WORD) _words[at] = word;
                    at = slot;
                    word = _words[at];
                }
                uint256 shift = 32 * (i % COUNTS_PER_WORD);
                uint256 count = (word >> shift) & COUNT;
                gained += _measure(count + 1) - _measure(count);
                word += 1 << shift;
            }
            if (at != NO_WORD) _words[at] = word;
        }
    }

    /// @dev Number of examples of a class.
    function _examples(uint256 class) internal view returns (uint256) {
        return (_words[class / COUNTS_PER_WORD] >> (32 * (class % COUNTS_PER_WORD))) & COUNT;
    }

    /// @dev For each feature the counts of all classes, feature by feature.
    function _countsOf(uint256[] memory indices) private view returns (uint256[] memory counts) {
        uint256 classes = classLimit;
        counts = new uint256[](indices.length * classes);
        uint256 at = NO_WORD;
        uint256 word = 0;
        uint256 to = 0;
        // As in `_count`.
        unchecked {
            for (uint256 k = 0; k < indices.length; ++k) {
                uint256 i = indices[k] * classes;
                for (uint256 c = 0; c < classes; ++c) {
                    uint256 slot = _firstCount + i / COUNTS_PER_WORD;
                    if (slot != at) {
                        at = slot;
                        word = _words[at];
                    }
                    counts[to] = (word >> (32 * (i % COUNTS_PER_WORD))) & COUNT;
                    ++i;
                    ++to;
                }
            }
        }
    }

    function _countWords(uint256 features, uint256 classes) internal pure override returns (uint256) {
        return Math.ceilDiv(classes, COUNTS_PER_WORD)
            + Math.ceilDiv(features * classes, COUNTS_PER_WORD);
    }

    function _accept(uint256 offset, uint256[] calldata words_) internal override {
        uint256[] memory gained = new uint256[](classLimit);
        for (uint256 k = 0; k < words_.length; ++k) {
            uint256 place = offset + k;
            bool good = place < _firstCount
                ? _goodExamples(place, words_[k])
                : _goodCounts((place - _firstCount) * COUNTS_PER_WORD, words_[k], gained);
            require(good, WrongWord(place));
        }
        for (uint256 c = 0; c < gained.length; ++c) {
            if (gained[c] != 0) _sums[c] += uint128(gained[c]);
        }
    }

    function _goodExamples(uint256 place, uint256 word) private view returns (bool) {
        for (uint256 lane = 0; lane < COUNTS_PER_WORD; ++lane) {
            uint256 number = (word >> (32 * lane)) & COUNT;
            bool inside = place * COUNTS_PER_WORD + lane < classLimit;
            if (inside ? number == 0 || number >= MAX_EXAMPLES : number != 0) return false;
        }
        return true;
    }

    function _goodCounts(uint256 first, uint256 word, uint256[] memory gained)
        private
        view
        returns (bool)
    {
        for (uint256 i = first; word != 0; ++i) {
            uint256 count = word & COUNT;
            word >>= 32;
            if (count == 0) continue;
            uint256 class = i % classLimit;
            if (
                i >= featureLimit * classLimit || count >= MAX_EXAMPLES
                    || !_plausible(count, _examples(class))
            ) return false;
            gained[class] += _measure(count);
        }
        return true;
    }
}
