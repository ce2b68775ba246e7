// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The digests of ddcai that contracts compute: keccak256 under a domain tag.
/// @dev The same bytes as ddcai/digests.py; tag(kind) = keccak256("ddcai.v1." ++ kind).
library Digests {
    bytes32 internal constant HEAD_TAG = keccak256("ddcai.v1.head");
    bytes32 internal constant RESULT_TAG = keccak256("ddcai.v1.result");
    bytes32 internal constant DRAW_TAG = keccak256("ddcai.v1.draw");
    bytes32 internal constant VERDICT_TAG = keccak256("ddcai.v1.verdict");
    /// @dev EIP-712 type of what the key holder signs under an opened sum.
    bytes32 internal constant OPENING_TYPEHASH =
        keccak256("Opening(uint64 round,bytes32 sumDigest,bytes32 openedDigest)");

    /// @dev Digest of a head's words, in order.
    function headDigest(uint256[] calldata words) internal pure returns (bytes32) {
        // Packed encoding is unambiguous here: one fixed-size tag, then whole words to the end.
        return keccak256(abi.encodePacked(HEAD_TAG, words));
    }

    /// @dev The 32 bytes that contributors sign to attest a round's result, bound to this chain
    /// and to the calling contract.
    function resultMessage(
        uint64 round,
        bytes32 sumDigest,
        bytes32 openedDigest,
        bytes32 modelDigest,
        bytes32 headDigest_
    ) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                RESULT_TAG,
                block.chainid,
                address(this),
                round,
                sumDigest,
                openedDigest,
                modelDigest,
                headDigest_
            )
        );
    }

    /// @dev A round's randomness, bound to this chain, to the calling contract and to the list that
    /// was committed before.
    function drawn(uint64 round, bytes32 listDigest, bytes32 prevRandao)
        internal
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(DRAW_TAG, block.chainid, address(this), round, listDigest, prevRandao)
        );
    }

    /// @dev The 32 bytes that a quorum signs under a verdict, bound to this chain and to the calling
    /// contract; attempt 0 is the first, 1 settles a dispute.
    function verdictMessage(
        uint64 window,
        uint256 attempt,
        bytes32 scoresDigest,
        bytes32 recordsDigest
    ) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                VERDICT_TAG,
                block.chainid,
                address(this),
                window,
                attempt,
                scoresDigest,
                recordsDigest
            )
        );
    }

    /// @dev EIP-712 struct hash of an opening.
    function openingHash(uint64 round, bytes32 sumDigest, bytes32 openedDigest)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(OPENING_TYPEHASH, round, sumDigest, openedDigest));
    }
}
