// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EcdsaQuorum} from "../src/EcdsaQuorum.sol";
import {Federation} from "../src/Federation.sol";
import {PerceptronHead} from "../src/PerceptronHead.sol";
import {WindowAssessment} from "../src/WindowAssessment.sol";
import {IAssessment} from "../src/interfaces/IAssessment.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {AssessmentFixture} from "./helpers/AssessmentFixture.sol";
import {EcdsaSigner} from "./helpers/EcdsaSigner.sol";

/// @notice A member that calls back as it is paid, or takes no money.
contract Reentrant {
    address private _target;
    bytes private _again;
    bool private _takes;
    uint256 public calls;
    bool public succeeded;

    receive() external payable {
        require(_takes);
        if (_again.length == 0) return;
        ++calls;
        (succeeded,) = _target.call(_again);
    }

    function prepare(address target, bytes calldata again, bool takes) external {
        (_target, _again, _takes) = (target, again, takes);
    }

    function run(address target, uint256 valueWei, bytes calldata data)
        external
        returns (bool ok, bytes memory answer)
    {
        (ok, answer) = target.call{value: valueWei}(data);
    }
}

/// @notice Attacks on windows: by a member as it is paid, and by signatures of elsewhere.
contract WindowAttacksTest is AssessmentFixture {
    function setUp() public {
        deployAssessed();
    }

    function test_a_member_that_calls_back_is_paid_once() public {
        Reentrant member = _joined();
        uint32[] memory points = three(1, 1, 2);
        call_(POSTER, BOND, posting(1, 0x23, points, 0x3f)); // members 0, 1 and 5 agreed
        wait(DISPUTE_S + TAKE_S + 1);
        bytes memory claim = abi.encodeCall(IAssessment.claim, (one(1)));

        bytes32 before = assessed();
        (bool ok, bytes memory answer) = member.run(address(assessment), 0, claim);
        vm.assertFalse(ok);
        vm.assertEq(
            answer,
            abi.encodeWithSelector(
                IAssessment.PaymentFailed.selector, address(member), 5 * uint256(DEPOSIT)
            )
        );
        vm.assertEq(assessed(), before, "a payment that failed changed something");

        // Its own two deposits, and half of the points in a pot of six.
        member.prepare(address(assessment), claim, true);
        uint256 had = address(member).balance;
        (ok,) = member.run(address(assessment), 0, claim);
        vm.assertTrue(ok);
        vm.assertEq(member.calls(), 1);
        vm.assertFalse(member.succeeded());
        vm.assertEq(address(member).balance - had, 5 * uint256(DEPOSIT));
        // Who was not paid first is paid all the same.
        vm.assertEq(claimAll(0, 1), 2 * uint256(DEPOSIT) + uint256(DEPOSIT) * 6 / 4);
    }

    function test_a_bond_that_calls_back_is_paid_once() public {
        Reentrant poster = new Reentrant();
        vm.deal(address(poster), BOND);
        uint64 window = fullWindow();
        (bool ok,) = poster.run(
            address(assessment), BOND, posting(window, 7, three(1, 1, 2), 0x1f)
        );
        vm.assertTrue(ok);
        wait(DISPUTE_S + 1);
        assessment.releaseBond(window);
        bytes memory withdraw = abi.encodeCall(IAssessment.withdraw, ());
        poster.prepare(address(assessment), withdraw, true);
        (ok,) = poster.run(address(assessment), 0, withdraw);
        vm.assertTrue(ok);
        vm.assertEq(poster.calls(), 1);
        vm.assertFalse(poster.succeeded());
        vm.assertEq(address(poster).balance, BOND);
        vm.assertEq(assessment.owedWei(address(poster)), 0);
    }

    function test_a_verdict_is_none_of_another_assessment() public {
        uint64 window = fullWindow();
        bytes memory verdict = posting(window, 7, three(1, 1, 2), 0x1f);
        WindowAssessment other = new WindowAssessment(address(federation), assessmentRules());
        vm.deal(address(federation), 100 ether);
        for (uint64 round = 1; round <= 2; ++round) {
            vm.prank(address(federation));
            other.onFinalized{value: 5 * uint256(DEPOSIT)}(round, _bitmap(0x1f));
        }
        vm.prank(POSTER);
        (bool ok, bytes memory answer) = address(other).call{value: BOND}(verdict);
        vm.assertFalse(ok);
        vm.assertEq(answer, abi.encodeWithSelector(IAssessment.InvalidVerdictSignature.selector));
        call_(POSTER, BOND, verdict); // where it belongs
    }

    /// @dev A sixth member, a contract, in both rounds of window 1.
    function _joined() private returns (Reentrant member) {
        member = new Reentrant();
        address[] memory invited = new address[](1);
        invited[0] = address(member);
        federation.invite(invited);
        vm.deal(address(member), 10 ether);
        (bytes memory key, bytes memory proof) = keyAndProof(5);
        (bool ok,) = member.run(
            address(federation), STAKE, abi.encodeCall(IFederation.register, (key, proof))
        );
        vm.assertTrue(ok);
        for (uint256 i = 0; i < 2; ++i) {
            uint64 round = open();
            submitMany(round, 5);
            (ok,) = member.run(
                address(federation),
                DEPOSIT,
                abi.encodeCall(IFederation.submitUpdate, (round, updateOf(round, 5)))
            );
            vm.assertTrue(ok);
            afterSubmitting(round);
            commit(round, 0x3f);
            draw(round);
            sealAssessed(round, 0x3f);
            finalize(round, 0x3f);
        }
    }

    receive() external payable {}
}

/// @notice Windows of a federation whose members attest with their accounts.
contract WindowsOfAccountsTest is AssessmentFixture {
    uint256 private constant ALL = 0x1f;

    EcdsaQuorum private _accounts;

    function setUp() public {
        vm.warp(START);
        _accounts = new EcdsaQuorum();
        head = new PerceptronHead(16, 2);
        head.write(headWords(0));
        address future = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        assessment = new WindowAssessment(future, assessmentRules());
        IFederation.Rules memory rules = defaultRules();
        rules.assessment = address(assessment);
        federation = new Federation(rules, MODEL_0, _accounts, head, new address[](0));
        _accounts.transferOwnership(address(federation));
        head.transferOwnership(address(federation));
        address[] memory invited = new address[](5);
        for (uint256 i = 0; i < 5; ++i) {
            invited[i] = account(i);
        }
        federation.invite(invited);
        for (uint256 i = 0; i < 5; ++i) {
            vm.deal(account(i), STAKE);
            vm.prank(account(i));
            federation.register{value: STAKE}(
                EcdsaSigner.publicKey(i), EcdsaSigner.prove(address(_accounts), i, account(i))
            );
        }
        for (uint256 i = 0; i < 2; ++i) {
            uint64 round = open();
            submitMany(round, 5);
            afterSubmitting(round);
            commit(round, ALL);
            draw(round);
            sealAssessed(round, ALL);
            bytes32 result = federation.resultMessage(
                round, SUM, OPENED, modelOf(round), headDigest(headWords(round))
            );
            (bool ok,) = address(federation).call(
                finalizingWith(
                    round,
                    resultOf(round),
                    openingSignature(round),
                    headWords(round),
                    ALL,
                    EcdsaSigner.signAll(address(_accounts), ALL, result)
                )
            );
            vm.assertTrue(ok);
        }
        vm.deal(POSTER, BOND);
    }

    function test_accounts_sign_a_verdict() public {
        bytes32 message =
            assessment.verdictMessage(1, 0, SCORES, _bitmap(7), three(1, 1, 2));
        bytes memory four = EcdsaSigner.signAll(address(_accounts), 0xf, message);
        refuseAssessment(POSTER, BOND, _posting(four, 0x17), _invalid()); // others than it says
        bytes memory twice = bytes.concat(
            EcdsaSigner.sign(address(_accounts), 0, message),
            EcdsaSigner.sign(address(_accounts), 0, message),
            EcdsaSigner.signAll(address(_accounts), 0x6, message)
        );
        refuseAssessment(POSTER, BOND, _posting(twice, 0xf), _invalid());
        bytes32 another = assessment.verdictMessage(1, 1, SCORES, _bitmap(7), three(1, 1, 2));
        bytes memory fresh = EcdsaSigner.signAll(address(_accounts), 0xf, another);
        refuseAssessment(POSTER, BOND, _posting(fresh, 0xf), _invalid());
        call_(POSTER, BOND, _posting(four, 0xf));

        // A dispute is settled by them as well, and points are what was signed then.
        vm.deal(account(3), BOND);
        vm.prank(account(3));
        assessment.dispute{value: BOND}(1);
        wait(DISPUTE_S + 1);
        uint32[] memory points = three(1, 1, 2);
        bytes32 settled = assessment.verdictMessage(1, 1, SCORES, _bitmap(0xb), points);
        call_(
            STRANGER,
            0,
            abi.encodeCall(
                IAssessment.resolve,
                (
                    1, _bitmap(0xb), points, SCORES, _bitmap(0xf),
                    EcdsaSigner.signAll(address(_accounts), 0xf, settled)
                )
            )
        );
        wait(TAKE_S + 1);
        vm.assertEq(claimAll(3, 1), 2 * uint256(DEPOSIT) + 4 * uint256(DEPOSIT) / 2);
    }

    function _posting(bytes memory signature, uint256 signers)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeCall(
            IAssessment.postVerdict,
            (1, _bitmap(7), three(1, 1, 2), SCORES, _bitmap(signers), signature)
        );
    }

    function _invalid() private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAssessment.InvalidVerdictSignature.selector);
    }
}
