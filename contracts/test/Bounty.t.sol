// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Bounty} from "../src/incentives/Bounty.sol";
import {IBounty} from "../src/interfaces/IBounty.sol";
import {Receiver} from "./helpers/BadBounties.sol";
import {BadToken, FeeToken} from "./helpers/Tokens.sol";
import {Test} from "./helpers/Vm.sol";

/// @notice The bounty alone; this contract is its incentive, and gives points as it likes.
contract BountyTest is Test {
    uint256 private constant START = 1_700_000_000;
    uint40 private constant UNTIL = uint40(START) + 30 days;
    uint128 private constant RATE = 1_000_003;
    address private constant SPONSOR = address(0x5105);
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    Bounty private ether_;
    Bounty private tokens;
    BadToken private token;

    function setUp() public {
        vm.warp(START);
        token = new BadToken();
        ether_ = new Bounty(address(this), _terms(address(0)));
        tokens = new Bounty(address(this), _terms(address(token)));
        vm.deal(SPONSOR, 1000 ether);
        vm.deal(BOB, 1000 ether);
        token.mint(SPONSOR, 1000 ether);
        vm.prank(SPONSOR);
        token.approve(address(tokens), type(uint256).max);
    }

    // Terms

    function test_terms_are_as_given() public view {
        vm.assertEq(
            keccak256(abi.encode(tokens.terms())), keccak256(abi.encode(_terms(address(token))))
        );
        vm.assertEq(tokens.incentive(), address(this));
        vm.assertEq(tokens.until(), UNTIL);
    }

    function test_constructor_refuses_nonsense() public {
        IBounty.Terms memory terms = _terms(address(0));
        terms.sponsor = address(0);
        _refuseTerms(address(this), terms, "sponsor");
        terms = _terms(ALICE); // no contract
        _refuseTerms(address(this), terms, "asset");
        terms = _terms(address(0));
        terms.perPoint = 0;
        _refuseTerms(address(this), terms, "perPoint");
        terms = _terms(address(0));
        terms.until = uint40(START);
        _refuseTerms(address(this), terms, "until");
        _refuseTerms(address(0), _terms(address(0)), "incentive");
        terms = _terms(address(0));
        (terms.until, terms.perPoint) = (uint40(START) + 1, type(uint128).max);
        new Bounty(address(this), terms);
    }

    // Funding

    function test_anybody_funds_with_ether() public {
        vm.expectEmit(address(ether_));
        emit IBounty.Funded(BOB, 5);
        _fund(ether_, BOB, 5, 5);
        _fund(ether_, SPONSOR, 2, 2);
        _expect(ether_, 7, 0);
    }

    function test_funding_names_the_ether_that_is_sent() public {
        _refuse(
            ether_, BOB, 4, abi.encodeCall(ether_.fund, (5)),
            abi.encodeWithSelector(IBounty.WrongValue.selector, 4, 5)
        );
        _refuse(
            tokens, BOB, 5, abi.encodeCall(ether_.fund, (5)),
            abi.encodeWithSelector(IBounty.WrongValue.selector, 5, 0)
        );
        _refuse(
            ether_, BOB, 0, abi.encodeCall(ether_.fund, (0)),
            abi.encodeWithSelector(IBounty.NothingReceived.selector)
        );
        _refuse(ether_, BOB, 5, "", ""); // ether comes by `fund`
    }

    function test_funding_ends_with_the_last_second() public {
        vm.warp(UNTIL);
        _fund(ether_, BOB, 5, 5);
        vm.warp(uint256(UNTIL) + 1);
        _refuse(
            ether_, BOB, 5, abi.encodeCall(ether_.fund, (5)),
            abi.encodeWithSelector(IBounty.Over.selector, UNTIL)
        );
    }

    function test_what_came_otherwise_counts_with_the_next() public {
        vm.deal(address(ether_), 9); // forced
        token.mint(address(tokens), 9);
        _expect(ether_, 0, 0);
        _fund(ether_, BOB, 5, 5);
        _expect(ether_, 14, 0);
        _fund(tokens, SPONSOR, 0, 0);
        _expect(tokens, 9, 0);
    }

    function test_a_token_that_keeps_a_fee_counts_what_arrives() public {
        FeeToken fee = new FeeToken();
        Bounty bounty = new Bounty(address(this), _terms(address(fee)));
        fee.mint(SPONSOR, 100 * RATE);
        vm.prank(SPONSOR);
        fee.approve(address(bounty), 100 * RATE);
        _fund(bounty, SPONSOR, 100 * RATE, 0);
        _expect(bounty, 99 * RATE, 0);
        bounty.onPoints(ALICE, 100);
        _expect(bounty, 0, 99 * RATE);
        bounty.claim(ALICE);
        vm.assertEq(fee.balanceOf(ALICE), 99 * RATE - 99 * RATE / 100);
        vm.assertEq(fee.balanceOf(address(bounty)), 0);
    }

    function test_a_token_that_moves_nothing_funds_nothing() public {
        bytes memory call_ = abi.encodeCall(tokens.fund, (5));
        token.be(BadToken.Mode.AnswersFalse);
        _refuse(
            tokens, SPONSOR, 0, call_,
            abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token))
        );
        token.be(BadToken.Mode.Refuses);
        _refuse(tokens, SPONSOR, 0, call_, abi.encodeWithSignature("Error(string)", "no"));
        token.be(BadToken.Mode.Honest);
        _refuse(
            tokens, SPONSOR, 0, abi.encodeCall(tokens.fund, (0)),
            abi.encodeWithSelector(IBounty.NothingReceived.selector)
        );
    }

    function test_more_than_fits_is_refused() public {
        token.mint(SPONSOR, type(uint256).max - token.totalSupply());
        _refuse(
            tokens, SPONSOR, 0, abi.encodeCall(tokens.fund, (2 ** 128)),
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 128, 2 ** 128)
        );
        _fund(tokens, SPONSOR, type(uint128).max, 0);
        tokens.onPoints(ALICE, 1);
        _refuse( // what is owed and what is left stay within 128 bits together
            tokens, SPONSOR, 0, abi.encodeCall(tokens.fund, (1)),
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 128, 2 ** 128)
        );
    }

    // Points

    function test_a_point_puts_its_amount_aside() public {
        _fund(ether_, BOB, 3 * RATE, 3 * RATE);
        vm.expectEmit(address(ether_));
        emit IBounty.Earned(ALICE, 2, 2 * RATE);
        ether_.onPoints(ALICE, 2);
        _expect(ether_, RATE, 2 * RATE);
        vm.assertEq(ether_.owedTo(ALICE), 2 * RATE);
    }

    function test_points_are_told_by_the_incentive_alone() public {
        _fund(ether_, BOB, RATE, RATE);
        _refuse(
            ether_, ALICE, 0, abi.encodeCall(ether_.onPoints, (ALICE, 1)),
            abi.encodeWithSelector(IBounty.NotIncentive.selector, ALICE)
        );
    }

    function test_whole_points_while_it_lasts() public {
        ether_.onPoints(ALICE, 1); // nothing there
        _fund(ether_, BOB, 3 * RATE - 1, 3 * RATE - 1);
        ether_.onPoints(ALICE, 5);
        vm.assertEq(ether_.owedTo(ALICE), 2 * RATE);
        ether_.onPoints(BOB, 1);
        vm.assertEq(ether_.owedTo(BOB), 0);
        _fund(ether_, BOB, 1, 1); // now it is enough, for the next point
        vm.assertEq(ether_.owedTo(BOB), 0);
        ether_.onPoints(BOB, 1);
        vm.assertEq(ether_.owedTo(BOB), RATE);
        _expect(ether_, 0, 3 * RATE);
    }

    function test_the_last_second_pays_and_the_next_does_not() public {
        _fund(ether_, BOB, 3 * RATE, 3 * RATE);
        vm.warp(UNTIL);
        ether_.onPoints(ALICE, 1);
        vm.assertEq(ether_.owedTo(ALICE), RATE);
        vm.warp(uint256(UNTIL) + 1);
        _refuse(
            ether_, address(this), 0, abi.encodeCall(ether_.onPoints, (ALICE, 1)),
            abi.encodeWithSelector(IBounty.Over.selector, UNTIL)
        );
    }

    function testFuzz_splitting_an_account_gains_nothing(
        uint256 rate,
        uint256 left,
        uint256 one,
        uint256 other
    ) public {
        IBounty.Terms memory terms = _terms(address(token));
        terms.perPoint = uint128(_bound(rate, 1, type(uint128).max));
        left = _bound(left, 1, type(uint128).max);
        one = _bound(one, 0, type(uint256).max / 2);
        other = _bound(other, 0, type(uint256).max / 2);
        uint256[3] memory got;
        for (uint256 split = 0; split < 2; ++split) {
            Bounty bounty = new Bounty(address(this), terms);
            token.mint(address(bounty), left);
            vm.prank(SPONSOR);
            bounty.fund(0);
            if (split == 0) {
                bounty.onPoints(ALICE, one + other);
                got[0] = bounty.owedTo(ALICE);
            } else {
                bounty.onPoints(ALICE, one);
                bounty.onPoints(BOB, other);
                (got[1], got[2]) = (bounty.owedTo(ALICE), bounty.owedTo(BOB));
            }
            (uint256 now_, uint256 owed) = bounty.budget();
            vm.assertEq(now_ + owed, left);
        }
        vm.assertEq(got[0], got[1] + got[2]);
        // By division alone: every whole point that the budget holds, and no other.
        uint256 affordable = left / terms.perPoint;
        uint256 paid = affordable < one + other ? affordable : one + other;
        vm.assertEq(got[0] / terms.perPoint, paid);
        vm.assertEq(got[0] % terms.perPoint, 0);
    }

    // Claims

    function test_a_claim_pays_once_whoever_makes_it() public {
        _fund(ether_, BOB, 3 * RATE, 3 * RATE);
        ether_.onPoints(ALICE, 2);
        vm.expectEmit(address(ether_));
        emit IBounty.Claimed(ALICE, 2 * RATE);
        vm.prank(BOB);
        ether_.claim(ALICE);
        vm.assertEq(ALICE.balance, 2 * RATE);
        _expect(ether_, RATE, 0);
        _refuse(
            ether_, ALICE, 0, abi.encodeCall(ether_.claim, (ALICE)),
            abi.encodeWithSelector(IBounty.NothingToClaim.selector, ALICE)
        );
        vm.warp(uint256(UNTIL) + 1);
        ether_.reclaim();
        _refuse(
            ether_, ALICE, 0, abi.encodeCall(ether_.claim, (SPONSOR)),
            abi.encodeWithSelector(IBounty.NothingToClaim.selector, SPONSOR)
        );
    }

    function test_claims_in_tokens() public {
        _fund(tokens, SPONSOR, 3 * RATE, 0);
        tokens.onPoints(ALICE, 2);
        bytes memory call_ = abi.encodeCall(tokens.claim, (ALICE));
        token.be(BadToken.Mode.AnswersFalse);
        _refuse(
            tokens, ALICE, 0, call_,
            abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token))
        );
        token.be(BadToken.Mode.Refuses);
        _refuse(tokens, ALICE, 0, call_, abi.encodeWithSignature("Error(string)", "no"));
        token.be(BadToken.Mode.Honest);
        tokens.claim(ALICE);
        vm.assertEq(token.balanceOf(ALICE), 2 * RATE);
        vm.assertEq(token.balanceOf(address(tokens)), RATE);
    }

    function test_an_account_that_refuses_money_holds_up_nobody() public {
        Receiver receiver = new Receiver();
        _fund(ether_, BOB, 2 * RATE, 2 * RATE);
        ether_.onPoints(address(receiver), 1);
        ether_.onPoints(ALICE, 1);
        _refuse(
            ether_, BOB, 0, abi.encodeCall(ether_.claim, (address(receiver))),
            abi.encodeWithSelector(IBounty.PaymentFailed.selector, receiver, RATE)
        );
        ether_.claim(ALICE);
        vm.assertEq(ALICE.balance, RATE);
        vm.assertEq(ether_.owedTo(address(receiver)), RATE);
    }

    function test_who_comes_back_when_paid_gets_nothing_more() public {
        Receiver receiver = new Receiver();
        _fund(ether_, BOB, 4 * RATE, 4 * RATE);
        bytes[3] memory calls = [
            abi.encodeCall(ether_.claim, (address(receiver))),
            abi.encodeCall(ether_.claim, (ALICE)),
            abi.encodeCall(ether_.fund, (0))
        ];
        ether_.onPoints(ALICE, 1);
        for (uint256 i = 0; i < calls.length; ++i) {
            ether_.onPoints(address(receiver), 1);
            receiver.takeMoney(address(ether_), calls[i]);
            ether_.claim(address(receiver));
            vm.assertFalse(receiver.callSucceeded());
            vm.assertEq(address(receiver).balance, (i + 1) * RATE);
        }
        _expect(ether_, 0, RATE);
    }

    function test_a_token_that_calls_back_counts_nothing_twice() public {
        // While funding, and while paying, before anything moves.
        bytes[3] memory calls = [
            abi.encodeCall(tokens.fund, (0)),
            abi.encodeCall(tokens.claim, (ALICE)),
            abi.encodeCall(tokens.reclaim, ())
        ];
        _fund(tokens, SPONSOR, 10 * RATE, 0);
        tokens.onPoints(ALICE, 1);
        tokens.onPoints(BOB, 1);
        token.mint(address(tokens), 1); // so that an inner `fund` would find something
        for (uint256 i = 0; i < calls.length; ++i) {
            token.callBack(address(tokens), calls[i]);
            _fund(tokens, SPONSOR, RATE, 0);
            vm.assertFalse(token.callSucceeded());
        }
        _expect(tokens, 11 * RATE + 1, 2 * RATE);
        vm.warp(uint256(UNTIL) + 1);
        token.callBack(address(tokens), calls[2]);
        tokens.claim(BOB);
        vm.assertFalse(token.callSucceeded());
        token.callBack(address(tokens), calls[1]);
        tokens.reclaim();
        vm.assertFalse(token.callSucceeded());
        _expect(tokens, 0, RATE);
        vm.assertEq(token.balanceOf(address(tokens)), RATE);
        // And its own reentry is refused by the guard, not by chance.
        token.callBack(address(tokens), abi.encodeCall(tokens.claim, (ALICE)));
        tokens.claim(ALICE);
        vm.assertEq(token.balanceOf(ALICE), RATE);
    }

    // What nobody earned

    function test_the_sponsor_waits_for_the_end() public {
        _fund(ether_, BOB, 3 * RATE, 3 * RATE);
        vm.warp(UNTIL);
        _refuse(
            ether_, SPONSOR, 0, abi.encodeCall(ether_.reclaim, ()),
            abi.encodeWithSelector(IBounty.NotOver.selector, UNTIL)
        );
    }

    function test_the_sponsor_takes_nothing_that_is_earned() public {
        _fund(ether_, BOB, 3 * RATE, 3 * RATE);
        ether_.onPoints(ALICE, 2);
        vm.deal(address(ether_), 3 * RATE + 7); // and what came otherwise
        vm.warp(uint256(UNTIL) + 1);
        uint256 before = SPONSOR.balance;
        vm.expectEmit(address(ether_));
        emit IBounty.Reclaimed(SPONSOR, RATE + 7);
        vm.prank(BOB);
        ether_.reclaim();
        vm.assertEq(SPONSOR.balance - before, RATE + 7);
        _expect(ether_, 0, 2 * RATE);
        _refuse(
            ether_, SPONSOR, 0, abi.encodeCall(ether_.reclaim, ()),
            abi.encodeWithSelector(IBounty.NothingLeft.selector)
        );
        vm.warp(uint256(UNTIL) + 1000 days);
        ether_.claim(ALICE);
        vm.assertEq(ALICE.balance, 2 * RATE);
    }

    function test_a_balance_that_shrank_pays_the_first_and_not_the_sponsor() public {
        _fund(tokens, SPONSOR, 3 * RATE, 0);
        tokens.onPoints(ALICE, 1);
        tokens.onPoints(BOB, 1);
        token.burn(address(tokens), 2 * RATE);
        _refuse(
            tokens, SPONSOR, 0, abi.encodeCall(tokens.fund, (5)),
            abi.encodeWithSelector(IBounty.NothingReceived.selector)
        );
        vm.warp(uint256(UNTIL) + 1);
        _refuse(
            tokens, SPONSOR, 0, abi.encodeCall(tokens.reclaim, ()),
            abi.encodeWithSelector(IBounty.NothingLeft.selector)
        );
        tokens.claim(ALICE);
        vm.assertEq(token.balanceOf(ALICE), RATE);
    }

    function test_a_sponsor_that_takes_no_money_gets_none() public {
        IBounty.Terms memory terms = _terms(address(0));
        terms.sponsor = address(new Receiver());
        Bounty bounty = new Bounty(address(this), terms);
        _fund(bounty, BOB, 5, 5);
        vm.warp(uint256(UNTIL) + 1);
        _refuse(
            bounty, BOB, 0, abi.encodeCall(bounty.reclaim, ()),
            abi.encodeWithSelector(IBounty.PaymentFailed.selector, terms.sponsor, 5)
        );
        Receiver(payable(terms.sponsor)).takeMoney(
            address(bounty), abi.encodeCall(bounty.reclaim, ())
        );
        bounty.reclaim();
        vm.assertEq(terms.sponsor.balance, 5);
    }

    function _terms(address asset) private pure returns (IBounty.Terms memory) {
        return IBounty.Terms(SPONSOR, asset, RATE, UNTIL);
    }

    function _fund(Bounty bounty, address from, uint256 amount, uint256 valueWei) private {
        vm.prank(from);
        bounty.fund{value: valueWei}(amount);
    }

    function _expect(Bounty bounty, uint256 left, uint256 owed) private view {
        (uint256 left_, uint256 owed_) = bounty.budget();
        vm.assertEq(left_, left);
        vm.assertEq(owed_, owed);
    }

    function _state(Bounty bounty) private view returns (bytes32) {
        (uint256 left, uint256 owed) = bounty.budget();
        return keccak256(
            abi.encode(
                left,
                owed,
                bounty.owedTo(ALICE),
                bounty.owedTo(BOB),
                address(bounty).balance,
                token.balanceOf(address(bounty)),
                token.balanceOf(SPONSOR),
                SPONSOR.balance,
                ALICE.balance
            )
        );
    }

    function _refuse(
        Bounty bounty,
        address from,
        uint256 valueWei,
        bytes memory call_,
        bytes memory expected
    ) private {
        bytes32 before = _state(bounty);
        vm.prank(from);
        (bool ok, bytes memory answer) = address(bounty).call{value: valueWei}(call_);
        vm.assertFalse(ok, "was not refused");
        vm.assertEq(answer, expected);
        vm.assertEq(_state(bounty), before, "a refused call changed something");
    }

    function _refuseTerms(address incentive, IBounty.Terms memory terms, string memory field)
        private
    {
        vm.expectRevert(abi.encodeWithSelector(IBounty.InvalidTerms.selector, field));
        new Bounty(incentive, terms);
    }
}
