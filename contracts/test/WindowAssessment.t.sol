// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {WindowAssessment} from "../src/WindowAssessment.sol";
import {IAssessment} from "../src/interfaces/IAssessment.sol";
import {IAssessor} from "../src/interfaces/IAssessor.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {AssessmentFixture} from "./helpers/AssessmentFixture.sol";
import {BlsSigner} from "./helpers/BlsSigner.sol";

/// @notice Windows, verdicts, disputes and payments, each with its refusals.
contract WindowAssessmentTest is AssessmentFixture {
    uint256 private constant ALL = 10 * uint256(DEPOSIT); // of a full window

    function setUp() public {
        deployAssessed();
    }

    function _state(uint64 window, IAssessment.State state) private view {
        vm.assertTrue(assessment.stateOf(window) == state);
    }

    function _wrongState(uint64 window, IAssessment.State state)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IAssessment.WrongWindowState.selector, window, state);
    }

    // constructor

    function test_rules_are_as_given() public view {
        vm.assertEq(
            keccak256(abi.encode(assessment.rules())), keccak256(abi.encode(assessmentRules()))
        );
        vm.assertEq(assessment.federation(), address(federation));
    }

    function test_constructor_refuses_nonsense() public {
        IAssessment.Rules memory rules = assessmentRules();
        rules.windowRounds = 0;
        _refuseRules(rules, "windowRounds");
        rules.windowRounds = 256;
        _refuseRules(rules, "windowRounds");
        rules = assessmentRules();
        rules.verdictPeriodS = 0;
        _refuseRules(rules, "verdictPeriodS");
        rules = assessmentRules();
        rules.disputePeriodS = 0;
        _refuseRules(rules, "disputePeriodS");
        rules = assessmentRules();
        rules.resolvePeriodS = 0;
        _refuseRules(rules, "resolvePeriodS");
        rules = assessmentRules();
        rules.anyoneWaitS = TAKE_S - 1;
        _refuseRules(rules, "anyoneWaitS");
        vm.expectRevert(abi.encodeWithSelector(IAssessment.InvalidRules.selector, "federation"));
        new WindowAssessment(address(0), assessmentRules());
    }

    function _refuseRules(IAssessment.Rules memory rules, string memory field) private {
        vm.expectRevert(abi.encodeWithSelector(IAssessment.InvalidRules.selector, field));
        new WindowAssessment(address(federation), rules);
    }

    // onFinalized

    function test_rounds_fill_windows_in_order() public {
        uint64 first = judgedRound(5, 0x1f);
        _state(1, IAssessment.State.Filling);
        uint64 second = judgedRound(4, 0xf);
        _state(1, IAssessment.State.Full);
        judgedRound(3, 7);
        _state(2, IAssessment.State.Filling);
        uint64[] memory rounds = assessment.roundsOf(1);
        vm.assertEq(rounds.length, 2);
        vm.assertEq(uint256(rounds[0]) * 1000 + rounds[1], uint256(first) * 1000 + second);
        vm.assertEq(assessment.updatesOf(1, 0), 2);
        vm.assertEq(assessment.updatesOf(1, 4), 1);
        vm.assertEq(assessment.updatesOf(2, 4), 0);
        vm.assertEq(assessment.getWindow(1).updates, 9);
        vm.assertEq(address(assessment).balance, 12 * uint256(DEPOSIT));
        _state(3, IAssessment.State.None);
    }

    function test_a_cancelled_round_is_in_no_window() public {
        judgedRound(5, 0x1f);
        open();
        submitMany(2, 5);
        vm.prank(COORDINATOR);
        federation.cancelRound(2);
        judgedRound(5, 0x1f);
        uint64[] memory rounds = assessment.roundsOf(1);
        vm.assertEq(rounds.length, 2);
        vm.assertEq(rounds[1], 3);
    }

    function test_onFinalized_is_the_federations_and_takes_the_deposits() public {
        refuseAssessment(
            STRANGER, DEPOSIT, abi.encodeCall(IAssessor.onFinalized, (1, _bitmap(1))),
            abi.encodeWithSelector(IAssessment.NotFederation.selector, STRANGER)
        );
        refuseAssessment(
            address(federation), DEPOSIT, abi.encodeCall(IAssessor.onFinalized, (1, _bitmap(3))),
            abi.encodeWithSelector(
                IAssessment.WrongDeposits.selector, DEPOSIT, 2 * uint256(DEPOSIT)
            )
        );
    }

    function testFuzz_counts_are_those_of_the_bitmaps(uint256[4] calldata words) public {
        uint256[] memory members = new uint256[](4);
        uint256 expected = 0;
        for (uint256 i = 0; i < 4; ++i) {
            members[i] = words[i];
            for (uint256 b = 0; b < 256; ++b) {
                expected += (words[i] >> b) & 1;
            }
        }
        vm.deal(address(federation), 2 * expected * DEPOSIT);
        for (uint64 round = 1; round <= 2; ++round) {
            vm.prank(address(federation));
            assessment.onFinalized{value: expected * DEPOSIT}(round, members);
        }
        for (uint256 index = 0; index < 1024; ++index) {
            vm.assertEq(
                assessment.updatesOf(1, index), 2 * ((words[index / 256] >> (index % 256)) & 1)
            );
        }
    }

    // postVerdict

    function test_a_verdict_forfeits_and_refunds() public {
        uint64 window = fullWindow();
        vm.expectEmit(address(assessment));
        emit IAssessment.VerdictPosted(
            window, SCORES, POSTER, _bitmap(7), three(30, 20, 10), 4 * uint256(DEPOSIT)
        );
        post(window, three(30, 20, 10));
        _state(window, IAssessment.State.Judged);
        refuseAssessment(
            account(0), 0, abi.encodeCall(IAssessment.claim, (one(window))),
            abi.encodeWithSelector(IAssessment.NothingDue.selector, window, account(0))
        );
        wait(DISPUTE_S + 1);
        _state(window, IAssessment.State.Standing);
        vm.assertEq(claimAll(0, window), 2 * uint256(DEPOSIT));
        wait(TAKE_S);
        // Own deposits and share at once; the share alone; both, of 60 points.
        vm.assertEq(claimAll(1, window), 2 * uint256(DEPOSIT) + 4 * uint256(DEPOSIT) * 20 / 60);
        vm.assertEq(claimAll(0, window), 4 * uint256(DEPOSIT) * 30 / 60);
        vm.assertEq(claimAll(2, window), 2 * uint256(DEPOSIT) + 4 * uint256(DEPOSIT) * 10 / 60);
        for (uint256 i = 0; i < 5; ++i) {
            refuseAssessment(
                account(i), 0, abi.encodeCall(IAssessment.claim, (one(window))),
                abi.encodeWithSelector(IAssessment.NothingDue.selector, window, account(i))
            );
        }
        assessment.releaseBond(window);
        vm.prank(POSTER);
        assessment.withdraw();
        vm.assertLe(address(assessment).balance, 2); // what shares left
    }

    function test_waits_end_with_their_last_second() public {
        uint64 window = fullWindow();
        post(window, three(1, 1, 2));
        wait(DISPUTE_S);
        _state(window, IAssessment.State.Judged);
        wait(1);
        _state(window, IAssessment.State.Standing);
        wait(TAKE_S - 2);
        (uint256 refundWei, uint256 takeWei) = assessment.claimable(window, account(2));
        vm.assertEq(refundWei, 2 * uint256(DEPOSIT));
        vm.assertEq(takeWei, 0);
        wait(1);
        (, takeWei) = assessment.claimable(window, account(2));
        vm.assertEq(takeWei, 2 * uint256(DEPOSIT));
        (refundWei, takeWei) = assessment.claimable(window, account(3));
        vm.assertEq(refundWei + takeWei, 0);
    }

    function test_postVerdict_refuses_windows_that_are_not_ready() public {
        judgedRound(5, 0x1f);
        bytes memory data = posting(1, 7, three(1, 1, 1), 0x1f);
        refuseAssessment(POSTER, BOND, data, _wrongState(1, IAssessment.State.Filling));
        wait(VERDICT_S / 2);
        refuseAssessment(POSTER, BOND, data, _wrongState(1, IAssessment.State.Filling));
        wait(1); // nobody goes on: what is there can be judged
        call_(POSTER, BOND, data);
        refuseAssessment(POSTER, BOND, data, _wrongState(1, IAssessment.State.Judged));
        refuseAssessment(
            POSTER, BOND, posting(2, 7, three(1, 1, 1), 0x1f),
            _wrongState(2, IAssessment.State.None)
        );
        // The next round is of the next window.
        judgedRound(5, 0x1f);
        vm.assertEq(assessment.windowCount(), 2);
    }

    function test_postVerdict_needs_the_bond() public {
        uint64 window = fullWindow();
        refuseAssessment(
            POSTER, BOND - 1, posting(window, 7, three(1, 1, 1), 0x1f),
            abi.encodeWithSelector(IAssessment.WrongBond.selector, BOND - 1, BOND)
        );
    }

    function test_postVerdict_needs_a_quorum_of_the_last_round() public {
        judgedRound(5, 0x1f);
        judgedRound(5, 0xf); // member 4 is not sealed in the last one
        bytes memory data = posting(1, 7, three(1, 1, 1), 0x17);
        refuseAssessment(
            POSTER, BOND, data, abi.encodeWithSelector(IAssessment.NotOfTheQuorum.selector, 4)
        );
        data = posting(1, 7, three(1, 1, 1), 3); // two of four, three are needed
        refuseAssessment(
            COORDINATOR, BOND, data,
            abi.encodeWithSelector(IAssessment.TooFewSigners.selector, 2, 3)
        );
        call_(POSTER, BOND, posting(1, 7, three(1, 1, 1), 7));
    }

    function test_postVerdict_refuses_signatures_under_anything_else() public {
        uint64 window = fullWindow();
        uint32[] memory points = three(1, 1, 1);
        bytes memory invalid =
            abi.encodeWithSelector(IAssessment.InvalidVerdictSignature.selector);
        // Another attempt, window, agreement, points, chain.
        _refuseSigned(window, signed(window, 1, 7, points, 0x1f), invalid);
        _refuseSigned(window, signed(window + 1, 0, 7, points, 0x1f), invalid);
        _refuseSigned(window, signed(window, 0, 0xb, points, 0x1f), invalid);
        _refuseSigned(window, signed(window, 0, 7, three(1, 1, 2), 0x1f), invalid);
        bytes memory elsewhere = signed(window, 0, 7, points, 0x1f);
        vm.chainId(1);
        _refuseSigned(window, elsewhere, invalid);
        vm.chainId(31337);
        // A claim that one more signed.
        _refuseSigned(window, signed(window, 0, 7, points, 0xf), invalid);
        _refuseSigned(window, "", invalid);
    }

    function _refuseSigned(uint64 window, bytes memory signature, bytes memory error_) private {
        refuseAssessment(
            POSTER, BOND,
            abi.encodeCall(
                IAssessment.postVerdict,
                (window, _bitmap(7), three(1, 1, 1), SCORES, _bitmap(0x1f), signature)
            ),
            error_
        );
    }

    function test_postVerdict_refuses_members_without_an_update_and_wrong_lists() public {
        judgedRound(4, 0xf);
        judgedRound(4, 0xf);
        uint32[] memory points = three(1, 1, 1);
        refuseAssessment(
            POSTER, BOND, posting(1, 0x13, points, 0xf),
            abi.encodeWithSelector(IAssessment.NotInWindow.selector, 1, 4)
        );
        refuseAssessment(
            POSTER, BOND, posting(1, 0xf, points, 0xf),
            abi.encodeWithSelector(IAssessment.WrongPointsLength.selector, 3, 4)
        );
        refuseAssessment(
            POSTER, BOND, posting(1, 3, points, 0xf),
            abi.encodeWithSelector(IAssessment.WrongPointsLength.selector, 3, 2)
        );
    }

    function test_points_of_any_size_share_the_whole_pot() public {
        uint64 window = fullWindow();
        post(window, three(type(uint32).max, type(uint32).max, 1));
        wait(DISPUTE_S + TAKE_S + 1);
        uint256 paid = 0;
        for (uint256 i = 0; i < 3; ++i) {
            paid += claimAll(i, window);
        }
        vm.assertLe(ALL - paid, 2);
    }

    function test_without_points_the_pot_is_the_pools() public {
        uint64 window = fullWindow();
        post(window, three(0, 0, 0));
        wait(DISPUTE_S + TAKE_S + 1);
        assessment.sweep(window);
        vm.assertEq(assessment.poolWei(), 4 * uint256(DEPOSIT));
        refuseAssessment(
            STRANGER, 0, abi.encodeCall(IAssessment.sweep, (window)),
            abi.encodeWithSelector(IAssessment.NothingDue.selector, window, STRANGER)
        );
        vm.assertEq(claimAll(0, window), 2 * uint256(DEPOSIT));
    }

    /// @dev Each found by the random walks: the pot had gone to the pool, and was paid out of it twice.
    function test_a_pot_without_points_is_still_there_after_a_dispute() public {
        uint64 window = fullWindow();
        post(window, three(0, 0, 0));
        _dispute(window, 3);
        wait(DISPUTE_S + RESOLVE_S + 1);
        assessment.closeDispute(window);
        vm.assertEq(claimAll(3, window), 2 * uint256(DEPOSIT));
        assessment.sweep(window);
        vm.assertEq(assessment.poolWei(), 2 * uint256(DEPOSIT));

        window = fullWindow();
        post(window, three(0, 0, 0));
        _dispute(window, 3);
        wait(DISPUTE_S + 1);
        call_(STRANGER, 0, resolving(window, 0xf, _four(), 0x1f));
        vm.assertEq(
            assessment.getWindow(window).potWei, 2 * uint256(DEPOSIT) + 8 * uint256(BOUNTY)
        );
    }

    function test_the_pool_pays_for_agreed_updates() public {
        assessment.fund{value: 1 ether}();
        uint64 window = fullWindow();
        post(window, three(1, 1, 2));
        vm.assertEq(assessment.poolWei(), 1 ether - 6 * uint256(BOUNTY));
        vm.assertEq(
            assessment.getWindow(window).potWei, 4 * uint256(DEPOSIT) + 6 * uint256(BOUNTY)
        );
        window = fullWindow();
        // Nobody is bad, and everybody gains: what is left in the pool.
        uint32[] memory points = new uint32[](5);
        for (uint256 i = 0; i < 5; ++i) {
            points[i] = 1;
        }
        call_(POSTER, BOND, posting(window, 0x1f, points, 0x1f));
        wait(DISPUTE_S + TAKE_S + 1);
        uint256 bounty = 10 * uint256(BOUNTY);
        vm.assertEq(claimAll(4, window), 2 * uint256(DEPOSIT) + bounty / 5);
    }

    // a window without a verdict

    function test_a_window_without_a_verdict_returns_every_deposit() public {
        uint64 window = fullWindow();
        wait(VERDICT_S);
        _state(window, IAssessment.State.Full);
        wait(1);
        _state(window, IAssessment.State.Lapsed);
        refuseAssessment(
            POSTER, BOND, posting(window, 7, three(1, 1, 1), 0x1f),
            _wrongState(window, IAssessment.State.Lapsed)
        );
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(claimAll(i, window), 2 * uint256(DEPOSIT));
        }
        vm.assertEq(address(assessment).balance, 0);
        judgedRound(5, 0x1f);
        vm.assertEq(assessment.windowCount(), 2);
    }

    // dispute

    function test_a_dispute_that_is_right_costs_the_poster_its_bond() public {
        uint64 window = fullWindow();
        post(window, three(1, 1, 2)); // 3 and 4 forfeit
        _dispute(window, 3);
        _dispute(window, 4);
        wait(DISPUTE_S);
        refuseAssessment(
            STRANGER, 0, resolving(window, 0xf, _four(), 0x1f),
            _wrongState(window, IAssessment.State.Judged)
        );
        wait(1);
        _state(window, IAssessment.State.Disputed);
        call_(STRANGER, 0, resolving(window, 0xf, _four(), 0x1f)); // 3 was right, 4 was not
        _state(window, IAssessment.State.Standing);
        vm.assertEq(assessment.owedWei(account(3)), 2 * uint256(BOND));
        vm.assertEq(assessment.owedWei(account(4)), 0);
        vm.assertEq(assessment.owedWei(POSTER), 0);
        // The bond of 4 is the window's.
        vm.assertEq(assessment.getWindow(window).potWei, 2 * uint256(DEPOSIT) + BOND);
        vm.assertEq(claimAll(3, window), 2 * uint256(DEPOSIT));
        wait(TAKE_S);
        uint256 pot = 2 * uint256(DEPOSIT) + BOND;
        vm.assertEq(claimAll(3, window), pot / 4);
        refuseAssessment(
            POSTER, 0, abi.encodeCall(IAssessment.releaseBond, (window)),
            abi.encodeWithSelector(IAssessment.NothingDue.selector, window, POSTER)
        );
    }

    function test_a_dispute_that_is_wrong_is_the_posters() public {
        uint64 window = fullWindow();
        post(window, three(1, 1, 2));
        _dispute(window, 3);
        wait(DISPUTE_S + 1);
        call_(STRANGER, 0, resolving(window, 7, three(1, 1, 2), 0x1f));
        vm.assertEq(assessment.owedWei(POSTER), 2 * uint256(BOND));
        vm.assertEq(assessment.owedWei(account(3)), 0);
        vm.prank(POSTER);
        assessment.withdraw();
        refuseAssessment(
            POSTER, 0, abi.encodeCall(IAssessment.withdraw, ()),
            abi.encodeWithSelector(IAssessment.NothingToWithdraw.selector, POSTER)
        );
        // A verdict is disputed once.
        refuseAssessment(
            STRANGER, 0, resolving(window, 7, three(1, 1, 2), 0x1f),
            _wrongState(window, IAssessment.State.Standing)
        );
    }

    function test_points_can_be_disputed_too() public {
        uint64 window = fullWindow();
        post(window, three(1, 1, 2));
        _dispute(window, 0);
        wait(DISPUTE_S + 1);
        call_(STRANGER, 0, resolving(window, 7, three(3, 1, 2), 0x1f));
        vm.assertEq(assessment.owedWei(account(0)), 2 * uint256(BOND));
        (, uint32 points) = assessment.verdictOn(window, 0);
        vm.assertEq(points, 3);
        vm.assertEq(assessment.getWindow(window).points, 6);
    }

    function test_without_a_resolution_the_disputers_deposits_come_back() public {
        uint64 window = fullWindow();
        post(window, three(1, 1, 2));
        _dispute(window, 3); // forfeits, by the verdict
        _dispute(window, 2); // agreed, with 2 of 4 points
        wait(DISPUTE_S + RESOLVE_S);
        _state(window, IAssessment.State.Disputed);
        wait(1);
        _state(window, IAssessment.State.Fallen);
        refuseAssessment(
            account(3), 0, abi.encodeCall(IAssessment.claim, (one(window))),
            abi.encodeWithSelector(IAssessment.NothingDue.selector, window, account(3))
        );
        refuseAssessment(
            STRANGER, 0, resolving(window, 7, three(1, 1, 2), 0x1f),
            _wrongState(window, IAssessment.State.Fallen)
        );
        vm.prank(STRANGER);
        assessment.closeDispute(window);
        _state(window, IAssessment.State.Standing);
        vm.assertEq(assessment.owedWei(POSTER), BOND);
        vm.assertEq(assessment.owedWei(account(2)), BOND);
        vm.assertEq(assessment.owedWei(account(3)), BOND);
        vm.assertEq(claimAll(3, window), 2 * uint256(DEPOSIT));
        wait(TAKE_S);
        vm.assertEq(claimAll(2, window), 2 * uint256(DEPOSIT)); // no share
        vm.assertEq(claimAll(0, window), 2 * uint256(DEPOSIT) + DEPOSIT);
        vm.assertEq(claimAll(1, window), 2 * uint256(DEPOSIT) + DEPOSIT);
        refuseAssessment(
            STRANGER, 0, abi.encodeCall(IAssessment.closeDispute, (window)),
            _wrongState(window, IAssessment.State.Standing)
        );
        vm.assertEq(address(assessment).balance, 3 * uint256(BOND));
    }

    function test_dispute_refuses_whom_it_does_not_concern() public {
        judgedRound(4, 0xf);
        judgedRound(4, 0xf);
        bytes memory data = abi.encodeCall(IAssessment.dispute, (uint64(1)));
        refuseAssessment(account(0), BOND, data, _wrongState(1, IAssessment.State.Full));
        call_(POSTER, BOND, posting(1, 7, three(1, 1, 1), 0xf));
        refuseAssessment(
            account(3), BOND - 1, data,
            abi.encodeWithSelector(IAssessment.WrongBond.selector, BOND - 1, BOND)
        );
        refuseAssessment(
            STRANGER, BOND, data, abi.encodeWithSelector(IAssessment.NotAMember.selector, STRANGER)
        );
        refuseAssessment(
            account(4), BOND, data, abi.encodeWithSelector(IAssessment.NotInWindow.selector, 1, 4)
        );
        _dispute(1, 3);
        refuseAssessment(
            account(3), BOND, data,
            abi.encodeWithSelector(IAssessment.AlreadyDisputed.selector, 1, account(3))
        );
        wait(DISPUTE_S + 1);
        refuseAssessment(account(0), BOND, data, _wrongState(1, IAssessment.State.Disputed));
    }

    function _dispute(uint64 window, uint256 member) private {
        call_(account(member), BOND, abi.encodeCall(IAssessment.dispute, (window)));
    }

    function _four() private pure returns (uint32[] memory points) {
        points = new uint32[](4);
        (points[0], points[1], points[2], points[3]) = (1, 1, 1, 1);
    }

    // sweep, pool

    function test_sweep_is_anyones_in_the_end() public {
        uint64 window = fullWindow();
        post(window, three(1, 1, 2));
        bytes memory data = abi.encodeCall(IAssessment.sweep, (window));
        refuseAssessment(STRANGER, 0, data, _wrongState(window, IAssessment.State.Judged));
        wait(DISPUTE_S + TAKE_S);
        claimAll(2, window);
        uint256 earliest = assessment.getWindow(window).judgedAt + DISPUTE_S + ANYONE_S;
        refuseAssessment(
            STRANGER, 0, data,
            abi.encodeWithSelector(IAssessment.TooSoon.selector, window, earliest)
        );
        vm.warp(earliest);
        uint256 before = STRANGER.balance;
        call_(STRANGER, 0, data);
        vm.assertEq(STRANGER.balance - before, 2 * uint256(DEPOSIT));
        refuseAssessment(
            STRANGER, 0, data,
            abi.encodeWithSelector(IAssessment.NothingDue.selector, window, STRANGER)
        );
        // Own deposits stay one's own for ever; the share is gone.
        vm.assertEq(claimAll(0, window), 2 * uint256(DEPOSIT));
        vm.assertEq(claimAll(1, window), 2 * uint256(DEPOSIT));
    }

    function test_reclaim_is_the_sponsors_once_all_is_over() public {
        bytes memory data = abi.encodeCall(IAssessment.reclaim, ());
        bytes memory fund = abi.encodeCall(IAssessment.fund, ());
        refuseAssessment(
            STRANGER, 0, fund, abi.encodeWithSelector(IAssessment.PoolEmpty.selector)
        );
        call_(STRANGER, 1 ether, fund);
        uint64 window = fullWindow();
        refuseAssessment(
            STRANGER, 0, data, abi.encodeWithSelector(IAssessment.NotTheSponsor.selector, STRANGER)
        );
        uint256 until = assessment.getWindow(window).lastAt + VERDICT_S + DISPUTE_S + RESOLVE_S;
        vm.warp(until);
        refuseAssessment(
            address(this), 0, data, abi.encodeWithSelector(IAssessment.PoolInUse.selector, until)
        );
        vm.warp(until + 1);
        uint256 before = address(this).balance;
        assessment.reclaim();
        vm.assertEq(address(this).balance - before, 1 ether);
        refuseAssessment(
            address(this), 0, data, abi.encodeWithSelector(IAssessment.PoolEmpty.selector)
        );
    }

    function test_reclaim_waits_from_deployment_where_no_round_came() public {
        call_(STRANGER, 1 ether, abi.encodeCall(IAssessment.fund, ()));
        uint256 until = START + VERDICT_S + DISPUTE_S + RESOLVE_S;
        vm.warp(until);
        refuseAssessment(
            address(this), 0, abi.encodeCall(IAssessment.reclaim, ()),
            abi.encodeWithSelector(IAssessment.PoolInUse.selector, until)
        );
        vm.warp(until + 1);
        assessment.reclaim();
    }

    function test_several_windows_are_claimed_at_once_and_each_once() public {
        uint64[] memory both = new uint64[](2);
        (both[0], both[1]) = (fullWindow(), fullWindow());
        post(both[0], three(1, 1, 2));
        post(both[1], three(1, 1, 2));
        wait(DISPUTE_S + 1);
        uint64[] memory twice = new uint64[](2);
        (twice[0], twice[1]) = (both[0], both[0]);
        refuseAssessment(
            account(0), 0, abi.encodeCall(IAssessment.claim, (twice)),
            abi.encodeWithSelector(IAssessment.NothingDue.selector, both[0], account(0))
        );
        uint256 before = account(0).balance;
        vm.prank(account(0));
        assessment.claim(both);
        vm.assertEq(account(0).balance - before, 4 * uint256(DEPOSIT));
    }

    function test_members_that_left_and_strangers() public {
        uint64 window = fullWindow();
        vm.prank(account(0));
        federation.leave();
        post(window, three(1, 1, 2));
        wait(DISPUTE_S + 1);
        vm.assertEq(claimAll(0, window), 2 * uint256(DEPOSIT));
        refuseAssessment(
            STRANGER, 0, abi.encodeCall(IAssessment.claim, (one(window))),
            abi.encodeWithSelector(IAssessment.NotAMember.selector, STRANGER)
        );
    }

    receive() external payable {}
}
