// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "../src/interfaces/IFederation.sol";
import {Digests} from "../src/lib/Digests.sol";
import {GreedyAssessor, RecordingAssessor} from "./helpers/Assessors.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";
import {Headers} from "./helpers/Headers.sol";

/// @notice Rounds whose updates are judged: committed, drawn, then sealed.
contract CommitmentsTest is FederationFixture {
    /// @dev Of EIP-2935: 8191 blocks.
    uint256 private constant REMEMBERED = 8191;

    RecordingAssessor private assessor;

    function setUp() public {
        _deployWith(new RecordingAssessor());
    }

    function _deployWith(RecordingAssessor assessor_) private {
        assessor = assessor_;
        IFederation.Rules memory rules = defaultRules();
        rules.assessment = address(assessor);
        deploy(rules);
        assessor.setFederation(address(federation));
        inviteAndRegister(5);
    }

    function _committed(uint256 submitted, uint256 members) private returns (uint64 round) {
        round = open();
        submitMany(round, submitted);
        afterSubmitting(round);
        commit(round, members);
    }

    // openRound

    function test_openRound_refuses_an_assessor_of_another_federation() public {
        assessor.setFederation(address(this));
        refuse(
            COORDINATOR, 0, abi.encodeCall(IFederation.openRound, (1, MODEL_0)),
            abi.encodeWithSelector(IFederation.NotReady.selector, address(assessor))
        );
        assessor.setFederation(address(federation));
        // Another deposit would let no round be finalised.
        assessor.setDeposit(DEPOSIT - 1);
        refuse(
            COORDINATOR, 0, abi.encodeCall(IFederation.openRound, (1, MODEL_0)),
            abi.encodeWithSelector(IFederation.NotReady.selector, address(assessor))
        );
        assessor.setDeposit(DEPOSIT);
        open();
    }

    // commitRound

    function test_commitRound_fixes_list_and_draw() public {
        uint64 round = open();
        submitMany(round, 5);
        afterSubmitting(round);
        vm.roll(100);
        vm.expectEmit(address(federation));
        emit IFederation.RoundCommitted(round, _bitmap(0x17), 102);
        commit(round, 0x17);
        IFederation.Commitment memory found = federation.commitmentOf(round);
        vm.assertEq(found.drawBlock, 102);
        bytes32 expected;
        for (uint256 i = 0; i < 5; ++i) {
            if (i == 3) continue;
            expected = keccak256(abi.encode(expected, i, updateOf(round, i)));
        }
        vm.assertEq(found.listDigest, expected);
        vm.assertEq(found.randomness, bytes32(0));
        vm.assertEq(found.scoresDigest, bytes32(0));
        vm.assertEq(federation.committedMembers(round), _bitmap(0x17));
        vm.assertTrue(federation.getRound(round).state == IFederation.RoundState.Committed);
        vm.assertTrue(federation.updateState(round, 0) == IFederation.UpdateState.Submitted);
    }

    function test_commitRound_is_the_coordinators() public {
        uint64 round = open();
        submitMany(round, 3);
        _refuseCommit(
            STRANGER, round, 7,
            abi.encodeWithSelector(IFederation.NotCoordinator.selector, STRANGER)
        );
    }

    function test_commitRound_refuses_a_federation_that_is_not_assessed() public {
        deploy(defaultRules());
        inviteAndRegister(3);
        uint64 round = open();
        submitMany(round, 3);
        _refuseCommit(
            COORDINATOR, round, 7,
            abi.encodeWithSelector(IFederation.WrongSealing.selector, address(0))
        );
        refuse(
            COORDINATOR, 0,
            abi.encodeCall(IFederation.sealAssessedRound, (round, SUM, _bitmap(7), SCORES)),
            _wrongState(round, IFederation.RoundState.Open)
        );
        seal(round, 7);
    }

    function test_commitRound_refuses_rounds_that_are_not_open() public {
        _refuseCommit(COORDINATOR, 1, 7, _wrongState(1, IFederation.RoundState.None));
        uint64 round = _committed(3, 7);
        _refuseCommit(
            COORDINATOR, round, 7, _wrongState(round, IFederation.RoundState.Committed)
        );
    }

    function test_commitRound_until_the_deadlines_last_second() public {
        uint64 round = open();
        submitMany(round, 3);
        afterFinalizing(round);
        uint64 deadline = federation.getRound(round).finalizeDeadline;
        _refuseCommit(
            COORDINATOR, round, 7,
            abi.encodeWithSelector(
                IFederation.DeadlinePassed.selector, round, deadline, block.timestamp
            )
        );
        vm.warp(deadline);
        commit(round, 7);
    }

    function test_commitRound_refuses_lists_that_cannot_be() public {
        uint64 round = open();
        submitMany(round, 4);
        _refuseCommit(
            COORDINATOR, round, 0x17, abi.encodeWithSelector(IFederation.NotSubmitted.selector, 4)
        );
        uint64 deadline = federation.getRound(round).submitDeadline;
        _refuseCommit(
            COORDINATOR, round, 7,
            abi.encodeWithSelector(
                IFederation.DeadlineNotReached.selector, round, deadline, block.timestamp
            )
        );
        afterSubmitting(round);
        _refuseCommit(
            COORDINATOR, round, 3,
            abi.encodeWithSelector(IFederation.TooFewContributors.selector, 2, 3)
        );
        commit(round, 7);
    }

    function test_nothing_is_submitted_after_the_list_is_committed() public {
        uint64 round = open();
        submitMany(round, 3);
        commit(round, 7); // before the deadline: everybody is on it
        refuse(
            account(3), DEPOSIT,
            abi.encodeCall(IFederation.submitUpdate, (round, updateOf(round, 3))),
            _wrongState(round, IFederation.RoundState.Committed)
        );
    }

    function test_nobody_leaves_while_its_update_is_judged() public {
        uint64 round = _committed(3, 7);
        refuse(
            account(0), 0, abi.encodeCall(IFederation.leave, ()),
            abi.encodeWithSelector(IFederation.MemberBusy.selector, account(0), round)
        );
    }

    // drawRound

    function test_drawRound_by_anyone_gives_the_same() public {
        uint64 round = _committed(3, 7);
        bytes memory header = drawHeader(round, keccak256("randao"));
        bytes32 listDigest = federation.commitmentOf(round).listDigest;
        bytes32 expected = keccak256(
            abi.encode(
                keccak256("ddcai.v1.draw"), block.chainid, address(federation), round, listDigest,
                keccak256("randao")
            )
        );
        vm.roll(block.number + 50);
        vm.expectEmit(address(federation));
        emit IFederation.RoundDrawn(round, expected);
        vm.prank(STRANGER);
        federation.drawRound(round, header);
        vm.assertEq(federation.commitmentOf(round).randomness, expected);
    }

    function test_drawRound_of_other_updates_gives_something_else() public {
        uint64 round = _committed(4, 7);
        bytes32 listDigest = federation.commitmentOf(round).listDigest;
        vm.prank(COORDINATOR);
        federation.cancelRound(round);
        // Another round and list, the same RANDAO value.
        uint64 next = _committed(4, 0xb);
        vm.assertTrue(federation.commitmentOf(next).listDigest != listDigest);
        federation.drawRound(next, drawHeader(next, keccak256("randao")));
        vm.assertTrue(
            federation.commitmentOf(next).randomness
                != keccak256(
                    abi.encode(
                        keccak256("ddcai.v1.draw"), block.chainid, address(federation), next,
                        listDigest, keccak256("randao")
                    )
                )
        );
    }

    function test_drawRound_refuses_before_its_block_is_known() public {
        uint64 round = _committed(3, 7);
        uint256 drawBlock = federation.commitmentOf(round).drawBlock;
        bytes memory header = Headers.header(drawBlock, keccak256("randao"));
        vm.roll(drawBlock);
        _refuseDraw(
            round, header,
            abi.encodeWithSelector(IFederation.DrawTooEarly.selector, round, drawBlock)
        );
    }

    function test_drawRound_refuses_once_the_chain_forgot_its_block() public {
        uint64 round = _committed(3, 7);
        uint256 drawBlock = federation.commitmentOf(round).drawBlock;
        bytes memory header = Headers.header(drawBlock, keccak256("randao"));
        vm.roll(drawBlock + REMEMBERED + 1);
        _refuseDraw(
            round, header,
            abi.encodeWithSelector(IFederation.DrawLapsed.selector, round, drawBlock)
        );
    }

    function test_drawRound_refuses_any_other_header() public {
        uint64 round = _committed(3, 7);
        drawHeader(round, keccak256("randao"));
        uint256 drawBlock = federation.commitmentOf(round).drawBlock;
        bytes memory wrong = abi.encodeWithSelector(IFederation.WrongHeader.selector, drawBlock);
        _refuseDraw(round, Headers.header(drawBlock, keccak256("a better one")), wrong);
        // The one after, which the chain knows too.
        bytes memory next = Headers.header(drawBlock + 1, keccak256("randao"));
        vm.roll(drawBlock + 5);
        vm.setBlockhash(drawBlock + 1, keccak256(next));
        _refuseDraw(round, next, wrong);
    }

    function test_drawRound_happens_once() public {
        uint64 round = _committed(3, 7);
        draw(round);
        _refuseDraw(
            round, drawHeader(round, keccak256("again")),
            abi.encodeWithSelector(IFederation.AlreadyDrawn.selector, round)
        );
    }

    function test_drawRound_refuses_rounds_that_are_not_committed() public {
        open();
        _refuseDraw(1, "", _wrongState(1, IFederation.RoundState.Open));
    }

    // sealAssessedRound

    function test_sealAssessedRound_takes_the_accepted_ones() public {
        uint64 round = _committed(5, 0x1f);
        draw(round);
        vm.expectEmit(address(federation));
        emit IFederation.RoundAssessed(round, SCORES);
        vm.expectEmit(address(federation));
        emit IFederation.RoundSealed(round, SUM, _bitmap(0xb));
        sealAssessed(round, 0xb);
        vm.assertEq(federation.sealedMembers(round), _bitmap(0xb));
        vm.assertEq(federation.committedMembers(round), _bitmap(0x1f));
        vm.assertEq(federation.commitmentOf(round).scoresDigest, SCORES);
        vm.assertTrue(federation.updateState(round, 2) == IFederation.UpdateState.Submitted);
        vm.assertTrue(federation.updateState(round, 3) == IFederation.UpdateState.Sealed);
    }

    function test_sealAssessedRound_refuses_what_cannot_be() public {
        uint64 round = _committed(4, 0xf);
        bytes memory honest =
            abi.encodeCall(IFederation.sealAssessedRound, (round, SUM, _bitmap(7), SCORES));
        refuse(
            COORDINATOR, 0, honest, abi.encodeWithSelector(IFederation.NotDrawn.selector, round)
        );
        draw(round);
        refuse(
            STRANGER, 0, honest,
            abi.encodeWithSelector(IFederation.NotCoordinator.selector, STRANGER)
        );
        bytes memory zero = abi.encodeWithSelector(IFederation.ZeroDigest.selector);
        _refuseSeal(round, SUM, 7, bytes32(0), zero);
        _refuseSeal(round, bytes32(0), 7, SCORES, zero);
        _refuseSeal(
            round, SUM, 3, SCORES,
            abi.encodeWithSelector(IFederation.TooFewContributors.selector, 2, 3)
        );
        _refuseSeal(
            round, SUM, 0x17, SCORES, abi.encodeWithSelector(IFederation.NotCommitted.selector, 4)
        );
        afterFinalizing(round);
        _refuseSeal(
            round, SUM, 7, SCORES,
            abi.encodeWithSelector(
                IFederation.DeadlinePassed.selector,
                round,
                federation.getRound(round).finalizeDeadline,
                block.timestamp
            )
        );
    }

    function test_sealAssessedRound_refuses_whom_the_list_left_out() public {
        uint64 round = _committed(5, 0xf); // member 4 submitted
        draw(round);
        _refuseSeal(
            round, SUM, 0x1f, SCORES, abi.encodeWithSelector(IFederation.NotCommitted.selector, 4)
        );
    }

    function test_sealRound_is_for_others() public {
        uint64 round = open();
        submitMany(round, 3);
        refuse(
            COORDINATOR, 0, abi.encodeCall(IFederation.sealRound, (round, SUM, _bitmap(7))),
            abi.encodeWithSelector(IFederation.WrongSealing.selector, address(assessor))
        );
    }

    // finalizeRound

    function test_finalizeRound_hands_the_committed_deposits_over() public {
        uint64 round = _committed(5, 0xf); // member 4 submitted, and did not deliver
        draw(round);
        sealAssessed(round, 0xb);
        vm.assertEq(address(federation).balance, 5 * (uint256(DEPOSIT) + STAKE));
        finalize(round, 0xb);
        vm.assertEq(address(federation).balance, 5 * uint256(STAKE) + DEPOSIT);
        vm.assertEq(assessor.count(), 1);
        vm.assertEq(assessor.rounds(0), round);
        vm.assertEq(assessor.amounts(0), 4 * uint256(DEPOSIT));
        vm.assertEq(assessor.lists(0), keccak256(abi.encode(_bitmap(0xf))));
        vm.assertTrue(assessor.stateThen() == IFederation.RoundState.Finalized);
        for (uint256 i = 0; i < 4; ++i) {
            vm.assertTrue(federation.updateState(round, i) == IFederation.UpdateState.Assessed);
            refuse(
                account(i), 0, abi.encodeCall(IFederation.refund, (one(round))),
                abi.encodeWithSelector(IFederation.NothingToPay.selector, round, account(i))
            );
        }
    }

    function test_who_does_not_deliver_forfeits_to_the_sealed_contributors() public {
        uint64 round = _committed(5, 0xf);
        draw(round);
        sealAssessed(round, 0xb);
        finalize(round, 0xb);
        vm.assertTrue(federation.updateState(round, 4) == IFederation.UpdateState.Forfeited);
        uint256 paid = 0;
        for (uint256 i = 0; i < 5; ++i) {
            (uint256 refundWei, uint256 takeWei) = federation.claimable(round, account(i));
            vm.assertEq(refundWei, 0);
            bool isSealed = (0xb >> i) & 1 == 1;
            vm.assertEq(takeWei > 0, isSealed);
            if (!isSealed) continue;
            vm.prank(account(i));
            federation.take(one(round));
            paid += takeWei;
        }
        vm.assertEq(paid, DEPOSIT);
        vm.assertEq(address(federation).balance, 5 * uint256(STAKE));
    }

    function test_finalizeRound_needs_the_sealing() public {
        uint64 round = _committed(3, 7);
        draw(round);
        refuse(
            STRANGER, 0, finalizing(round, 7),
            _wrongState(round, IFederation.RoundState.Committed)
        );
    }

    function test_finalizeRound_cannot_be_used_to_pay_twice() public {
        _deployWith(new GreedyAssessor());
        uint64 round = _committed(3, 7);
        draw(round);
        sealAssessed(round, 7);
        (bool ok,) = address(federation).call(finalizing(round, 7));
        vm.assertFalse(ok, "reentered");
        vm.assertEq(address(federation).balance, 3 * uint256(DEPOSIT) + 5 * uint256(STAKE));
    }

    // cancelRound

    function test_cancelRound_returns_deposits_before_anything_is_judged() public {
        uint64 round = _committed(4, 0xf);
        draw(round);
        afterFinalizing(round);
        vm.prank(STRANGER);
        federation.cancelRound(round);
        vm.assertTrue(federation.updateState(round, 2) == IFederation.UpdateState.Returned);
        vm.prank(account(2));
        federation.refund(one(round));
        vm.assertEq(assessor.count(), 0);
        vm.assertEq(open(), round + 1);
    }

    function test_openRound_refuses_while_one_is_committed() public {
        uint64 round = _committed(3, 7);
        refuse(
            COORDINATOR, 0, abi.encodeCall(IFederation.openRound, (round + 1, MODEL_0)),
            _wrongState(round, IFederation.RoundState.Committed)
        );
    }

    function test_randomness_is_the_librarys() public {
        string memory json = vm.readFile("test/vectors/digests.json");
        address at = vm.parseJsonAddress(json, ".contract");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        vm.etch(at, address(new DrawnDigest()).code);
        vm.assertEq(
            DrawnDigest(at).drawn(
                uint64(vm.parseJsonUint(json, ".round")),
                vm.parseJsonBytes32(json, ".listDigest"),
                vm.parseJsonBytes32(json, ".prevRandao")
            ),
            vm.parseJsonBytes32(json, ".randomness")
        );
    }

    function _wrongState(uint64 round, IFederation.RoundState state)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IFederation.WrongState.selector, round, state);
    }

    function _refuseCommit(address who, uint64 round, uint256 members, bytes memory error_)
        private
    {
        refuse(who, 0, abi.encodeCall(IFederation.commitRound, (round, _bitmap(members))), error_);
    }

    function _refuseDraw(uint64 round, bytes memory header, bytes memory error_) private {
        refuse(STRANGER, 0, abi.encodeCall(IFederation.drawRound, (round, header)), error_);
    }

    function _refuseSeal(
        uint64 round,
        bytes32 sum,
        uint256 members,
        bytes32 scores,
        bytes memory error_
    ) private {
        refuse(
            COORDINATOR, 0,
            abi.encodeCall(IFederation.sealAssessedRound, (round, sum, _bitmap(members), scores)),
            error_
        );
    }
}

/// @dev The library's function, at an address of a test's choice.
contract DrawnDigest {
    function drawn(uint64 round, bytes32 listDigest, bytes32 prevRandao)
        external
        view
        returns (bytes32)
    {
        return Digests.drawn(round, listDigest, prevRandao);
    }
}
