// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The digests of contributed data: keccak256 under a domain tag.
/// @dev The same bytes as ddcai/digests.py; tag(kind) = keccak256("ddcai.v1." ++ kind).
library ContributionDigests {
    bytes32 internal constant CONTRIBUTION_TAG = keccak256("ddcai.v1.contribution");
    bytes32 internal constant RECORD_TAG = keccak256("ddcai.v1.record");

    /// @dev Digest of one labelled sample.
    function contributionDigest(uint256 class, bytes calldata features)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(CONTRIBUTION_TAG, class, keccak256(features)));
    }

    /// @dev Digest of all that never changes of one contribution.
    function recordDigest(
        uint256 id,
        address contributor,
        bytes32 dataDigest,
        uint256 predicted,
        uint256 priceWei,
        uint256 time
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(RECORD_TAG, id, contributor, dataDigest, predicted, priceWei, time)
        );
    }
}
