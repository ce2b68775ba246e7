// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Keys of a federation's members, and the check that enough of them signed.
/// @notice Owned by the federation, which alone may add keys. `BlsQuorum` verifies one aggregate
/// BLS signature; `EcdsaQuorum` one secp256k1 signature each, for chains without EIP-2537.
///
/// Keys come into storage when members join. `pack` copies them into contract code, from where
/// `verify` reads them for a third or less of the gas: page p has the members 128 p to 128 p + 127.
interface IQuorum {
    /// @notice The keys of a page's first `keys` members are in the code of `code` now.
    event KeysPacked(uint256 indexed page, uint256 keys, address code);

    /// @notice The key has a wrong length, is not a point of the right group, or is the identity
    /// or the zero address.
    error InvalidKey(uint256 length);
    /// @notice The proof of possession does not verify under the key.
    error InvalidProofOfPossession(uint256 index);
    /// @notice Member `index` has a key already, or would leave a gap.
    error UnexpectedIndex(uint256 index, uint256 expected);
    /// @notice Another member registered the same key before.
    error KeyInUse(bytes32 keyHash);
    /// @notice All `keys` of this page are in code already, or it has none.
    error NothingToPack(uint256 page, uint256 keys);

    /// @notice Stores the key of a member; owner only. Indices come in order, without gaps.
    /// @param index of the member.
    /// @param member the account that joins; an ECDSA proof is bound to it, a BLS proof is not.
    /// @param key BLS: 128 bytes, an uncompressed G1 point in EIP-2537 form. ECDSA: 20 bytes, the
    /// address of a secp256k1 key; the member's own account, or another.
    /// @param proof BLS: 256 bytes, an uncompressed G2 point: PopProve of the IETF draft's
    /// proof-of-possession suite. ECDSA: 65 bytes (r, s, v), the key's signature under the EIP-712
    /// struct `Possession(address member)` of this contract's domain.
    function register(uint256 index, address member, bytes calldata key, bytes calldata proof)
        external;

    /// @notice Copies the keys of a page that are in storage alone into code, and what is in code
    /// already along with them. Anyone may call it, and all that can come of it is that `verify`
    /// takes less gas: keys never change, and the same page always gets the same content.
    /// @dev 200 gas a byte: about 27,000 a BLS key and 6,500 an ECDSA key.
    function pack(uint256 page) external;

    /// @notice Whether every member in `signers` signed `message`; false for no signers.
    /// @param message the 32 bytes that were signed.
    /// @param signers bitmap of member indices: bit i of word i / 256.
    /// @param signature BLS: 256 bytes, the aggregate signature, an uncompressed G2 point. ECDSA:
    /// 65 bytes (r, s, v) a signer, in ascending order of index, each under the EIP-712 struct
    /// `Attestation(bytes32 message)` of this contract's domain.
    function verify(bytes32 message, uint256[] calldata signers, bytes calldata signature)
        external
        view
        returns (bool);

    /// @notice The key of member `index`, as it was registered.
    function keyOf(uint256 index) external view returns (bytes memory);

    /// @notice How many keys were registered.
    function keyCount() external view returns (uint256);

    /// @notice How many keys of a page are in code.
    function packedCount(uint256 page) external view returns (uint256);

    /// @notice What kind of keys these are: "bls" or "ecdsa".
    function scheme() external view returns (string memory);
}
