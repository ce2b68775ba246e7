// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Trees of batches, written out a second time, as RFC 6962 (2.1) defines them: split at
/// the largest power of two below the number of leaves.
library BatchTree {
    function leaf(address contributor, bytes32 updateDigest) internal pure returns (bytes32) {
        bytes32 inner = keccak256(bytes.concat(bytes12(0), bytes20(contributor), updateDigest));
        return keccak256(bytes.concat(keccak256("ddcai.v1.batch-leaf"), inner));
    }

    function node(bytes32 one, bytes32 other) internal pure returns (bytes32) {
        if (other < one) (one, other) = (other, one);
        return keccak256(bytes.concat(keccak256("ddcai.v1.batch-node"), one, other));
    }

    /// @dev Of leaves `from` to `to`, the last excluded.
    function root(bytes32[] memory leaves, uint256 from, uint256 to)
        internal
        pure
        returns (bytes32)
    {
        if (to - from == 1) return leaves[from];
        uint256 middle = from + _split(to - from);
        return node(root(leaves, from, middle), root(leaves, middle, to));
    }

    /// @dev Siblings of leaf `index`, from the leaf up.
    function proof(bytes32[] memory leaves, uint256 index, uint256 from, uint256 to)
        internal
        pure
        returns (bytes32[] memory path)
    {
        if (to - from == 1) return path;
        uint256 middle = from + _split(to - from);
        bool left = index < middle;
        bytes32[] memory below =
            left ? proof(leaves, index, from, middle) : proof(leaves, index, middle, to);
        path = new bytes32[](below.length + 1);
        for (uint256 i = 0; i < below.length; ++i) {
            path[i] = below[i];
        }
        path[below.length] = left ? root(leaves, middle, to) : root(leaves, from, middle);
    }

    function _split(uint256 count) private pure returns (uint256 power) {
        power = 1;
        while (power * 2 < count) power *= 2;
    }
}
