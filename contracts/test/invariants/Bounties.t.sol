// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bounty} from "../../src/incentives/Bounty.sol";
import {IIncentive} from "../../src/interfaces/IIncentive.sol";
import {Points} from "../../src/incentives/Points.sol";
import {Test} from "../helpers/Vm.sol";
import {EtherHandler, SponsoredHandler, TokenHandler} from "./SponsoredHandler.sol";

/// @notice The sentences of docs/contracts.md on bounties, each as a test of its name.
abstract contract BountyInvariants is Test {
    SponsoredHandler internal handler;
    IIncentive internal incentive;

    function setUp() public {
        handler = _makeHandler();
        incentive = handler.theIncentive();
    }

    function _makeHandler() internal virtual returns (SponsoredHandler);

    /// @dev Forge calls the handler's functions only.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_bounty_in_is_bounty_paid_plus_bounty_held() public view {
        uint256 held = 0;
        for (uint256 i = 0; i < handler.bountyCount(); ++i) {
            held += handler.balanceOf(address(handler.bounties(i)));
        }
        vm.assertEq(
            handler.fundedAmount(), handler.paidAmount() + handler.reclaimedAmount() + held
        );
    }

    function invariant_a_bounty_holds_what_it_owes_and_what_is_left() public view {
        for (uint256 i = 0; i < handler.bountyCount(); ++i) {
            Bounty bounty = handler.bounties(i);
            (uint256 left, uint256 owed) = bounty.budget();
            vm.assertEq(handler.balanceOf(address(bounty)), left + owed);
            uint256 sum = 0;
            for (uint256 j = 0; j < 4; ++j) {
                sum += bounty.owedTo(handler.accounts()[j]);
            }
            vm.assertEq(sum, owed);
        }
    }

    /// @dev The sponsor neither: what it takes is not in this sum.
    function invariant_what_is_earned_is_paid_or_put_aside() public view {
        for (uint256 j = 0; j < 4; ++j) {
            address account = handler.accounts()[j];
            uint256 owed = 0;
            for (uint256 i = 0; i < handler.bountyCount(); ++i) {
                owed += handler.bounties(i).owedTo(account);
            }
            vm.assertEq(handler.claimedBy(account) + owed, handler.earnedBy(account));
        }
    }

    function invariant_points_grow_only_by_judged_contributions() public view {
        uint256 total = 0;
        for (uint256 j = 0; j < 4; ++j) {
            address account = handler.accounts()[j];
            uint256 own;
            (own, total) = incentive.points(account);
            vm.assertEq(own, handler.judgedOf(account));
        }
        vm.assertEq(total, handler.judged());
    }

    /// @notice The handler's steps reach every payment.
    function test_the_handlers_steps_reach_every_payment() public {
        handler.fund(0);
        handler.fund(3 * handler.RATE());
        handler.contribute(1, 0, 1);
        handler.contribute(2, 1, 2);
        handler.wait(1 days);
        handler.tryRefunds();
        handler.tryClaim(0, 1);
        handler.tryClaim(0, 1);
        handler.tryReclaim(0);
        handler.tryToDisturb(1);
        for (uint256 i = 0; i < 5; ++i) {
            handler.wait(1 days);
        }
        handler.tryReclaim(0);
        handler.tryClaim(0, 2);
        handler.attach();
        handler.fund(handler.RATE());
        handler.contribute(3, 0, 2);
        handler.replaceModel(16);
        handler.contribute(3, 0, 1);
        handler.wait(1 days);
        handler.tryRefunds();
        handler.tryClaim(1, 3);
        vm.assertEq(handler.judged(), 3);
        vm.assertTrue(handler.paidAmount() > 0 && handler.reclaimedAmount() > 0);
        vm.assertEq(handler.claimedBy(handler.accounts()[2]), handler.RATE());
        invariant_bounty_in_is_bounty_paid_plus_bounty_held();
        invariant_a_bounty_holds_what_it_owes_and_what_is_left();
        invariant_what_is_earned_is_paid_or_put_aside();
        invariant_points_grow_only_by_judged_contributions();
    }
}

contract EtherBountyInvariants is BountyInvariants {
    function _makeHandler() internal override returns (SponsoredHandler) {
        return new EtherHandler();
    }
}

contract TokenBountyInvariants is BountyInvariants {
    function _makeHandler() internal override returns (SponsoredHandler) {
        return new TokenHandler();
    }

    function invariant_badges_never_move() public view {
        vm.assertFalse(TokenHandler(address(handler)).aBadgeMoved());
        Points points = Points(address(incentive));
        uint32[] memory thresholds = points.badgeThresholds();
        for (uint256 j = 0; j < 4; ++j) {
            address account = handler.accounts()[j];
            (uint256 own,) = points.points(account);
            uint256 count = 0;
            for (uint256 i = 0; i < thresholds.length; ++i) {
                bool has = points.hasBadge(account, thresholds[i]);
                vm.assertEq(has, own >= thresholds[i]); // once there, there for ever
                if (!has) continue;
                ++count;
                vm.assertEq(points.ownerOf(points.badgeId(account, thresholds[i])), account);
            }
            vm.assertEq(points.balanceOf(account), count);
        }
    }
}
