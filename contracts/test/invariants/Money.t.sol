// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "../../src/interfaces/IFederation.sol";
import {Test} from "../helpers/Vm.sol";
import {Handler} from "./Handler.sol";

/// @notice The sentences of docs/contracts.md, each as a test of its name.
contract MoneyInvariants is Test {
    Handler private handler;
    IFederation private federation;

    function setUp() public {
        handler = new Handler();
        federation = handler.theFederation();
    }

    /// @dev Forge calls the handler's functions only.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_deposits_paid_in_are_refunded_taken_or_held() public view {
        vm.assertEq(
            handler.paidInWei(), handler.refundedWei() + handler.takenWei() + handler.heldWei()
        );
    }

    function invariant_the_balance_covers_every_claim() public view {
        vm.assertGe(address(federation).balance, handler.heldWei() + handler.stakesWei());
        // And, as nobody forces ether on it here, to the wei.
        vm.assertEq(address(federation).balance, handler.heldWei() + handler.stakesWei());
    }

    function invariant_nobody_is_paid_twice() public view {
        for (uint64 round = 1; round <= federation.lastRound(); ++round) {
            for (uint256 i = 0; i < handler.MEMBERS(); ++i) {
                vm.assertLe(handler.refundsOf(round, i), 1);
                vm.assertLe(handler.takesOf(round, i), 1);
            }
        }
    }

    function invariant_a_settled_round_never_changes() public view {
        for (uint64 round = 1; round <= federation.lastRound(); ++round) {
            bytes32 settled = handler.settledRecord(round);
            if (settled != 0) vm.assertEq(handler.currentRecord(round), settled);
        }
    }

    function invariant_only_the_last_round_runs() public view {
        for (uint64 round = 1; round < federation.lastRound(); ++round) {
            IFederation.RoundState state = federation.getRound(round).state;
            vm.assertTrue(
                state == IFederation.RoundState.Finalized
                    || state == IFederation.RoundState.Cancelled
            );
        }
    }

    /// @notice The handler's steps reach every state: an invariant over walks that go nowhere
    /// would hold for nothing.
    function test_the_handlers_steps_reach_every_payment() public {
        handler.openRound();
        handler.submitAll();
        handler.sealRound(0x3f);
        handler.finalizeRound();
        for (uint256 i = 0; i < 8; ++i) {
            handler.tryRefund(i, 1);
            handler.tryTake(i, 1);
            handler.tryTake(i, 1);
        }
        handler.tryToDisturb(1, 1);
        handler.openRound();
        handler.submitUpdate(3);
        handler.cancelRound(8);
        handler.tryRefund(3, 2);
        handler.tryLeave(16 * 3);
        vm.assertTrue(handler.refundedWei() > 0 && handler.takenWei() > 0);
        vm.assertEq(handler.paidInWei(), handler.refundedWei() + handler.takenWei());
        vm.assertEq(address(federation).balance, handler.stakesWei());
        vm.assertEq(federation.lastRound(), 2);
        invariant_a_settled_round_never_changes();
        invariant_nobody_is_paid_twice();
    }
}
