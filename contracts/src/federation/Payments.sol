// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IFederation} from "../interfaces/IFederation.sol";

/// @title The one place where money leaves a federation: to the caller, at its own request.
abstract contract Payments is IFederation, ReentrancyGuardTransient {
    /// @dev Pays with all gas left, so that contracts can be members. Callers are nonReentrant
    /// and have written every effect before. What the recipient returns is not copied.
    function _pay(address to, uint256 amountWei) internal {
        if (amountWei == 0) return;
        require(LowLevelCall.callNoReturn(to, amountWei, ""), PaymentFailed(to, amountWei));
    }
}
