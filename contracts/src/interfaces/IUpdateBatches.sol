// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "./IFederation.sol";

/// @title Which contributors' updates a group's update is the sum of: one Merkle root a round.
/// @notice A group is a member of a federation that gathers updates of contributors of its own, and
/// submits their encrypted sum as its update. Here it posts the root of a tree over them, so that
/// each contributor can show that it was on the list. One contract serves all federations.
/// Warning: nothing here proves that the sum is that of the list, that the contributors signed, or
/// that there are `count` of them. Who has the blobs can find out (docs/scale.md).
/// Warning: a federation is whatever contract is named as one: ask of those that you know.
interface IUpdateBatches {
    event BatchPosted(
        address indexed federation,
        uint64 indexed round,
        address indexed group,
        bytes32 root,
        uint32 count,
        bytes32 sumDigest,
        bytes32 listDigest
    );

    error NotMember(address caller);
    error RoundNotOpen(uint64 round, IFederation.RoundState state);
    error AlreadyPosted(IFederation federation, uint64 round, address group);
    error EmptyBatch();
    error ZeroDigest();
    /// @notice The sum is not the update that the caller submitted in this round.
    error NotSubmitted(bytes32 sumDigest, bytes32 submitted);

    /// @notice Posts the caller's list for a round: once, after `submitUpdate`, while the round is
    /// open. So a list is of the very update that the federation seals, and is there before it
    /// does.
    /// @param root of the tree over the list; `includes` says how it is hashed.
    /// @param count how many contributors are on the list.
    /// @param sumDigest the caller's update in the round.
    /// @param listDigest of the list itself, by which it is stored off chain.
    function post(
        IFederation federation,
        uint64 round,
        bytes32 root,
        uint32 count,
        bytes32 sumDigest,
        bytes32 listDigest
    ) external;

    /// @notice Whether a contributor's update is on the list of a group.
    /// @param proof siblings from the leaf up, by OpenZeppelin's `MerkleProof` with the hashes
    /// leaf = keccak256(abi.encode(LEAF, keccak256(abi.encode(contributor, updateDigest)))) and
    /// node = keccak256(abi.encode(NODE, lower child, higher child)),
    /// LEAF = keccak256("ddcai.v1.batch-leaf"), NODE = keccak256("ddcai.v1.batch-node").
    function includes(
        IFederation federation,
        uint64 round,
        address group,
        address contributor,
        bytes32 updateDigest,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Root and size of a group's list; zeros if it posted none.
    function batchOf(IFederation federation, uint64 round, address group)
        external
        view
        returns (bytes32 root, uint32 count);
}
