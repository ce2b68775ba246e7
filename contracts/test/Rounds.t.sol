// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BlsQuorum} from "../src/BlsQuorum.sol";
import {Federation} from "../src/Federation.sol";
import {PerceptronHead} from "../src/PerceptronHead.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

contract RoundsTest is FederationFixture {
    function setUp() public {
        deploy(defaultRules());
        inviteAndRegister(5);
    }

    // openRound

    function test_openRound_records_base_and_deadlines() public {
        vm.expectEmit(address(federation));
        emit IFederation.RoundOpened(
            1, MODEL_0, keccak256("config"), uint64(START + SUBMIT_S),
            uint64(START + SUBMIT_S + FINALIZE_S)
        );
        vm.assertEq(open(), 1);
        IFederation.Round memory round = federation.getRound(1);
        vm.assertTrue(round.state == IFederation.RoundState.Open);
        vm.assertEq(round.submitDeadline, START + SUBMIT_S);
        vm.assertEq(round.finalizeDeadline, START + SUBMIT_S + FINALIZE_S);
        vm.assertEq(uint256(round.submittedCount) + round.sealedCount, 0);
        vm.assertEq(round.baseModelDigest, MODEL_0);
        vm.assertEq(round.sumDigest, bytes32(0));
        vm.assertEq(federation.lastRound(), 1);
        vm.assertEq(federation.sealedMembers(1).length, 0);
    }

    function test_openRound_is_the_coordinators() public {
        _refuseOpen(
            address(this), 1, MODEL_0,
            abi.encodeWithSelector(IFederation.NotCoordinator.selector, address(this))
        );
    }

    function test_openRound_refuses_another_number() public {
        _refuseOpen(
            COORDINATOR, 0, MODEL_0, abi.encodeWithSelector(IFederation.WrongRound.selector, 0, 1)
        );
        _refuseOpen(
            COORDINATOR, 2, MODEL_0, abi.encodeWithSelector(IFederation.WrongRound.selector, 2, 1)
        );
    }

    function test_openRound_refuses_another_base_model() public {
        bytes32 other = keccak256("other");
        _refuseOpen(
            COORDINATOR, 1, other,
            abi.encodeWithSelector(IFederation.WrongBaseModel.selector, other, MODEL_0)
        );
    }

    function test_openRound_refuses_while_one_is_running() public {
        open();
        _refuseOpen(
            COORDINATOR, 2, MODEL_0, _wrongState(1, IFederation.RoundState.Open)
        );
        submitMany(1, 3);
        seal(1, 7);
        _refuseOpen(
            COORDINATOR, 2, MODEL_0, _wrongState(1, IFederation.RoundState.Sealed)
        );
        finalize(1, 7);
        vm.assertEq(open(), 2);
        vm.assertEq(federation.getRound(2).baseModelDigest, modelOf(1));
    }

    function test_openRound_refuses_before_it_owns_its_parts() public {
        quorum = new BlsQuorum();
        head = new PerceptronHead(16, 2);
        federation = new Federation(defaultRules(), MODEL_0, quorum, head, new address[](0));
        bytes4 notReady = IFederation.NotReady.selector;
        _refuseOpen(COORDINATOR, 1, MODEL_0, abi.encodeWithSelector(notReady, address(quorum)));
        quorum.transferOwnership(address(federation));
        _refuseOpen(COORDINATOR, 1, MODEL_0, abi.encodeWithSelector(notReady, address(head)));
        head.transferOwnership(address(federation));
        open();
    }

    function test_a_cancelled_round_uses_up_its_number() public {
        open();
        vm.prank(COORDINATOR);
        federation.cancelRound(1);
        vm.assertEq(open(), 2);
        vm.assertEq(federation.getRound(2).baseModelDigest, MODEL_0);
    }

    // submitUpdate

    function test_submitUpdate_records_digest_and_deposit() public {
        open();
        vm.expectEmit(address(federation));
        emit IFederation.UpdateSubmitted(1, account(2), updateOf(1, 2), DEPOSIT);
        uint256 before = address(federation).balance;
        submit(1, 2);
        vm.assertEq(address(federation).balance, before + DEPOSIT);
        vm.assertEq(federation.updateDigest(1, 2), updateOf(1, 2));
        vm.assertEq(federation.updateDigest(1, 1), bytes32(0));
        vm.assertTrue(federation.updateState(1, 2) == IFederation.UpdateState.Submitted);
        vm.assertTrue(federation.updateState(1, 1) == IFederation.UpdateState.None);
        vm.assertEq(federation.getRound(1).submittedCount, 1);
    }

    function test_submitUpdate_refuses_strangers_and_those_that_left() public {
        open();
        _refuseSubmit(
            STRANGER, DEPOSIT, 1, SUM, abi.encodeWithSelector(IFederation.NotMember.selector, STRANGER)
        );
        vm.prank(account(0));
        federation.leave();
        _refuseSubmit(
            account(0), DEPOSIT, 1, SUM,
            abi.encodeWithSelector(IFederation.NotMember.selector, account(0))
        );
    }

    function test_submitUpdate_refuses_rounds_that_are_not_open() public {
        _refuseSubmit(account(4), DEPOSIT, 1, SUM, _wrongState(1, IFederation.RoundState.None));
        open();
        submitMany(1, 3);
        seal(1, 7);
        _refuseSubmit(account(4), DEPOSIT, 1, SUM, _wrongState(1, IFederation.RoundState.Sealed));
        finalize(1, 7);
        _refuseSubmit(account(4), DEPOSIT, 1, SUM, _wrongState(1, IFederation.RoundState.Finalized));
        open();
        vm.prank(COORDINATOR);
        federation.cancelRound(2);
        _refuseSubmit(account(4), DEPOSIT, 2, SUM, _wrongState(2, IFederation.RoundState.Cancelled));
    }

    function test_submitUpdate_until_the_deadlines_last_second() public {
        open();
        vm.warp(START + SUBMIT_S);
        submit(1, 0);
        vm.warp(START + SUBMIT_S + 1);
        _refuseSubmit(
            account(1), DEPOSIT, 1, SUM,
            abi.encodeWithSelector(
                IFederation.DeadlinePassed.selector, 1, START + SUBMIT_S, START + SUBMIT_S + 1
            )
        );
    }

    function test_submitUpdate_refuses_a_zero_digest() public {
        open();
        _refuseSubmit(
            account(0), DEPOSIT, 1, 0, abi.encodeWithSelector(IFederation.ZeroDigest.selector)
        );
    }

    function test_submitUpdate_refuses_another_deposit() public {
        open();
        uint256[3] memory wrong = [uint256(0), DEPOSIT - 1, DEPOSIT + 1];
        for (uint256 i = 0; i < wrong.length; ++i) {
            _refuseSubmit(
                account(0), wrong[i], 1, SUM,
                abi.encodeWithSelector(IFederation.WrongDeposit.selector, wrong[i], DEPOSIT)
            );
        }
    }

    function test_submitUpdate_refuses_a_second_one() public {
        open();
        submit(1, 0);
        _refuseSubmit(
            account(0), DEPOSIT, 1, SUM,
            abi.encodeWithSelector(IFederation.AlreadySubmitted.selector, 1, account(0))
        );
    }

    // sealRound

    function test_sealRound_with_all_needs_no_waiting() public {
        open();
        submitMany(1, 4);
        vm.expectEmit(address(federation));
        emit IFederation.RoundSealed(1, SUM, _bitmap(15));
        seal(1, 15);
        IFederation.Round memory round = federation.getRound(1);
        vm.assertTrue(round.state == IFederation.RoundState.Sealed);
        vm.assertEq(round.sumDigest, SUM);
        vm.assertEq(round.submittedCount, 4);
        vm.assertEq(round.sealedCount, 4);
        vm.assertEq(federation.sealedMembers(1), _bitmap(15));
        vm.assertTrue(federation.updateState(1, 3) == IFederation.UpdateState.Sealed);
        vm.assertTrue(federation.updateState(1, 4) == IFederation.UpdateState.None);
    }

    function test_sealRound_leaves_out_after_the_deadline_only() public {
        open();
        submitMany(1, 5);
        vm.warp(START + SUBMIT_S);
        _refuseSeal(
            COORDINATOR, SUM, _bitmap(0x1b),
            abi.encodeWithSelector(
                IFederation.DeadlineNotReached.selector, 1, START + SUBMIT_S, START + SUBMIT_S
            )
        );
        vm.warp(START + SUBMIT_S + 1);
        seal(1, 0x1b);
        vm.assertEq(federation.getRound(1).sealedCount, 4);
        vm.assertTrue(federation.updateState(1, 2) == IFederation.UpdateState.Submitted);
        vm.assertTrue(federation.updateState(1, 3) == IFederation.UpdateState.Sealed);
    }

    function test_sealRound_takes_trailing_zero_words() public {
        open();
        submitMany(1, 3);
        uint256[] memory members = new uint256[](6);
        members[0] = 7;
        vm.prank(COORDINATOR);
        federation.sealRound(1, SUM, members);
        vm.assertEq(federation.sealedMembers(1), _bitmap(7));
    }

    function test_sealRound_is_the_coordinators() public {
        open();
        submitMany(1, 3);
        _refuseSeal(
            account(0), SUM, _bitmap(7),
            abi.encodeWithSelector(IFederation.NotCoordinator.selector, account(0))
        );
    }

    function test_sealRound_refuses_rounds_that_are_not_open() public {
        _refuseSeal(COORDINATOR, SUM, _bitmap(7), _wrongState(1, IFederation.RoundState.None));
        open();
        submitMany(1, 3);
        seal(1, 7);
        _refuseSeal(COORDINATOR, SUM, _bitmap(7), _wrongState(1, IFederation.RoundState.Sealed));
        vm.prank(COORDINATOR);
        federation.cancelRound(1);
        _refuseSeal(COORDINATOR, SUM, _bitmap(7), _wrongState(1, IFederation.RoundState.Cancelled));
    }

    function test_sealRound_refuses_after_the_finalize_deadline() public {
        open();
        submitMany(1, 3);
        uint256 deadline = START + SUBMIT_S + FINALIZE_S;
        vm.warp(deadline + 1);
        _refuseSeal(
            COORDINATOR, SUM, _bitmap(7),
            abi.encodeWithSelector(IFederation.DeadlinePassed.selector, 1, deadline, deadline + 1)
        );
    }

    function test_sealRound_refuses_a_zero_sum() public {
        open();
        submitMany(1, 3);
        _refuseSeal(
            COORDINATOR, 0, _bitmap(7), abi.encodeWithSelector(IFederation.ZeroDigest.selector)
        );
    }

    function test_sealRound_refuses_members_without_an_update() public {
        open();
        submitMany(1, 3);
        bytes4 notSubmitted = IFederation.NotSubmitted.selector;
        _refuseSeal(COORDINATOR, SUM, _bitmap(15), abi.encodeWithSelector(notSubmitted, 3));
        _refuseSeal(
            COORDINATOR, SUM, _bitmap(7 | (1 << 255)), abi.encodeWithSelector(notSubmitted, 255)
        );
        uint256[] memory members = new uint256[](9);
        members[0] = 7;
        members[8] = 2;
        _refuseSeal(COORDINATOR, SUM, members, abi.encodeWithSelector(notSubmitted, 2049));
    }

    function test_sealRound_refuses_too_few() public {
        open();
        submitMany(1, 4);
        afterSubmitting(1);
        bytes4 tooFew = IFederation.TooFewContributors.selector;
        _refuseSeal(COORDINATOR, SUM, _bitmap(3), abi.encodeWithSelector(tooFew, 2, 3));
        _refuseSeal(COORDINATOR, SUM, _bitmap(0), abi.encodeWithSelector(tooFew, 0, 3));
        _refuseSeal(COORDINATOR, SUM, new uint256[](0), abi.encodeWithSelector(tooFew, 0, 3));
    }

    function _wrongState(uint64 round, IFederation.RoundState state)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IFederation.WrongState.selector, round, state);
    }

    function _refuseOpen(address who, uint64 round, bytes32 base, bytes memory error_) private {
        refuse(who, 0, abi.encodeCall(IFederation.openRound, (round, base)), error_);
    }

    function _refuseSubmit(
        address who,
        uint256 valueWei,
        uint64 round,
        bytes32 digest,
        bytes memory error_
    ) private {
        refuse(who, valueWei, abi.encodeCall(IFederation.submitUpdate, (round, digest)), error_);
    }

    function _refuseSeal(address who, bytes32 sum, uint256[] memory members, bytes memory error_)
        private
    {
        refuse(who, 0, abi.encodeCall(IFederation.sealRound, (1, sum, members)), error_);
    }
}
