// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Classifier} from "./Classifier.sol";
import {IClassifier} from "../interfaces/IClassifier.sol";
import {DenseSums} from "../lib/DenseSums.sol";

/// @title The nearest mean, over int8 features.
/// @notice The squared distance of x to the mean m of a class is |x|^2 - (2 x m - |m|^2); |x|^2 is
/// the same for all classes, and the score is the rest in units of 2^-16, cut towards zero. The
/// highest score is the nearest mean. Means are kept as sums and a number of examples, so that
/// learning is exact and its order does not matter. Every example is learned, until a class has
/// 2^24 - 1 of them; then it changes no more.
/// @dev Words: ceil(classes / 8) of eight uint32 numbers of examples, from 1 to 2^24 - 1, class c
/// of a word at bits [32 c, ...); then class by class ceil(features / 8) words of eight int32
/// sums, feature j of a word at bits [32 j, ...). A sum is at most 128 times the number of
/// examples in absolute value, below 2^31, and learning keeps that. |sums|^2 is kept beside: at
/// most 2^12 * 2^62.
contract NearestCentroid is Classifier {
    uint256 private constant MAX_FEATURES = 4096;
    uint256 private constant MAX_EXAMPLES = 2 ** 24 - 1;
    uint256 private constant NUMBER = 2 ** 32 - 1;
    int256 private constant UNIT = 2 ** 16;

    uint128[MAX_CLASSES] private _squares;

    uint256 private immutable _firstSum;

    constructor(uint256 features, uint256 classes) Classifier(features, MAX_FEATURES, classes, 0, 0) {
        _firstSum = Math.ceilDiv(classes, DenseSums.PER_WORD);
    }

    /// @inheritdoc IClassifier
    function kind() public pure override returns (string memory) {
        return "NearestCentroid";
    }

    /// @inheritdoc IClassifier
    function predict(bytes calldata features)
        external
        view
        returns (uint256 class, int256[] memory scores)
    {
        _requireSealed();
        return _predict(_spread(features));
    }

    function _predict(uint256[] memory spread)
        private
        view
        returns (uint256 class, int256[] memory scores)
    {
        scores = new int256[](classLimit);
        for (uint256 c = 0; c < scores.length; ++c) {
            int256 number = int256(_examples(c));
            int256 dot = DenseSums.dot(spread, _slot(c));
            scores[c] = (2 * number * dot - int256(uint256(_squares[c]))) * UNIT / (number * number);
            if (scores[c] > scores[class]) class = c;
        }
    }

    /// @inheritdoc IClassifier
    function update(bytes calldata features, uint256 class)
        external
        onlyOwner
        returns (uint256 predicted, bool changed)
    {
        _requireClass(class);
        uint256[] memory spread = _spread(features);
        (predicted,) = _predict(spread);
        if (_examples(class) < MAX_EXAMPLES) {
            _words[class / DenseSums.PER_WORD] += 1 << (32 * (class % DenseSums.PER_WORD));
            // |s + x|^2 = |s|^2 + 2 s x + |x|^2, and s x before s grows.
            int256 dot = DenseSums.dot(spread, _slot(class));
            int256 gained = 2 * dot + int256(DenseSums.add(spread, _slot(class)));
            _squares[class] = uint128(uint256(int256(uint256(_squares[class])) + gained));
            changed = true;
        }
        emit ModelUpdated(class, changed);
    }

    function _spread(bytes calldata features) private view returns (uint256[] memory) {
        require(features.length == featureLimit, WrongFeatureCount(features.length, featureLimit));
        return DenseSums.spread(features);
    }

    function _examples(uint256 class) private view returns (uint256) {
        return (_words[class / DenseSums.PER_WORD] >> (32 * (class % DenseSums.PER_WORD))) & NUMBER;
    }

    /// @dev The storage slot of a class's first sums.
    function _slot(uint256 class) private view returns (uint256 slot) {
        uint256 place = _firstSum + class * Math.ceilDiv(featureLimit, DenseSums.PER_WORD);
        assembly ("memory-safe") {
            slot := add(_words.slot, place)
        }
    }

    function _countWords(uint256 features, uint256 classes) internal pure override returns (uint256) {
        return Math.ceilDiv(classes, DenseSums.PER_WORD)
            + classes * Math.ceilDiv(features, DenseSums.PER_WORD);
    }

    function _accept(uint256 offset, uint256[] calldata words_) internal override {
        uint256 rowWords = Math.ceilDiv(featureLimit, DenseSums.PER_WORD);
        for (uint256 k = 0; k < words_.length; ++k) {
            uint256 place = offset + k;
            bool good = place < _firstSum
                ? _goodNumbers(place, words_[k])
                : _goodSums((place - _firstSum) / rowWords, (place - _firstSum) % rowWords, words_[k]);
            require(good, WrongWord(place));
        }
    }

    function _goodNumbers(uint256 place, uint256 word) private view returns (bool) {
        for (uint256 lane = 0; lane < DenseSums.PER_WORD; ++lane) {
            uint256 number = (word >> (32 * lane)) & NUMBER;
            bool inside = place * DenseSums.PER_WORD + lane < classLimit;
            if (inside ? number == 0 || number > MAX_EXAMPLES : number != 0) return false;
        }
        return true;
    }

    function _goodSums(uint256 class, uint256 place, uint256 word) private returns (bool) {
        int256 most = 128 * int256(_examples(class));
        uint256 square = 0;
        for (uint256 lane = 0; lane < DenseSums.PER_WORD; ++lane) {
            int256 sum = int32(uint32(word >> (32 * lane)));
            bool inside = place * DenseSums.PER_WORD + lane < featureLimit;
            if (inside ? sum > most || sum < -most : sum != 0) return false;
            square += uint256(sum * sum);
        }
        _squares[class] += uint128(square);
        return true;
    }
}
