// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "../../src/interfaces/IIncentive.sol";
import {Test} from "../helpers/Vm.sol";
import {TrainerHandler} from "./TrainerHandler.sol";

/// @notice The sentences of docs/contracts.md on contributions, each as a test of its name.
contract ContributionInvariants is Test {
    TrainerHandler private handler;
    IIncentive private incentive;

    function setUp() public {
        handler = new TrainerHandler();
        incentive = handler.theIncentive();
    }

    /// @dev Forge calls the handler's functions only.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_money_in_is_money_paid_plus_money_held() public view {
        vm.assertEq(
            handler.paidInWei(), handler.withdrawnWei() + address(incentive).balance
        );
    }

    function invariant_what_is_held_covers_every_claim() public view {
        uint256 claims = 0;
        for (uint256 i = 0; i < 4; ++i) {
            claims += incentive.owedWei(handler.accounts()[i]);
        }
        for (uint256 id = 1; id <= incentive.lastId(); ++id) {
            (, uint256 left) = incentive.recordOf(id);
            claims += left;
        }
        vm.assertEq(address(incentive).balance, claims); // to the wei
    }

    function invariant_a_record_never_changes_after_it_is_settled() public view {
        for (uint256 id = 1; id <= incentive.lastId(); ++id) {
            (bytes32 digest, uint256 left) = incentive.recordOf(id);
            vm.assertEq(digest == 0 && left == 0, handler.settled(id));
        }
    }

    function invariant_nobody_is_paid_twice() public view {
        for (uint256 id = 1; id <= incentive.lastId(); ++id) {
            (, uint256 left) = incentive.recordOf(id);
            vm.assertEq(handler.paidWei(id) + left, handler.contribution(id).priceWei);
            vm.assertLe(handler.refunds(id), 1);
        }
    }

    function invariant_nobody_takes_what_is_not_forfeited() public view {
        vm.assertFalse(handler.somebodyTookWhatIsNotForfeited());
    }

    function invariant_points_grow_only_by_judged_contributions() public view {
        uint256 sum = 0;
        uint256 total = 0;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 own;
            (own, total) = incentive.points(handler.accounts()[i]);
            sum += own;
        }
        vm.assertEq(sum, handler.judged());
        vm.assertEq(total, handler.judged());
    }

    function invariant_a_correct_prediction_changes_no_weight() public view {
        vm.assertFalse(handler.weightsChangedOnCorrectPrediction());
    }

    /// @notice The handler's steps reach every payment.
    function test_the_handlers_steps_reach_every_payment() public {
        handler.contribute(1, 0, 1, 1); // Alice
        handler.wait(149);
        handler.tryRefund(1, 0);
        handler.contribute(2, 0, 2, 3); // Bob
        handler.contribute(3, 0, 1, 5); // Carol
        handler.contribute(0, 1, 0, 1); // the owner, what the model says
        handler.wait(149);
        handler.tryReport(1, 1); // Alice has all points
        handler.tryRefund(1, 2);
        handler.tryRefund(1, 3);
        handler.contribute(2, 0, 2, 3);
        for (uint256 i = 0; i < 4; ++i) {
            handler.tryWithdraw(i);
        }
        vm.assertEq(handler.judged(), 2);
        vm.assertEq(handler.reports(), 1);
        for (uint256 i = 0; i < 16; ++i) {
            handler.contribute(2, 0, 2, 3);
        }
        handler.close(64);
        handler.tryRefund(1, 4);
        vm.assertEq(handler.refunds(5), 1);
        invariant_money_in_is_money_paid_plus_money_held();
        invariant_what_is_held_covers_every_claim();
        invariant_a_record_never_changes_after_it_is_settled();
        invariant_nobody_is_paid_twice();
        invariant_nobody_takes_what_is_not_forfeited();
        invariant_points_grow_only_by_judged_contributions();
        invariant_a_correct_prediction_changes_no_weight();
    }
}
