// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "../src/interfaces/IFederation.sol";
import {ContractMember} from "./helpers/Accounts.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

contract DepositsTest is FederationFixture {
    function setUp() public {
        deploy(defaultRules());
        inviteAndRegister(6);
    }

    function test_refund_of_an_agreed_update() public {
        uint64 round = runRound(4, 15);
        _expectClaims(round, 0, DEPOSIT, 0);
        uint256 before = account(0).balance;
        vm.expectEmit(address(federation));
        emit IFederation.Refunded(round, account(0), DEPOSIT);
        vm.prank(account(0));
        federation.refund(one(round));
        vm.assertEq(account(0).balance, before + DEPOSIT);
        _expectClaims(round, 0, 0, 0);
        _expectClaims(round, 1, DEPOSIT, 0);
    }

    function test_refund_of_a_cancelled_round() public {
        uint64 round = open();
        submitMany(round, 4);
        afterSubmitting(round);
        seal(round, 7);
        _expectClaims(round, 3, 0, 0);
        vm.prank(COORDINATOR);
        federation.cancelRound(round);
        for (uint256 i = 0; i < 4; ++i) {
            _expectClaims(round, i, DEPOSIT, 0); // 3 was left out: it gets its own back, too
            vm.prank(account(i));
            federation.refund(one(round));
            vm.assertEq(account(i).balance, DEPOSIT);
        }
        vm.assertEq(address(federation).balance, 6 * STAKE);
    }

    function test_refund_and_take_of_many_rounds_at_once() public {
        uint64[] memory rounds = new uint64[](3);
        for (uint256 i = 0; i < 3; ++i) {
            rounds[i] = runRound(4, 7); // 3 is left out: a third of its deposit for each
        }
        vm.prank(account(2));
        federation.refund(rounds);
        vm.assertEq(account(2).balance, 3 * DEPOSIT);
        vm.prank(account(2));
        federation.take(rounds);
        vm.assertEq(account(2).balance, 3 * DEPOSIT + 3 * (DEPOSIT / 3));
    }

    function test_take_gives_the_remainder_to_the_lowest_indices() public {
        uint64 round = runRound(5, 0x1a); // 0 and 2 forfeit; 1, 3 and 4 share
        uint256 share = (2 * DEPOSIT) / 3; // remainder 2
        _expectClaims(round, 1, DEPOSIT, share + 1);
        _expectClaims(round, 3, DEPOSIT, share + 1);
        _expectClaims(round, 4, DEPOSIT, share);
        _expectClaims(round, 0, 0, 0);
        vm.expectEmit(address(federation));
        emit IFederation.Taken(round, account(3), share + 1);
        vm.prank(account(3));
        federation.take(one(round));
        vm.assertEq(account(3).balance, share + 1);
        _expectClaims(round, 3, DEPOSIT, 0);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_everything_is_paid_out_to_the_last_wei(uint96 deposit, uint256 members)
        public
    {
        IFederation.Rules memory rules = defaultRules();
        rules.depositWei = uint96(_bound(deposit, 1, 100 ether));
        rules.minContributors = 2;
        deploy(rules);
        inviteAndRegister(6);
        members = _bound(members, 1, 63);
        if (members & (members - 1) == 0) members |= members == 1 ? 2 : 1; // at least two
        uint64 round = runRound(6, members);
        for (uint256 i = 0; i < 6; ++i) {
            (uint256 refundWei, uint256 takeWei) = federation.claimable(round, account(i));
            bool isSealed = (members >> i) & 1 == 1;
            vm.assertEq(refundWei, isSealed ? rules.depositWei : 0);
            uint256 before = account(i).balance;
            if (refundWei > 0) {
                vm.prank(account(i));
                federation.refund(one(round));
            }
            if (takeWei > 0) {
                vm.prank(account(i));
                federation.take(one(round));
            }
            vm.assertEq(account(i).balance, before + refundWei + takeWei);
        }
        vm.assertEq(address(federation).balance, 6 * STAKE);
    }

    function test_claims_outlive_membership() public {
        uint64 round = runRound(4, 7);
        vm.prank(account(0));
        federation.leave();
        uint256 before = account(0).balance;
        vm.prank(account(0));
        federation.refund(one(round));
        vm.prank(account(0));
        federation.take(one(round));
        vm.assertEq(account(0).balance, before + DEPOSIT + DEPOSIT / 3 + 1);
    }

    function test_claimable_is_nothing_while_a_round_runs() public {
        uint64 round = open();
        submitMany(round, 3);
        _expectClaims(round, 0, 0, 0);
        seal(round, 7);
        _expectClaims(round, 0, 0, 0);
        _refuseRefund(account(0), round);
        _refuseTake(account(0), round);
    }

    function test_refund_refuses_a_second_time() public {
        uint64 round = runRound(3, 7);
        vm.prank(account(0));
        federation.refund(one(round));
        _refuseRefund(account(0), round);
        // Twice in one list.
        uint64[] memory twice = new uint64[](2);
        (twice[0], twice[1]) = (round, round);
        refuse(
            account(1), 0, abi.encodeCall(IFederation.refund, (twice)), _nothing(round, account(1))
        );
    }

    function test_take_refuses_a_second_time() public {
        uint64 round = runRound(4, 7);
        vm.prank(account(0));
        federation.take(one(round));
        _refuseTake(account(0), round);
        uint64[] memory twice = new uint64[](2);
        (twice[0], twice[1]) = (round, round);
        refuse(
            account(1), 0, abi.encodeCall(IFederation.take, (twice)), _nothing(round, account(1))
        );
    }

    function test_refund_refuses_forfeited_and_foreign_deposits() public {
        uint64 round = runRound(4, 7);
        _refuseRefund(account(3), round); // forfeited
        _refuseRefund(account(4), round); // submitted nothing
        _refuseRefund(account(0), round + 1); // no such round
        refuse(
            STRANGER, 0, abi.encodeCall(IFederation.refund, (one(round))),
            abi.encodeWithSelector(IFederation.NotMember.selector, STRANGER)
        );
    }

    function test_take_refuses_those_without_a_share() public {
        uint64 round = runRound(4, 7);
        _refuseTake(account(3), round); // forfeited
        _refuseTake(account(4), round); // submitted nothing
        _refuseTake(account(0), round + 1); // no such round
        refuse(
            STRANGER, 0, abi.encodeCall(IFederation.take, (one(round))),
            abi.encodeWithSelector(IFederation.NotMember.selector, STRANGER)
        );
        _refuseTake(account(0), runRound(3, 7)); // nothing was forfeited
    }

    function test_a_stranger_is_owed_nothing_in_member_zeros_name() public {
        uint64 round = runRound(4, 7);
        (uint256 refundWei, uint256 takeWei) = federation.claimable(round, STRANGER);
        vm.assertEq(refundWei + takeWei, 0);
    }

    function test_no_deposit_means_nothing_to_pay() public {
        IFederation.Rules memory rules = defaultRules();
        rules.depositWei = 0;
        deploy(rules);
        inviteAndRegister(4);
        uint64 round = runRound(4, 7);
        _refuseRefund(account(0), round);
        _refuseTake(account(0), round);
    }

    function test_payments_that_fail_change_nothing() public {
        (ContractMember member, uint64 round) = _roundWithContract();
        bytes memory failed = abi.encodeWithSelector(
            IFederation.PaymentFailed.selector, address(member), DEPOSIT
        );
        vm.expectRevert(failed);
        member.run(0, abi.encodeCall(IFederation.refund, (one(round))));
        (uint256 refundWei,) = federation.claimable(round, address(member));
        vm.assertEq(refundWei, DEPOSIT);
        // The others are not held up.
        vm.prank(account(0));
        federation.refund(one(round));
    }

    function test_refund_and_take_cannot_be_reentered() public {
        (ContractMember member, uint64 round) = _roundWithContract();
        bytes memory refunding = abi.encodeCall(IFederation.refund, (one(round)));
        bytes memory taking = abi.encodeCall(IFederation.take, (one(round)));
        member.takeMoney(taking);
        member.run(0, refunding);
        vm.assertFalse(member.reentrySucceeded());
        vm.assertEq(address(member).balance, DEPOSIT);
        member.takeMoney(refunding);
        member.run(0, taking);
        vm.assertFalse(member.reentrySucceeded());
        vm.assertEq(address(member).balance, DEPOSIT + DEPOSIT / 3);
    }

    /// @dev Members 0, 1 and 6, a contract, are sealed; 2 forfeits.
    function _roundWithContract() private returns (ContractMember member, uint64 round) {
        member = new ContractMember(federation);
        address[] memory accounts = new address[](1);
        accounts[0] = address(member);
        federation.invite(accounts);
        vm.deal(address(member), STAKE + DEPOSIT);
        (bytes memory key, bytes memory proof) = keyAndProof(6);
        member.run(STAKE, abi.encodeCall(IFederation.register, (key, proof)));
        round = open();
        submitMany(round, 3);
        member.run(DEPOSIT, abi.encodeCall(IFederation.submitUpdate, (round, keccak256("x"))));
        afterSubmitting(round);
        seal(round, 0x43);
        finalize(round, 0x43);
        vm.assertEq(address(member).balance, 0);
    }

    function _expectClaims(uint64 round, uint256 member, uint256 refundWei, uint256 takeWei)
        private
        view
    {
        (uint256 refund_, uint256 take_) = federation.claimable(round, account(member));
        vm.assertEq(refund_, refundWei, "refund");
        vm.assertEq(take_, takeWei, "take");
    }

    function _nothing(uint64 round, address who) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFederation.NothingToPay.selector, round, who);
    }

    function _refuseRefund(address who, uint64 round) private {
        refuse(who, 0, abi.encodeCall(IFederation.refund, (one(round))), _nothing(round, who));
    }

    function _refuseTake(address who, uint64 round) private {
        refuse(who, 0, abi.encodeCall(IFederation.take, (one(round))), _nothing(round, who));
    }
}
