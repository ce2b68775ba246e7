// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "./interfaces/IFederation.sol";

/// @title Reads members and their updates of a round in one call.
/// @notice Never deployed: a node is asked what its creation would return (`eth_call` without a
/// contract to call), so that a federation needs no function for it.
/// @dev Returns a zero word, since no code begins with 0xEF (EIP-3541), then two words a member:
/// its account and its update's digest, 0 without one. A node takes 24,576 bytes (EIP-170), so at
/// most 383 members.
contract SubmissionReader {
    constructor(IFederation federation, uint64 round, uint256 first, uint256 end) {
        uint256[] memory words = new uint256[](1 + 2 * (end - first));
        for (uint256 i = first; i < end; ++i) {
            uint256 at = 1 + 2 * (i - first);
            words[at] = uint160(federation.memberAt(i));
            words[at + 1] = uint256(federation.updateDigest(round, i));
        }
        assembly ("memory-safe") {
            return(add(words, 32), mul(32, mload(words)))
        }
    }
}
