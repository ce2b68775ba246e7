// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Keys of a federation's members, and the check that enough of them signed.
/// @notice Owned by the federation, which alone may add keys. `BlsQuorum` verifies one
/// aggregate BLS signature; an ECDSA quorum can stand behind the same three functions.
interface IQuorum {
    /// @notice The key is not a point of the right group, is the identity, or has a wrong length.
    error InvalidKey(uint256 length);
    /// @notice The proof of possession does not verify under the key.
    error InvalidProofOfPossession(uint256 index);
    /// @notice Member `index` has a key already, or would leave a gap.
    error UnexpectedIndex(uint256 index, uint256 expected);
    /// @notice Somebody else registered the same key before.
    error KeyInUse(bytes32 keyHash);

    /// @notice Stores the key of member `index`; owner only. Indices come in order, without gaps.
    /// @param key BLS: 128 bytes, an uncompressed G1 point in EIP-2537 form.
    /// @param proof BLS: 256 bytes, an uncompressed G2 point: PopProve of the IETF draft's
    /// proof-of-possession suite.
    function register(uint256 index, bytes calldata key, bytes calldata proof) external;

    /// @notice Whether every member in `signers` signed `message`.
    /// @param message the 32 bytes that were signed.
    /// @param signers bitmap of member indices: bit i of word i / 256.
    /// @param signature BLS: 256 bytes, the aggregate signature, an uncompressed G2 point.
    function verify(bytes32 message, uint256[] calldata signers, bytes calldata signature)
        external
        view
        returns (bool);

    /// @notice The key of member `index`, as it was registered.
    function keyOf(uint256 index) external view returns (bytes memory);
}
