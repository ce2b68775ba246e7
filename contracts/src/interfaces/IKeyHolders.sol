// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title T of N accounts that stand as one key holder (ERC-1271) of a federation.
/// @notice The accounts that share a decryption key sign together what they opened. Each key that
/// they ever held together is an epoch, with its holders and its threshold; at least the
/// threshold of the current epoch's holders register the next one, and nobody else can.
/// Trusted: that fewer than the threshold of an epoch's holders conspire or lose their accounts.
/// Warning: what is checked is who signed, not what a ciphertext holds.
/// Warning: during the grace period the holders of the epoch before can sign for rounds that were
/// opened after it, too: which epoch belongs to a round is for contributors to look at.
/// Warning: a new epoch does not change the federation's rules, whose encryption key is the first
/// epoch's.
interface IKeyHolders is IERC1271 {
    event KeyRegistered(
        uint64 indexed epoch,
        bytes32 indexed keyDigest,
        bytes32 ceremonyDigest,
        uint256 threshold,
        address[] holders
    );

    /// @notice Fewer than 2 holders, or more than 64.
    error WrongHolderCount(uint256 count);
    /// @notice Holders are in strictly ascending order, and none is zero.
    error HoldersNotAscending(uint256 position, address holder);
    /// @notice At least 2, more than half of the holders, and not more than all.
    error InvalidThreshold(uint256 threshold, uint256 holderCount);
    error ZeroDigest();
    error KeyUsedBefore(bytes32 keyDigest, uint64 epoch);
    /// @notice Not signed by at least `needed` of the holders of `epoch`, in the form of `rekey`.
    error HoldersDidNotSign(uint64 epoch, uint256 needed);
    error UnknownEpoch(uint64 epoch, uint64 epochCount);

    /// @notice Registers the next epoch; anyone may send it.
    /// @param keyDigest of the collective encryption key; never one of an earlier epoch.
    /// @param ceremonyDigest of the record of how the holders made it.
    /// @param signatures 65 bytes (r, s, v) each, by at least the threshold of the current
    /// epoch's holders, in ascending order of their addresses, under the typed data
    /// `Rekey(uint64 epoch,bytes32 keyDigest,bytes32 ceremonyDigest,address[] holders,uint256
    /// threshold)` (EIP-712, domain "ddcai key holders", version "1", the chain, this contract);
    /// `epoch` is the new one's number, so that they serve once.
    function rekey(
        bytes32 keyDigest,
        bytes32 ceremonyDigest,
        address[] calldata holders,
        uint256 threshold,
        bytes calldata signatures
    ) external;

    /// @notice ERC-1271's answer: 0x1626ba7e if the holders signed `hash`, else 0xffffffff.
    /// @dev Never reverts for what `signature` holds. `hash` is signed as it is: whoever asks
    /// binds it to itself, as a federation does by its own EIP-712 domain; so signatures serve no
    /// other federation with the same holders.
    /// @param signature the epoch, 8 bytes big-endian; then exactly the threshold of that epoch's
    /// holders' signatures, 65 bytes (r, s, v) each, in ascending order of their addresses, with
    /// the lower s and v of 27 or 28: a set of signers has one form. The current epoch, or one
    /// whose successor was registered at most `graceSeconds` ago.
    function isValidSignature(bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4);

    /// @notice The current epoch's number; they count from 1.
    function epochCount() external view returns (uint64);

    /// @notice One epoch; reverts for one that is not registered.
    /// @return keyDigest of its encryption key.
    /// @return ceremonyDigest of the record of how it was made.
    /// @return threshold signatures that are needed.
    /// @return registeredAt unix seconds.
    /// @return registeredBlock the block that it was registered in.
    /// @return holders ascending.
    function epoch(uint64 number)
        external
        view
        returns (
            bytes32 keyDigest,
            bytes32 ceremonyDigest,
            uint256 threshold,
            uint64 registeredAt,
            uint64 registeredBlock,
            address[] memory holders
        );

    /// @notice For how long the holders of an epoch still sign after the next is registered.
    function graceSeconds() external view returns (uint64);
}
