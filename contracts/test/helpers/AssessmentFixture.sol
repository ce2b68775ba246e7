// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BlsQuorum} from "../../src/BlsQuorum.sol";
import {Federation} from "../../src/Federation.sol";
import {PerceptronHead} from "../../src/PerceptronHead.sol";
import {WindowAssessment} from "../../src/WindowAssessment.sol";
import {IAssessment} from "../../src/interfaces/IAssessment.sol";
import {IFederation} from "../../src/interfaces/IFederation.sol";
import {BlsSigner} from "./BlsSigner.sol";
import {FederationFixture} from "./FederationFixture.sol";

/// @title A federation whose updates are judged, with real parts, and the steps of a window.
abstract contract AssessmentFixture is FederationFixture {
    uint96 internal constant BOND = 0.5 ether;
    uint96 internal constant BOUNTY = 0.05 ether;
    uint32 internal constant VERDICT_S = 1 days;
    uint32 internal constant DISPUTE_S = 2 days;
    uint32 internal constant RESOLVE_S = 3 days;
    uint32 internal constant TAKE_S = 4 days;
    uint32 internal constant ANYONE_S = 5 days;
    address internal constant POSTER = address(0x9057);

    WindowAssessment internal assessment;

    function assessmentRules() internal pure returns (IAssessment.Rules memory) {
        return IAssessment.Rules({
            windowRounds: 2,
            verdictPeriodS: VERDICT_S,
            disputePeriodS: DISPUTE_S,
            resolvePeriodS: RESOLVE_S,
            takeWaitS: TAKE_S,
            anyoneWaitS: ANYONE_S,
            depositWei: DEPOSIT,
            bondWei: BOND,
            bountyPerUpdateWei: BOUNTY
        });
    }

    function deployAssessed() internal {
        vm.warp(START);
        quorum = new BlsQuorum();
        head = new PerceptronHead(16, 2);
        head.write(headWords(0));
        address future = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        assessment = new WindowAssessment(future, assessmentRules());
        IFederation.Rules memory rules = defaultRules();
        rules.assessment = address(assessment);
        federation = new Federation(rules, MODEL_0, quorum, head, new address[](0));
        quorum.transferOwnership(address(federation));
        head.transferOwnership(address(federation));
        inviteAndRegister(5);
        vm.deal(POSTER, 100 ether);
    }

    /// @dev A finalised round: members 0 to `count` - 1 submit, all deliver, `accepted` are sealed.
    function judgedRound(uint256 count, uint256 accepted) internal returns (uint64 round) {
        round = open();
        submitMany(round, count);
        afterSubmitting(round);
        commit(round, (1 << count) - 1);
        draw(round);
        sealAssessed(round, accepted);
        finalize(round, accepted);
    }

    /// @dev A full window of members 0 to 4, all of them sealed.
    function fullWindow() internal returns (uint64 window) {
        judgedRound(5, 0x1f);
        judgedRound(5, 0x1f);
        return assessment.windowCount();
    }

    function three(uint32 a, uint32 b, uint32 c) internal pure returns (uint32[] memory points) {
        points = new uint32[](3);
        (points[0], points[1], points[2]) = (a, b, c);
    }

    function signed(uint64 window, uint256 attempt, uint256 agreed, uint32[] memory points, uint256 signers)
        internal
        view
        returns (bytes memory)
    {
        bytes32 message =
            assessment.verdictMessage(window, attempt, SCORES, _bitmap(agreed), points);
        return BlsSigner.signAll(signers, message);
    }

    function posting(uint64 window, uint256 agreed, uint32[] memory points, uint256 signers)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodeCall(
            IAssessment.postVerdict,
            (
                window, _bitmap(agreed), points, SCORES, _bitmap(signers),
                signed(window, 0, agreed, points, signers)
            )
        );
    }

    function resolving(uint64 window, uint256 agreed, uint32[] memory points, uint256 signers)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodeCall(
            IAssessment.resolve,
            (
                window, _bitmap(agreed), points, SCORES, _bitmap(signers),
                signed(window, 1, agreed, points, signers)
            )
        );
    }

    /// @dev Members 0, 1 and 2 agreed.
    function post(uint64 window, uint32[] memory points) internal {
        call_(POSTER, BOND, posting(window, 7, points, 0x1f));
    }

    function call_(address who, uint256 valueWei, bytes memory data) internal {
        vm.deal(who, who.balance + valueWei);
        vm.prank(who);
        (bool ok, bytes memory answer) = address(assessment).call{value: valueWei}(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    function wait(uint256 seconds_) internal {
        vm.warp(block.timestamp + seconds_);
    }

    function claimAll(uint256 member, uint64 window) internal returns (uint256 paid) {
        uint256 before = account(member).balance;
        vm.prank(account(member));
        assessment.claim(one(window));
        return account(member).balance - before;
    }

    /// @dev Everything that can be read of the assessment, in one digest.
    function assessed() internal view returns (bytes32 digest) {
        digest = keccak256(
            abi.encode(address(assessment).balance, assessment.windowCount(), assessment.poolWei())
        );
        for (uint64 w = 1; w <= assessment.windowCount(); ++w) {
            digest = keccak256(
                abi.encode(digest, assessment.getWindow(w), assessment.roundsOf(w))
            );
            for (uint256 i = 0; i < federation.memberCount(); ++i) {
                (bool agreed, uint32 points) = assessment.verdictOn(w, i);
                (uint256 a, uint256 b) = assessment.claimable(w, federation.memberAt(i));
                digest = keccak256(
                    abi.encode(
                        digest, agreed, points, a, b, assessment.updatesOf(w, i),
                        assessment.owedWei(federation.memberAt(i))
                    )
                );
            }
        }
        digest = keccak256(abi.encode(digest, assessment.owedWei(POSTER)));
    }

    /// @dev `data` by `who` reverts with exactly `error_` and changes nothing.
    function refuseAssessment(address who, uint256 valueWei, bytes memory data, bytes memory error_)
        internal
    {
        vm.deal(who, who.balance + valueWei);
        bytes32 before = assessed();
        vm.prank(who);
        (bool ok, bytes memory answer) = address(assessment).call{value: valueWei}(data);
        vm.assertFalse(ok, "was not refused");
        vm.assertEq(answer, error_);
        vm.assertEq(assessed(), before, "a refused call changed something");
    }
}
