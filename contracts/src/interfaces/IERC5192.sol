// SPDX-License-Identifier: CC0-1.0
pragma solidity ^0.8.28;

/// @title EIP-5192: minimal soulbound tokens. Its identifier is 0xb45a3c0e.
interface IERC5192 {
    /// @notice The token is locked from now on.
    event Locked(uint256 tokenId);
    /// @notice The token is not locked any more. Never here.
    event Unlocked(uint256 tokenId);

    /// @notice Whether a token is locked; reverts if there is no such token.
    function locked(uint256 tokenId) external view returns (bool);
}
