// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BlsQuorum} from "../../src/BlsQuorum.sol";
import {Federation} from "../../src/Federation.sol";
import {PerceptronHead} from "../../src/PerceptronHead.sol";
import {IFederation} from "../../src/interfaces/IFederation.sol";
import {BlsSigner} from "./BlsSigner.sol";
import {Headers} from "./Headers.sol";
import {Test} from "./Vm.sol";

/// @title A federation with real parts and real signatures, and its steps in one line each.
/// @notice This contract is the sponsor. Member i is the account `account(i)`.
abstract contract FederationFixture is Test {
    address internal constant COORDINATOR = address(0xC0);
    address internal constant STRANGER = address(0xBAD);
    uint256 internal constant KEY_HOLDER_KEY = uint256(keccak256("key holder"));
    uint96 internal constant DEPOSIT = 1 ether;
    uint96 internal constant STAKE = 0.1 ether;
    uint32 internal constant SUBMIT_S = 600;
    uint32 internal constant FINALIZE_S = 900;
    uint256 internal constant START = 1_800_000_000;
    bytes32 internal constant MODEL_0 = keccak256("model 0");
    bytes32 internal constant SUM = keccak256("sum");
    bytes32 internal constant OPENED = keccak256("opened");
    bytes32 internal constant SCORES = keccak256("scores");

    Federation internal federation;
    BlsQuorum internal quorum;
    PerceptronHead internal head;

    function account(uint256 member) internal pure returns (address) {
        return address(uint160(0xA000 + member));
    }

    function defaultRules() internal pure returns (IFederation.Rules memory) {
        return IFederation.Rules({
            coordinator: COORDINATOR,
            keyHolder: vm.addr(KEY_HOLDER_KEY),
            minContributors: 3,
            quorumNumerator: 2,
            quorumDenominator: 3,
            openMembership: false,
            submitPeriodS: SUBMIT_S,
            finalizePeriodS: FINALIZE_S,
            depositWei: DEPOSIT,
            registrationStakeWei: STAKE,
            configDigest: keccak256("config"),
            encryptionKeyDigest: keccak256("encryption key"),
            assessment: address(0)
        });
    }

    function deploy(IFederation.Rules memory rules) internal {
        vm.warp(START);
        quorum = new BlsQuorum();
        head = new PerceptronHead(16, 2);
        head.write(headWords(0));
        federation = new Federation(rules, MODEL_0, quorum, head, new address[](0));
        quorum.transferOwnership(address(federation));
        head.transferOwnership(address(federation));
    }

    /// @dev Any head of 16 features and 2 classes.
    function headWords(uint256 seed) internal pure returns (uint256[] memory words) {
        words = new uint256[](3);
        words[0] = uint256(keccak256(abi.encode("class 0", seed)));
        words[1] = uint256(keccak256(abi.encode("class 1", seed)));
        words[2] = uint256(keccak256(abi.encode("biases", seed))) >> 192;
    }

    function inviteAndRegister(uint256 count) internal {
        address[] memory accounts = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            accounts[i] = account(i);
        }
        federation.invite(accounts);
        for (uint256 i = 0; i < count; ++i) {
            register(i);
        }
    }

    function register(uint256 member) internal {
        uint256 stake = federation.rules().registrationStakeWei;
        vm.deal(account(member), account(member).balance + stake);
        (bytes memory key, bytes memory proof) = keyAndProof(member);
        vm.prank(account(member));
        federation.register{value: stake}(key, proof);
    }

    function keyAndProof(uint256 member) internal view returns (bytes memory, bytes memory) {
        uint256 secret = BlsSigner.secretKey(member);
        return (BlsSigner.publicKey(secret), BlsSigner.prove(secret));
    }

    function open() internal returns (uint64 round) {
        round = federation.lastRound() + 1;
        bytes32 base = federation.modelDigest();
        vm.prank(COORDINATOR);
        federation.openRound(round, base);
    }

    function updateOf(uint64 round, uint256 member) internal pure returns (bytes32) {
        return keccak256(abi.encode("update", round, member));
    }

    function submit(uint64 round, uint256 member) internal {
        uint256 deposit = federation.rules().depositWei;
        vm.deal(account(member), account(member).balance + deposit);
        vm.prank(account(member));
        federation.submitUpdate{value: deposit}(round, updateOf(round, member));
    }

    /// @dev Members 0 to `count` - 1 submit.
    function submitMany(uint64 round, uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            submit(round, i);
        }
    }

    function commit(uint64 round, uint256 members) internal {
        vm.prank(COORDINATOR);
        federation.commitRound(round, _bitmap(members));
    }

    /// @dev The header of the draw's block, known to the chain, which has come to the next block.
    function drawHeader(uint64 round, bytes32 prevRandao) internal returns (bytes memory header) {
        uint256 drawBlock = federation.commitmentOf(round).drawBlock;
        header = Headers.header(drawBlock, prevRandao);
        if (block.number <= drawBlock) vm.roll(drawBlock + 1);
        vm.setBlockhash(drawBlock, keccak256(header));
    }

    function draw(uint64 round) internal {
        federation.drawRound(round, drawHeader(round, keccak256(abi.encode("randao", round))));
    }

    function sealAssessed(uint64 round, uint256 members) internal {
        vm.prank(COORDINATOR);
        federation.sealAssessedRound(round, SUM, _bitmap(members), SCORES);
    }

    function seal(uint64 round, uint256 members) internal {
        vm.prank(COORDINATOR);
        federation.sealRound(round, SUM, _bitmap(members));
    }

    function afterSubmitting(uint64 round) internal {
        vm.warp(federation.getRound(round).submitDeadline + 1);
    }

    function afterFinalizing(uint64 round) internal {
        vm.warp(federation.getRound(round).finalizeDeadline + 1);
    }

    function modelOf(uint64 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("model", round));
    }

    function resultOf(uint64 round) internal pure returns (IFederation.Result memory) {
        return IFederation.Result({openedDigest: OPENED, modelDigest: modelOf(round)});
    }

    function openingSignature(uint64 round) internal view returns (bytes memory) {
        return ecdsa(KEY_HOLDER_KEY, federation.openingMessage(round, SUM, OPENED));
    }

    function ecdsa(uint256 key, bytes32 message) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, message);
        return abi.encodePacked(r, s, v);
    }

    function headDigest(uint256[] memory words) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(keccak256("ddcai.v1.head"), words));
    }

    function quorumSignature(uint64 round, uint256 signers) internal view returns (bytes memory) {
        bytes32 message = federation.resultMessage(
            round, SUM, OPENED, modelOf(round), headDigest(headWords(round))
        );
        return BlsSigner.signAll(signers, message);
    }

    /// @dev The call that finalises the round with everything as it should be.
    function finalizing(uint64 round, uint256 signers) internal view returns (bytes memory) {
        return finalizingWith(
            round,
            resultOf(round),
            openingSignature(round),
            headWords(round),
            signers,
            quorumSignature(round, signers)
        );
    }

    function finalizingWith(
        uint64 round,
        IFederation.Result memory result,
        bytes memory opening,
        uint256[] memory words,
        uint256 signers,
        bytes memory signature
    ) internal pure returns (bytes memory) {
        return abi.encodeCall(
            IFederation.finalizeRound, (round, result, opening, words, _bitmap(signers), signature)
        );
    }

    function finalize(uint64 round, uint256 signers) internal {
        (bool ok,) = address(federation).call(finalizing(round, signers));
        vm.assertTrue(ok, "finalizeRound");
    }

    /// @dev Members 0 to `submitted` - 1 submit, `members` are sealed, all of these sign.
    function runRound(uint256 submitted, uint256 members) internal returns (uint64 round) {
        round = open();
        submitMany(round, submitted);
        afterSubmitting(round);
        seal(round, members);
        finalize(round, members);
    }

    function one(uint64 round) internal pure returns (uint64[] memory rounds) {
        rounds = new uint64[](1);
        rounds[0] = round;
    }

    /// @dev Everything that can be read of the federation, in one digest.
    function fingerprint() internal view returns (bytes32 digest) {
        digest = keccak256(
            abi.encode(
                address(federation).balance,
                federation.modelDigest(),
                federation.lastRound(),
                federation.memberCount(),
                head.words()
            )
        );
        for (uint256 i = 0; i < federation.memberCount(); ++i) {
            address member = federation.memberAt(i);
            (bool active, uint256 index) = federation.memberOf(member);
            digest = keccak256(abi.encode(digest, member, active, index, member.balance));
        }
        for (uint64 round = 1; round <= federation.lastRound(); ++round) {
            digest = keccak256(abi.encode(digest, recordOf(round), claimsOf(round)));
        }
    }

    /// @dev A round's record: what may never change once it is settled.
    function recordOf(uint64 round) internal view returns (bytes32 digest) {
        digest = keccak256(
            abi.encode(
                federation.getRound(round),
                federation.sealedMembers(round),
                federation.commitmentOf(round),
                federation.committedMembers(round)
            )
        );
        for (uint256 i = 0; i < federation.memberCount(); ++i) {
            digest = keccak256(
                abi.encode(
                    digest, federation.updateDigest(round, i), federation.updateState(round, i)
                )
            );
        }
    }

    function claimsOf(uint64 round) internal view returns (bytes32 digest) {
        for (uint256 i = 0; i < federation.memberCount(); ++i) {
            (uint256 refundWei, uint256 takeWei) =
                federation.claimable(round, federation.memberAt(i));
            digest = keccak256(abi.encode(digest, refundWei, takeWei));
        }
    }

    /// @dev `call_` by `who` reverts with exactly `error_` and changes nothing.
    function refuse(address who, uint256 valueWei, bytes memory call_, bytes memory error_)
        internal
    {
        vm.deal(who, who.balance + valueWei);
        bytes32 before = fingerprint();
        vm.prank(who);
        (bool ok, bytes memory answer) = address(federation).call{value: valueWei}(call_);
        vm.assertFalse(ok, "was not refused");
        vm.assertEq(answer, error_);
        vm.assertEq(fingerprint(), before, "a refused call changed something");
    }
}
