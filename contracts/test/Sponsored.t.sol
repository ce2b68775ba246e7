// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bounty} from "../src/incentives/Bounty.sol";
import {IBounty} from "../src/interfaces/IBounty.sol";
import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {ISponsored} from "../src/interfaces/ISponsored.sol";
import {PlainPerceptron} from "./helpers/PlainPerceptron.sol";
import {BadBounty, ClaimedBounty} from "./helpers/BadBounties.sol";
import {PointsFixture} from "./helpers/PointsFixture.sol";
import {PlainToken} from "./helpers/Tokens.sol";

/// @notice An incentive and its bounty: who attaches it, when it is told, and that it can do no
/// harm. The same tests for each incentive that gives points.
abstract contract SponsoredTest is PointsFixture {
    uint40 internal constant UNTIL = uint40(START) + 10 days;
    uint128 internal constant RATE = 1 gwei;

    Bounty internal bounty;

    function setUp() public virtual {
        bounty = new Bounty(address(incentive), _terms(address(0), UNTIL));
    }

    function test_the_trainers_owner_attaches() public {
        bytes memory call_ = abi.encodeCall(ISponsored.attachBounty, (bounty));
        _refuseAt(
            address(incentive), OWNER, 0, call_,
            abi.encodeWithSelector(ISponsored.NotTrainersOwner.selector, OWNER)
        );
        _expectAttached(address(0), 0);
        vm.expectEmit(address(incentive));
        emit ISponsored.BountyAttached(address(bounty), UNTIL);
        _attach();
        _expectAttached(address(bounty), UNTIL);
        trainer.transferOwnership(OWNER);
        _refuseAt(
            address(incentive), address(this), 0, call_,
            abi.encodeWithSelector(ISponsored.NotTrainersOwner.selector, address(this))
        );
    }

    function test_another_may_follow_when_it_is_over() public {
        _attach();
        Bounty next = new Bounty(address(incentive), _terms(address(0), UNTIL + 10 days));
        vm.warp(UNTIL);
        _refuseAt(
            address(incentive), address(this), 0,
            abi.encodeCall(ISponsored.attachBounty, (next)),
            abi.encodeWithSelector(ISponsored.BountyRuns.selector, address(bounty), UNTIL)
        );
        vm.warp(uint256(UNTIL) + 1);
        _refuseAt( // the old one again
            address(incentive), address(this), 0,
            abi.encodeCall(ISponsored.attachBounty, (bounty)),
            abi.encodeWithSelector(ISponsored.WrongBounty.selector, bounty)
        );
        ISponsored(address(incentive)).attachBounty(next);
        _expectAttached(address(next), UNTIL + 10 days);
    }

    function test_a_bounty_for_another_is_refused() public {
        address[2] memory wrong = [
            address(new ClaimedBounty(ALICE, UNTIL)),
            address(new ClaimedBounty(address(incentive), uint40(START) - 1))
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            _refuseAt(
                address(incentive), address(this), 0,
                abi.encodeCall(ISponsored.attachBounty, (IBounty(wrong[i]))),
                abi.encodeWithSelector(ISponsored.WrongBounty.selector, wrong[i])
            );
        }
    }

    function test_a_judged_contribution_earns_the_bounty() public {
        _attach();
        _fund(2 * RATE);
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        IIncentive.Contribution memory same = contribute(BOB, 0, 1); // what the model says now
        vm.assertEq(bounty.owedTo(ALICE), 0);
        vm.warp(START + R);
        vm.expectEmit(address(bounty));
        emit IBounty.Earned(ALICE, 1, RATE);
        refund(one, 0);
        if (one.priceWei > 0) refund(same, 0);
        vm.assertEq(bounty.owedTo(ALICE), RATE);
        vm.assertEq(bounty.owedTo(BOB), 0);
        bounty.claim(ALICE);
        vm.assertEq(address(bounty).balance, RATE);
    }

    function test_points_of_the_last_second_are_paid_and_later_ones_are_not() public {
        _attach();
        _fund(5 * RATE);
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        IIncentive.Contribution memory late = contribute(ALICE, 1, 1);
        vm.warp(UNTIL);
        refund(one, 0);
        vm.assertEq(bounty.owedTo(ALICE), RATE);
        vm.warp(uint256(UNTIL) + 1);
        refund(late, 1);
        vm.assertEq(bounty.owedTo(ALICE), RATE);
        (uint256 own,) = incentive.points(ALICE);
        vm.assertEq(own, 2);
    }

    function test_points_from_before_and_of_ended_releases_are_not_paid() public {
        earn(ALICE, 1);
        IIncentive.Contribution memory one = contribute(BOB, 0, 1);
        _attach();
        _fund(5 * RATE);
        vm.warp(block.timestamp + R);
        PlainPerceptron(address(model)).replace();
        vm.prank(BOB);
        (bool ok,) =
            address(trainer).call(abi.encodeCall(trainer.refund, (one, sample(0))));
        vm.assertEq(ok, one.priceWei > 0);
        vm.assertEq(bounty.owedTo(ALICE), 0);
        vm.assertEq(bounty.owedTo(BOB), 0);
        (uint256 left,) = bounty.budget();
        vm.assertEq(left, 5 * RATE);
    }

    function test_an_empty_bounty_keeps_no_point_back() public {
        _attach();
        earn(ALICE, 1);
        (uint256 own,) = incentive.points(ALICE);
        vm.assertEq(own, 1);
        vm.assertEq(bounty.owedTo(ALICE), 0);
    }

    function test_a_bounty_that_refuses_keeps_no_deposit_back() public {
        _refundDespite(BadBounty.Mode.Refuses);
    }

    function test_a_bounty_that_burns_gas_keeps_no_deposit_back() public {
        _refundDespite(BadBounty.Mode.BurnsAllGas);
    }

    function test_a_bounty_that_answers_at_length_keeps_no_deposit_back() public {
        _refundDespite(BadBounty.Mode.AnswersALot);
    }

    function test_a_bounty_whose_code_is_gone_keeps_no_deposit_back() public {
        _attach();
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.warp(START + R);
        vm.etch(address(bounty), "");
        refund(one, 0);
        (uint256 own,) = incentive.points(ALICE);
        vm.assertEq(own, 1);
    }

    function test_a_bounty_that_comes_back_finds_everything_settled() public {
        BadBounty bad = _attachBad(BadBounty.Mode.Refuses);
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.warp(START + R);
        bad.comeBack(address(trainer), abi.encodeCall(trainer.refund, (one, sample(0))));
        refund(one, 0);
        vm.assertTrue(bad.called());
        vm.assertFalse(bad.callSucceeded());
        vm.assertEq(incentive.owedWei(ALICE), one.priceWei);
        (uint256 own, uint256 total) = incentive.points(ALICE);
        vm.assertEq(own, 1);
        vm.assertEq(total, 1);
    }

    function test_a_bounty_that_is_over_is_not_called() public {
        BadBounty bad = new BadBounty(address(incentive), BadBounty.Mode.Refuses);
        bad.endAt(UNTIL);
        ISponsored(address(incentive)).attachBounty(IBounty(address(bad)));
        bad.comeBack(address(trainer), "");
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        IIncentive.Contribution memory late = contribute(ALICE, 1, 1);
        vm.warp(uint256(UNTIL) + 1);
        refund(late, 1);
        vm.assertFalse(bad.called());
        vm.warp(UNTIL);
        refund(one, 0);
        vm.assertTrue(bad.called());
    }

    function test_too_little_gas_is_refused_and_the_least_is_enough() public {
        _attach();
        _fund(5 * RATE);
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.warp(START + R);
        bytes memory call_ = abi.encodeCall(trainer.refund, (one, sample(0)));
        // The least gas with which a refund goes through, by bisection, as a node estimates it.
        uint256 low = 30_000;
        uint256 high = 400_000;
        bytes32 before = state(1);
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (this.wouldPass(call_, middle)) high = middle;
            else low = middle;
        }
        vm.assertEq(state(1), before);
        vm.prank(ALICE);
        (bool ok, bytes memory answer) = address(trainer).call{gas: low}(call_);
        vm.assertFalse(ok);
        vm.assertEq(bytes32(bytes4(answer)), bytes32(ISponsored.TooLittleGas.selector));
        vm.assertEq(state(1), before);
        vm.prank(ALICE);
        (ok,) = address(trainer).call{gas: high}(call_);
        vm.assertTrue(ok);
        vm.assertEq(bounty.owedTo(ALICE), RATE); // it was told
    }

    /// @dev Whether Alice's call passes with this much gas; undoes it.
    function wouldPass(bytes calldata call_, uint256 gas_) external returns (bool ok) {
        try this.passAndRevert(call_, gas_) {
            revert("unreachable");
        } catch (bytes memory answer) {
            ok = abi.decode(answer, (bool));
        }
    }

    function passAndRevert(bytes calldata call_, uint256 gas_) external {
        vm.prank(ALICE);
        (bool ok,) = address(trainer).call{gas: gas_}(call_);
        bytes memory answer = abi.encode(ok);
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }

    function test_a_token_pays_as_ether_does() public {
        PlainToken token = new PlainToken();
        bounty = new Bounty(address(incentive), _terms(address(token), UNTIL));
        _attach();
        token.mint(address(this), 2 * RATE);
        token.approve(address(bounty), 2 * RATE);
        bounty.fund(2 * RATE);
        earn(ALICE, 1);
        bounty.claim(ALICE);
        vm.assertEq(token.balanceOf(ALICE), RATE);
        vm.warp(uint256(UNTIL) + 1);
        bounty.reclaim();
        vm.assertEq(token.balanceOf(OWNER), RATE);
    }

    function _attach() internal {
        ISponsored(address(incentive)).attachBounty(bounty);
    }

    function _attachBad(BadBounty.Mode mode) private returns (BadBounty bad) {
        bad = new BadBounty(address(incentive), mode);
        ISponsored(address(incentive)).attachBounty(IBounty(address(bad)));
    }

    function _refundDespite(BadBounty.Mode mode) private {
        _attachBad(mode);
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.warp(START + R);
        vm.prank(ALICE);
        trainer.refund{gas: 300_000}(one, sample(0));
        vm.assertEq(incentive.owedWei(ALICE), one.priceWei);
        (uint256 own,) = incentive.points(ALICE);
        vm.assertEq(own, 1);
    }

    function _fund(uint256 amountWei) private {
        vm.prank(OWNER);
        bounty.fund{value: amountWei}(amountWei);
    }

    function _terms(address asset, uint40 until) private pure returns (IBounty.Terms memory) {
        return IBounty.Terms(OWNER, asset, RATE, until);
    }

    function _expectAttached(address bounty_, uint256 until) private view {
        (address attached, uint256 attachedUntil) = ISponsored(address(incentive)).bounty();
        vm.assertEq(attached, bounty_);
        vm.assertEq(attachedUntil, until);
    }
}

contract SponsoredPointsTest is SponsoredTest {
    function setUp() public override {
        deployPoints(pointsRules());
        super.setUp();
    }
}

contract SponsoredSelfAssessmentTest is SponsoredTest {
    function setUp() public override {
        deploy(defaultRules());
        super.setUp();
    }
}
