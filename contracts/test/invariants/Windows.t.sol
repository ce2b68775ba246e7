// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "../helpers/Vm.sol";
import {WindowHandler} from "./WindowHandler.sol";

/// @notice The sentences of docs/contracts.md about windows, over random walks.
/// forge-config: default.invariant.depth = 128
/// forge-config: default.invariant.runs = 16
/// forge-config: default.invariant.shrink-run-limit = 200
contract WindowInvariants is Test {
    WindowHandler private _handler;

    function setUp() public {
        _handler = new WindowHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_money_in_is_money_paid_or_held() public view {
        vm.assertEq(_handler.paidInWei(), _handler.paidOutWei() + _handler.heldWei());
    }

    function invariant_what_is_held_is_what_is_owed_to_the_wei() public view {
        vm.assertEq(_handler.heldWei(), _handler.owedInAllWei());
    }

    function invariant_nobody_is_paid_twice() public view {
        vm.assertFalse(_handler.somebodyWasPaidTwice());
    }

    function invariant_a_settled_verdict_never_changes() public view {
        vm.assertFalse(_handler.aSettledVerdictChanged());
    }

    function invariant_a_lapsed_window_returns_every_deposit() public view {
        vm.assertFalse(_handler.aLapsedWindowKeptADeposit());
    }
}
