// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IClassifier} from "../interfaces/IClassifier.sol";

/// @title Which features are present: their indices, two bytes each, big-endian, ascending.
library SparseFeatures {
    /// @dev Indices above every index that two bytes can say.
    uint256 internal constant MAX = 2 ** 16;

    /// @dev The indices, after checking that each is below `limit` and above the one before it:
    /// one byte form for one set of features.
    function parse(bytes calldata features, uint256 limit)
        internal
        pure
        returns (uint256[] memory indices)
    {
        require(
            features.length % 2 == 0,
            IClassifier.WrongFeatureCount(features.length, features.length + 1)
        );
        uint256 count = features.length / 2;
        indices = new uint256[](count);
        uint256 least = 0;
        uint256 i = 0;
        uint256 index = 0;
        assembly ("memory-safe") {
            let to := add(indices, 32)
            let from := features.offset
            for {} lt(i, count) {} {
                index := shr(240, calldataload(from))
                if or(lt(index, least), iszero(lt(index, limit))) { break }
                mstore(to, index)
                least := add(index, 1)
                to := add(to, 32)
                from := add(from, 2)
                i := add(i, 1)
            }
        }
        require(i == count, IClassifier.WrongFeatureIndex(i, index));
    }
}
