// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IClassifier} from "../interfaces/IClassifier.sol";

/// @title What all models share: shape, owner, and words that are loaded in chunks and sealed.
/// @dev Slot 0 is the owner's and has room for the load state, so that `update` reads one slot to
/// check both.
abstract contract Classifier is IClassifier, Ownable {
    uint256 internal constant MAX_CLASSES = 256;
    /// @dev Loading more would cost more than 1.4 * 10^9 gas.
    uint256 internal constant MAX_WORDS = 2 ** 16;
    bytes32 private constant TAG = keccak256("ddcai.v1.classifier");

    /// @inheritdoc IClassifier
    uint256 public immutable featureLimit;
    /// @inheritdoc IClassifier
    uint256 public immutable classLimit;
    /// @inheritdoc IClassifier
    uint256 public immutable parameter;
    /// @inheritdoc IClassifier
    uint256 public immutable wordCount;

    uint32 private _loaded;
    /// @inheritdoc IClassifier
    bool public isSealed;
    bytes32 private _digest;
    uint256[MAX_WORDS] internal _words;

    constructor(
        uint256 features,
        uint256 maxFeatures,
        uint256 classes,
        uint256 parameter_,
        uint256 maxParameter
    ) Ownable(msg.sender) {
        // A model without a parameter has 0 for it and for its limit; the others start from 1.
        require(
            features >= 1 && features <= maxFeatures && classes >= 2 && classes <= MAX_CLASSES
                && parameter_ <= maxParameter && (parameter_ == 0) == (maxParameter == 0),
            WrongShape(features, classes, parameter_)
        );
        uint256 count = _countWords(features, classes);
        require(count <= MAX_WORDS, WrongShape(features, classes, parameter_));
        featureLimit = features;
        classLimit = classes;
        parameter = parameter_;
        wordCount = count;
    }

    /// @inheritdoc IClassifier
    function kind() public pure virtual returns (string memory);

    /// @inheritdoc IClassifier
    function release() external view virtual returns (uint256) {
        return 0;
    }

    /// @inheritdoc IClassifier
    function loadedCount() external view returns (uint256) {
        return _loaded;
    }

    /// @inheritdoc IClassifier
    function words(uint256 offset, uint256 count) external view returns (uint256[] memory words_) {
        require(offset <= wordCount && count <= wordCount - offset, WrongChunk(offset, wordCount));
        words_ = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            words_[i] = _words[offset + i];
        }
    }

    /// @inheritdoc IClassifier
    function load(uint256 offset, uint256[] calldata words_) external onlyOwner {
        require(!isSealed, WrongLoadState(true));
        require(
            offset == _loaded && words_.length <= wordCount - offset, WrongChunk(offset, _loaded)
        );
        bytes32 digest = offset == 0
            ? keccak256(abi.encode(TAG, kind(), featureLimit, classLimit, parameter))
            : _digest;
        for (uint256 i = 0; i < words_.length; ++i) {
            uint256 word = words_[i];
            _words[offset + i] = word;
            assembly ("memory-safe") {
                mstore(0, digest)
                mstore(32, word)
                digest := keccak256(0, 64)
            }
        }
        _digest = digest;
        // At most MAX_WORDS, 2^16.
        _loaded = uint32(offset + words_.length);
        _accept(offset, words_);
    }

    /// @inheritdoc IClassifier
    function seal() external onlyOwner {
        require(!isSealed, WrongLoadState(true));
        require(_loaded == wordCount, Incomplete(_loaded, wordCount));
        isSealed = true;
        emit ModelSealed(_digest);
    }

    /// @dev Number of words of a model of this shape, which is within limits.
    function _countWords(uint256 features, uint256 classes) internal pure virtual returns (uint256);

    /// @dev Checks words that were just written, and takes from them what the model keeps beside.
    function _accept(uint256 offset, uint256[] calldata words_) internal virtual;

    /// @dev Reverts unless the model is ready to answer.
    function _requireSealed() internal view {
        require(isSealed, WrongLoadState(false));
    }

    /// @dev Reverts unless the model is ready, and has this class.
    function _requireClass(uint256 class) internal view {
        _requireSealed();
        require(class < classLimit, UnknownClass(class, classLimit));
    }
}
