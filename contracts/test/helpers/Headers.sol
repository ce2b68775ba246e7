// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";

/// @title Block headers with a randomness of one's choice.
library Headers {
    /// @dev A header of Prague's 21 fields.
    function header(uint256 number, bytes32 prevRandao) internal pure returns (bytes memory) {
        bytes[] memory fields = new bytes[](21);
        for (uint256 i = 0; i < fields.length; ++i) {
            fields[i] = RLP.encode(keccak256(abi.encode("field", i)));
        }
        fields[8] = RLP.encode(number);
        fields[13] = RLP.encode(prevRandao);
        return RLP.encode(fields);
    }
}
