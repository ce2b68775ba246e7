// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "../src/interfaces/IFederation.sol";
import {IHead} from "../src/interfaces/IHead.sol";
import {WalletKeyHolder} from "./helpers/Accounts.sol";
import {BlsSigner} from "./helpers/BlsSigner.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

/// @notice How rounds end: finalised or cancelled.
contract SettlingTest is FederationFixture {
    function setUp() public {
        deploy(defaultRules());
        inviteAndRegister(5);
    }

    // finalizeRound

    function test_finalizeRound_makes_the_result_the_model() public {
        uint64 round = _sealed(4);
        bytes memory opening = openingSignature(round);
        bytes memory signature = quorumSignature(round, 7);
        uint256[] memory words = headWords(round);
        vm.expectEmit(address(federation));
        emit IFederation.RoundFinalized(
            round, modelOf(round), OPENED, headDigest(words), _bitmap(7), opening, signature
        );
        vm.expectEmit(address(head));
        emit IHead.HeadWritten(headDigest(words));
        vm.prank(STRANGER); // anyone may bring the signatures
        federation.finalizeRound(round, resultOf(round), opening, words, _bitmap(7), signature);
        vm.assertEq(federation.modelDigest(), modelOf(round));
        vm.assertTrue(federation.getRound(round).state == IFederation.RoundState.Finalized);
        vm.assertEq(head.words(), words);
        vm.assertTrue(federation.updateState(round, 3) == IFederation.UpdateState.Agreed);
    }

    function test_finalizeRound_forfeits_what_was_left_out() public {
        uint64 round = runRound(5, 0x17);
        vm.assertTrue(federation.updateState(round, 3) == IFederation.UpdateState.Forfeited);
        vm.assertTrue(federation.updateState(round, 4) == IFederation.UpdateState.Agreed);
    }

    function test_finalizeRound_takes_a_contract_as_key_holder() public {
        IFederation.Rules memory rules = defaultRules();
        rules.keyHolder = address(new WalletKeyHolder(vm.addr(KEY_HOLDER_KEY)));
        deploy(rules);
        inviteAndRegister(3);
        uint64 round = _sealed(3);
        bytes memory opening = ecdsa(1, federation.openingMessage(round, SUM, OPENED));
        _refuseFinalize(
            round, resultOf(round), opening, headWords(round), 7, quorumSignature(round, 7),
            abi.encodeWithSelector(IFederation.InvalidOpeningSignature.selector)
        );
        finalize(round, 7);
    }

    function test_finalizeRound_refuses_rounds_that_are_not_sealed() public {
        _refuseFinalizing(1, 7, _wrongState(1, IFederation.RoundState.None));
        open();
        submitMany(1, 3);
        _refuseFinalizing(1, 7, _wrongState(1, IFederation.RoundState.Open));
        seal(1, 7);
        finalize(1, 7);
        _refuseFinalizing(1, 7, _wrongState(1, IFederation.RoundState.Finalized));
        open();
        submitMany(2, 3);
        seal(2, 7);
        vm.prank(COORDINATOR);
        federation.cancelRound(2);
        _refuseFinalizing(2, 7, _wrongState(2, IFederation.RoundState.Cancelled));
    }

    function test_finalizeRound_until_the_deadlines_last_second() public {
        uint64 round = _sealed(3);
        uint256 deadline = START + SUBMIT_S + FINALIZE_S;
        vm.warp(deadline + 1);
        _refuseFinalizing(
            round, 7,
            abi.encodeWithSelector(
                IFederation.DeadlinePassed.selector, round, deadline, deadline + 1
            )
        );
        vm.warp(deadline);
        finalize(round, 7);
    }

    function test_finalizeRound_refuses_zero_digests() public {
        uint64 round = _sealed(3);
        IFederation.Result memory result = resultOf(round);
        bytes memory zero = abi.encodeWithSelector(IFederation.ZeroDigest.selector);
        result.modelDigest = 0;
        _refuseFinalize(
            round, result, openingSignature(round), headWords(round), 7, quorumSignature(round, 7), zero
        );
        result = resultOf(round);
        result.openedDigest = 0;
        _refuseFinalize(
            round, result, openingSignature(round), headWords(round), 7, quorumSignature(round, 7), zero
        );
    }

    function test_finalizeRound_refuses_other_opening_signatures() public {
        uint64 round = _sealed(3);
        bytes memory good = openingSignature(round);
        bytes[6] memory bad;
        bad[0] = ecdsa(uint256(keccak256("somebody")), federation.openingMessage(round, SUM, OPENED));
        bad[1] = ecdsa(KEY_HOLDER_KEY, federation.openingMessage(round, OPENED, OPENED));
        bad[2] = ecdsa(KEY_HOLDER_KEY, federation.openingMessage(round + 1, SUM, OPENED));
        bad[3] = "";
        bad[4] = bytes.concat(good, hex"00");
        bad[5] = openingSignature(round);
        bad[5][40] ^= 0x01;
        for (uint256 i = 0; i < bad.length; ++i) {
            _refuseFinalize(
                round, resultOf(round), bad[i], headWords(round), 7, quorumSignature(round, 7),
                abi.encodeWithSelector(IFederation.InvalidOpeningSignature.selector)
            );
        }
        finalize(round, 7);
    }

    function test_finalizeRound_refuses_signers_that_are_not_sealed() public {
        open();
        submitMany(1, 5);
        afterSubmitting(1);
        seal(1, 0x17);
        // 3 submitted and was left out; 5 is nobody; both with signatures that verify.
        bytes4 notSealed = IFederation.NotSealedContributor.selector;
        _refuseFinalizing(1, 0x1f, abi.encodeWithSelector(notSealed, 3));
        _refuseFinalizing(1, 0x37, abi.encodeWithSelector(notSealed, 5));
        uint256[] memory signers = new uint256[](5);
        signers[0] = 0x17;
        signers[4] = 8;
        refuse(
            COORDINATOR, 0,
            abi.encodeCall(
                IFederation.finalizeRound,
                (1, resultOf(1), openingSignature(1), headWords(1), signers, quorumSignature(1, 0x17))
            ),
            abi.encodeWithSelector(notSealed, 1027)
        );
    }

    function test_finalizeRound_refuses_less_than_a_quorum() public {
        uint64 round = _sealed(4); // two thirds of 4 is 3, rounded up
        bytes4 notReached = IFederation.QuorumNotReached.selector;
        _refuseFinalizing(round, 3, abi.encodeWithSelector(notReached, 2, 3));
        _refuseFinalizing(round, 0, abi.encodeWithSelector(notReached, 0, 3));
        finalize(round, 0xe);
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_quorum_is_the_ceiling(uint8 numerator, uint8 denominator, uint256 signers)
        public
    {
        IFederation.Rules memory rules = defaultRules();
        rules.quorumDenominator = uint8(_bound(denominator, 1, 255));
        rules.quorumNumerator = uint8(_bound(numerator, 1, rules.quorumDenominator));
        deploy(rules);
        inviteAndRegister(5);
        uint64 round = _sealed(5);
        signers = _bound(signers, 0, 5);
        bytes memory call_ = finalizing(round, (1 << signers) - 1);
        bool enough = signers * rules.quorumDenominator >= 5 * uint256(rules.quorumNumerator);
        (bool ok,) = address(federation).call(call_);
        vm.assertEq(ok, enough);
    }

    function test_finalizeRound_refuses_what_the_quorum_did_not_sign() public {
        uint64 round = _sealed(4);
        bytes memory invalid = abi.encodeWithSelector(IFederation.InvalidQuorumSignature.selector);
        bytes memory good = quorumSignature(round, 7);
        bytes memory opening = openingSignature(round);
        // One signer more claimed than signed.
        _refuseFinalize(round, resultOf(round), opening, headWords(round), 15, good, invalid);
        // Another head, another model.
        _refuseFinalize(round, resultOf(round), opening, headWords(99), 7, good, invalid);
        IFederation.Result memory other = resultOf(round);
        other.modelDigest = keccak256("other");
        _refuseFinalize(round, other, opening, headWords(round), 7, good, invalid);
        // Another opened sum, signed by the key holder.
        other = resultOf(round);
        other.openedDigest = keccak256("other");
        _refuseFinalize(
            round, other,
            ecdsa(KEY_HOLDER_KEY, federation.openingMessage(round, SUM, other.openedDigest)),
            headWords(round), 7, good, invalid
        );
        _refuseFinalize(round, resultOf(round), opening, headWords(round), 7, "", invalid);
        finalize(round, 7);
    }

    function test_finalizeRound_refuses_the_signature_of_another_round() public {
        uint64 round = _sealed(3);
        bytes32 message = federation.resultMessage(
            round + 1, SUM, OPENED, modelOf(round), headDigest(headWords(round))
        );
        _refuseFinalize(
            round, resultOf(round), openingSignature(round), headWords(round), 7,
            BlsSigner.signAll(7, message),
            abi.encodeWithSelector(IFederation.InvalidQuorumSignature.selector)
        );
    }

    function test_finalizeRound_refuses_a_head_of_another_shape() public {
        uint64 round = _sealed(3);
        uint256[] memory words = new uint256[](4);
        bytes32 message =
            federation.resultMessage(round, SUM, OPENED, modelOf(round), headDigest(words));
        _refuseFinalize(
            round, resultOf(round), openingSignature(round), words, 7,
            BlsSigner.signAll(7, message),
            abi.encodeWithSelector(IHead.WrongWordCount.selector, 4, 3)
        );
    }

    // cancelRound

    function test_cancelRound_by_the_coordinator_at_any_time() public {
        open();
        submitMany(1, 3);
        vm.expectEmit(address(federation));
        emit IFederation.RoundCancelled(1, COORDINATOR);
        vm.prank(COORDINATOR);
        federation.cancelRound(1);
        vm.assertTrue(federation.getRound(1).state == IFederation.RoundState.Cancelled);
        vm.assertTrue(federation.updateState(1, 0) == IFederation.UpdateState.Returned);
        uint64 round = _sealed(3);
        vm.prank(COORDINATOR);
        federation.cancelRound(round);
        vm.assertTrue(federation.updateState(round, 0) == IFederation.UpdateState.Returned);
        vm.assertEq(federation.modelDigest(), MODEL_0);
    }

    function test_cancelRound_by_anyone_after_the_deadline() public {
        uint64 round = _sealed(3);
        uint256 deadline = START + SUBMIT_S + FINALIZE_S;
        bytes memory call_ = abi.encodeCall(IFederation.cancelRound, (round));
        vm.warp(deadline);
        refuse(
            STRANGER, 0, call_,
            abi.encodeWithSelector(
                IFederation.DeadlineNotReached.selector, round, deadline, deadline
            )
        );
        vm.warp(deadline + 1);
        vm.prank(STRANGER);
        federation.cancelRound(round);
        vm.assertTrue(federation.getRound(round).state == IFederation.RoundState.Cancelled);
    }

    function test_cancelRound_refuses_settled_rounds() public {
        _refuseCancel(1, IFederation.RoundState.None);
        uint64 round = runRound(3, 7);
        _refuseCancel(round, IFederation.RoundState.Finalized);
        open();
        vm.prank(COORDINATOR);
        federation.cancelRound(2);
        _refuseCancel(2, IFederation.RoundState.Cancelled);
    }

    function _sealed(uint256 count) private returns (uint64 round) {
        round = open();
        submitMany(round, count);
        seal(round, (1 << count) - 1);
    }

    function _wrongState(uint64 round, IFederation.RoundState state)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IFederation.WrongState.selector, round, state);
    }

    function _refuseFinalizing(uint64 round, uint256 signers, bytes memory error_) private {
        refuse(COORDINATOR, 0, finalizing(round, signers), error_);
    }

    function _refuseFinalize(
        uint64 round,
        IFederation.Result memory result,
        bytes memory opening,
        uint256[] memory words,
        uint256 signers,
        bytes memory signature,
        bytes memory error_
    ) private {
        bytes memory call_ = finalizingWith(round, result, opening, words, signers, signature);
        refuse(COORDINATOR, 0, call_, error_);
    }

    function _refuseCancel(uint64 round, IFederation.RoundState state) private {
        refuse(
            COORDINATOR, 0, abi.encodeCall(IFederation.cancelRound, (round)), _wrongState(round, state)
        );
    }
}
