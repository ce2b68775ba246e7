// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title A model that learns on chain: free to ask, taught by its owner, loaded in chunks.
/// @notice One byte form of features for all models, so that trainers and events need to know
/// no model: dense ones take `featureLimit` bytes, each an int8; sparse ones take the indices of
/// the features that are present, two bytes each, big-endian, strictly ascending.
interface IClassifier {
    /// @notice Dense: another number of features. Sparse: an odd number of bytes.
    error WrongFeatureCount(uint256 given, uint256 expected);
    /// @notice A sparse index is at or above the limit, or not above the one before it.
    error WrongFeatureIndex(uint256 position, uint256 index);
    /// @notice The class does not exist.
    error UnknownClass(uint256 class, uint256 classes);
    /// @notice `load` or `seal` after `seal`; `predict` or `update` before it.
    error WrongLoadState(bool isSealed);
    /// @notice A chunk that leaves a gap, is there already, or goes beyond the end.
    error WrongChunk(uint256 offset, uint256 expected);
    /// @notice A loaded word holds a number out of range, or padding that is not zero.
    error WrongWord(uint256 wordIndex);
    /// @notice `seal` before everything is loaded.
    error Incomplete(uint256 loaded, uint256 expected);
    /// @notice The model's shape, or its parameter, is out of range.
    error WrongShape(uint256 features, uint256 classes, uint256 parameter);

    /// @notice Loading has ended; the model answers from now on. The digest is d(wordCount) of
    /// what was loaded, in whatever chunks: d(0) = keccak256(abi.encode(keccak256(
    /// "ddcai.v1.classifier"), kind, featureLimit, classLimit, parameter)), d(i + 1) =
    /// keccak256(d(i), word i).
    event ModelSealed(bytes32 indexed modelDigest);
    /// @notice The model was given an example. `changed` is false where it had nothing to learn.
    event ModelUpdated(uint256 indexed class, bool changed);

    /// @notice The contract's name: which model this is.
    function kind() external pure returns (string memory);
    /// @notice Number of features: inputs of a dense model, largest index + 1 of a sparse one.
    function featureLimit() external view returns (uint256);
    /// @notice Number of classes.
    function classLimit() external view returns (uint256);
    /// @notice Perceptrons: learning rate; naive Bayes: smoothing; else 0.
    function parameter() external view returns (uint256);
    /// @notice How many times the model was replaced as a whole since it was sealed: what was
    /// taught before counts no more. 0 for ever where a model only learns.
    function release() external view returns (uint256);
    /// @notice Whether loading has ended.
    function isSealed() external view returns (bool);
    /// @notice Number of words of the whole model.
    function wordCount() external view returns (uint256);
    /// @notice Number of words that are loaded.
    function loadedCount() external view returns (uint256);
    /// @notice Words `offset` to `offset + count` of the model as it stands, as `load` takes them.
    function words(uint256 offset, uint256 count) external view returns (uint256[] memory);

    /// @notice Writes the next words of the model, in order; owner only.
    /// @param offset number of words loaded before, so that a chunk sent twice is refused.
    function load(uint256 offset, uint256[] calldata words_) external;
    /// @notice Ends loading, for ever; owner only.
    function seal() external;

    /// @notice The predicted class (the lowest of the best on a tie) and a score for each.
    function predict(bytes calldata features)
        external
        view
        returns (uint256 class, int256[] memory scores);
    /// @notice Learns one example; owner only.
    /// @return predicted what the model said before.
    /// @return changed whether the model changed.
    function update(bytes calldata features, uint256 class)
        external
        returns (uint256 predicted, bool changed);
}
