// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title A model's final layer on chain: free to ask, written only by its owner.
interface IHead {
    /// @notice `write` was given another number of words than the head has.
    error WrongWordCount(uint256 given, uint256 expected);
    /// @notice `predict` was given another number of features than the head takes.
    error WrongFeatureCount(uint256 given, uint256 expected);
    /// @notice `write` was given a word whose padding bits are not zero.
    error NonZeroPadding(uint256 wordIndex);
    /// @notice The head's shape is out of range.
    error WrongShape(uint256 dimensions, uint256 classes);

    /// @notice The head was replaced. `headDigest` is keccak256(tag "head", words).
    event HeadWritten(bytes32 indexed headDigest);

    /// @notice Number of int8 features.
    function dimensions() external view returns (uint256);
    /// @notice Number of classes.
    function classes() external view returns (uint256);
    /// @notice Number of 256-bit words: classes * ceil(dimensions / 16) + ceil(classes / 8).
    function wordCount() external view returns (uint256);
    /// @notice Replaces all words; owner only.
    /// @dev Layout: class by class, ceil(dimensions / 16) words of sixteen int16 weights,
    /// feature j of a word at bits [16 j, 16 j + 16); then ceil(classes / 8) words of eight int32
    /// biases, class c of a word at bits [32 c, 32 c + 32). Padding bits are zero.
    function write(uint256[] calldata words_) external;
    /// @notice All words.
    function words() external view returns (uint256[] memory);
    /// @notice The class with the highest score (the lowest such class on a tie), and all scores.
    /// @param features `dimensions` bytes, each an int8.
    /// @return class index of the predicted class.
    /// @return scores score_c = bias_c + sum_j weight_cj * feature_j, exact.
    function predict(bytes calldata features)
        external
        view
        returns (uint256 class, int256[] memory scores);
}
