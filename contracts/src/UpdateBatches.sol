// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {IUpdateBatches} from "./interfaces/IUpdateBatches.sol";

/// @title Lists of the contributors of groups, by their Merkle roots. No owner, no money.
contract UpdateBatches is IUpdateBatches {
    bytes32 private constant LEAF_TAG = keccak256("ddcai.v1.batch-leaf");
    bytes32 private constant NODE_TAG = keccak256("ddcai.v1.batch-node");

    struct Batch {
        bytes32 root; // 0: none was posted
        uint32 count;
    }

    mapping(
        IFederation federation => mapping(uint64 round => mapping(address group => Batch))
    ) private _batches;

    /// @inheritdoc IUpdateBatches
    function post(
        IFederation federation,
        uint64 round,
        bytes32 root,
        uint32 count,
        bytes32 sumDigest,
        bytes32 listDigest
    ) external {
        require(count > 0, EmptyBatch());
        require(root != 0 && sumDigest != 0 && listDigest != 0, ZeroDigest());
        Batch storage batch = _batches[federation][round][msg.sender];
        require(batch.root == 0, AlreadyPosted(federation, round, msg.sender));
        (bool active, uint256 index) = federation.memberOf(msg.sender);
        require(active, NotMember(msg.sender));
        IFederation.RoundState state = federation.getRound(round).state;
        require(state == IFederation.RoundState.Open, RoundNotOpen(round, state));
        bytes32 submitted = federation.updateDigest(round, index);
        require(submitted == sumDigest, NotSubmitted(sumDigest, submitted));
        batch.root = root;
        batch.count = count;
        emit BatchPosted(
            address(federation), round, msg.sender, root, count, sumDigest, listDigest
        );
    }

    /// @inheritdoc IUpdateBatches
    function includes(
        IFederation federation,
        uint64 round,
        address group,
        address contributor,
        bytes32 updateDigest,
        bytes32[] calldata proof
    ) external view returns (bool) {
        bytes32 root = _batches[federation][round][group].root;
        // Hashed twice, and under another tag than nodes are: no node passes for a leaf.
        bytes32 leaf =
            keccak256(abi.encode(LEAF_TAG, keccak256(abi.encode(contributor, updateDigest))));
        return root != 0 && MerkleProof.verifyCalldata(proof, root, leaf, _node);
    }

    /// @inheritdoc IUpdateBatches
    function batchOf(IFederation federation, uint64 round, address group)
        external
        view
        returns (bytes32 root, uint32 count)
    {
        Batch storage batch = _batches[federation][round][group];
        return (batch.root, batch.count);
    }

    function _node(bytes32 one, bytes32 other) private pure returns (bytes32) {
        return one < other
            ? keccak256(abi.encode(NODE_TAG, one, other))
            : keccak256(abi.encode(NODE_TAG, other, one));
    }
}
