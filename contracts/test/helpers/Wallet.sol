// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "../../src/interfaces/IIncentive.sol";

/// @title Takes no money unless told to, and comes back in when paid.
contract Wallet {
    IIncentive private immutable _incentive;
    bool public takesMoney;
    bool public reentrySucceeded;

    constructor(IIncentive incentive) {
        _incentive = incentive;
    }

    receive() external payable {
        require(takesMoney, "no, thank you");
        (reentrySucceeded,) = address(_incentive).call(abi.encodeCall(IIncentive.withdraw, ()));
    }

    function takeMoney() external {
        takesMoney = true;
    }

    function run(address target, uint256 valueWei, bytes calldata call_) external {
        (bool ok, bytes memory answer) = target.call{value: valueWei}(call_);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }
}
