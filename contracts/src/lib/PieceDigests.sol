// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The digests of a prediction market: keccak256 under a domain tag.
/// @dev The same bytes as ddcai/incentives/prediction_market.py.
library PieceDigests {
    bytes32 internal constant PIECE_TAG = keccak256("ddcai.v1.piece");
    bytes32 internal constant DRAW_TAG = keccak256("ddcai.v1.draw");

    /// @dev Digest of one piece of a test set; the salt keeps small pieces from being guessed.
    function pieceDigest(uint256 index, bytes32 salt, bytes memory data)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(PIECE_TAG, index, salt, keccak256(data)));
    }

    /// @dev Which of `pieces` a block's randomness picks for a market.
    function drawnPiece(address market, bytes32 prevRandao, uint256 pieces)
        internal
        pure
        returns (uint256)
    {
        return uint256(keccak256(abi.encode(DRAW_TAG, market, prevRandao))) % pieces;
    }
}
