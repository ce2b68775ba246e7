// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EcdsaQuorum} from "../src/EcdsaQuorum.sol";
import {PerceptronHead} from "../src/PerceptronHead.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {RecordingAssessor} from "./helpers/Assessors.sol";
import {EcdsaSigner} from "./helpers/EcdsaSigner.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

/// @notice Gas of whole transactions (isolated: 21,000 and calldata included) and code sizes,
/// kept in snapshots/. `npm test` fails on any difference; `npm run gas` writes new ones.
/// forge-config: default.isolate = true
contract GasSnapshot is FederationFixture {
    function setUp() public {
        deploy(defaultRules());
        inviteAndRegister(5);
    }

    function test_gas_of_a_round() public {
        address[] memory accounts = new address[](1);
        accounts[0] = account(5);
        federation.invite(accounts);
        register(5);
        _snap("register");

        runRound(5, 0x1f); // the first round also pays for slots that later ones only change
        uint64 round = open();
        _snap("openRound");
        for (uint256 i = 0; i < 5; ++i) {
            submit(round, i);
            if (i == 1) _snap("submitUpdate");
        }
        afterSubmitting(round);
        seal(round, 15);
        _snap("sealRound, 4 of 5 members");
        (bool ok,) = address(federation).call(finalizing(round, 15));
        vm.assertTrue(ok);
        _snap("finalizeRound, 4 signers, head 16x2");
        vm.prank(account(0));
        federation.refund(one(round));
        _snap("refund, the round's first");
        vm.prank(account(1));
        federation.refund(one(round));
        _snap("refund");
        vm.prank(account(0));
        federation.take(one(round));
        _snap("take, the round's first");
        vm.prank(account(1));
        federation.take(one(round));
        _snap("take");
        vm.prank(account(4));
        federation.leave();
        _snap("leave");
        open();
        vm.prank(COORDINATOR);
        federation.cancelRound(round + 1);
        _snap("cancelRound");
    }

    function test_gas_of_an_assessed_round() public {
        RecordingAssessor assessor = new RecordingAssessor();
        IFederation.Rules memory rules = defaultRules();
        rules.assessment = address(assessor);
        deploy(rules);
        assessor.setFederation(address(federation));
        inviteAndRegister(5);
        uint64 round = open();
        submitMany(round, 5);
        commit(round, 0x1f);
        vm.snapshotGasLastCall("Federation", "commitRound, 5 members");
        bytes memory header = drawHeader(round, keccak256("randao"));
        federation.drawRound(round, header);
        vm.snapshotGasLastCall("Federation", "drawRound");
        sealAssessed(round, 0xf);
        vm.snapshotGasLastCall("Federation", "sealAssessedRound, 4 of 5 members");
    }

    function test_gas_of_the_bls_quorum() public {
        deploy(defaultRules());
        inviteAndRegister(64);
        _verify("4 signers", "of storage", 0xf);
        _verify("5 signers", "of storage", 0x1f);
        _verify("20 signers", "of storage", (1 << 20) - 1);
        _verify("64 signers", "of storage", (1 << 64) - 1);
        quorum.pack(0);
        vm.snapshotGasLastCall("BlsQuorum", "pack, 64 keys");
        _verify("4 signers", "of a page of 64", 0xf);
        _verify("5 signers", "of a page of 64", 0x1f);
        _verify("20 signers", "of a page of 64", (1 << 20) - 1);
        _verify("32 signers", "of a page of 64", (1 << 32) - 1);
        _verify("43 signers", "of a page of 64", (1 << 43) - 1);
        _verify("64 signers", "of a page of 64", (1 << 64) - 1);
    }

    function test_gas_of_the_bls_quorum_with_full_pages() public {
        deploy(defaultRules());
        inviteAndRegister(128);
        quorum.pack(0);
        vm.snapshotGasLastCall("BlsQuorum", "pack, 128 keys");
        _verify("64 signers", "of a page of 128", (1 << 64) - 1);
        _verify("128 signers", "of a page of 128", (1 << 128) - 1);
    }

    /// @dev Of members 0 to 4: a small federation's numbers.
    function test_gas_of_a_small_bls_quorum() public {
        quorum.pack(0);
        vm.snapshotGasLastCall("BlsQuorum", "pack, 5 keys");
        _verify("4 signers", "of a page of 5", 0xf);
        _verify("5 signers", "of a page of 5", 0x1f);
    }

    function test_gas_of_the_ecdsa_quorum() public {
        EcdsaQuorum ecdsaQuorum = new EcdsaQuorum();
        for (uint256 i = 0; i < 64; ++i) {
            ecdsaQuorum.register(
                i,
                account(i),
                EcdsaSigner.publicKey(i),
                EcdsaSigner.prove(address(ecdsaQuorum), i, account(i))
            );
        }
        vm.snapshotGasLastCall("EcdsaQuorum", "register");
        _verifyEcdsa(ecdsaQuorum, "of storage");
        ecdsaQuorum.pack(0);
        vm.snapshotGasLastCall("EcdsaQuorum", "pack, 64 keys");
        _verifyEcdsa(ecdsaQuorum, "of a page of 64");
    }

    function test_gas_of_heads() public {
        _head(16, 2, "16x2");
        _head(64, 2, "64x2");
        _head(384, 2, "384x2");
        _head(128, 10, "128x10");
        _head(4080, 2, "4080x2, the largest");
    }

    function test_code_sizes() public {
        vm.snapshotValue("sizes", "Federation", address(federation).code.length);
        vm.snapshotValue("sizes", "BlsQuorum", address(quorum).code.length);
        vm.snapshotValue("sizes", "EcdsaQuorum", address(new EcdsaQuorum()).code.length);
        vm.snapshotValue("sizes", "PerceptronHead", address(head).code.length);
        vm.assertLe(address(federation).code.length, 24_576); // EIP-170
    }

    function _head(uint256 dimensions, uint256 classes, string memory name) private {
        PerceptronHead head_ = new PerceptronHead(dimensions, classes);
        uint256[] memory words = new uint256[](head_.wordCount());
        bytes memory features = new bytes(dimensions);
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = uint256(keccak256(abi.encode(i)));
        }
        for (uint256 j = 0; j < dimensions; ++j) {
            features[j] = bytes1(uint8(1 + j % 255));
        }
        uint256 biasWords = (classes + 7) / 8;
        words[words.length - 1] >>= 256 - 32 * (classes - 8 * (biasWords - 1));
        head_.write(words);
        vm.snapshotGasLastCall("PerceptronHead", string.concat("write, first, ", name));
        // As a transaction: a static call would not be isolated.
        (bool ok,) = address(head_).call(abi.encodeCall(head_.predict, (features)));
        vm.assertTrue(ok);
        vm.snapshotGasLastCall("PerceptronHead", string.concat("predict, ", name));
    }

    /// @dev As a transaction: a static call would not be isolated.
    function _verify(string memory who, string memory where, uint256 signers) private {
        bytes memory signature = quorumSignature(1, signers);
        bytes32 message =
            federation.resultMessage(1, SUM, OPENED, modelOf(1), headDigest(headWords(1)));
        (bool ok, bytes memory answer) = address(quorum).call(
            abi.encodeCall(quorum.verify, (message, _bitmap(signers), signature))
        );
        vm.assertTrue(ok && abi.decode(answer, (bool)));
        vm.snapshotGasLastCall("BlsQuorum", string.concat("verify, ", who, " ", where));
    }

    function _verifyEcdsa(EcdsaQuorum of_, string memory where) private {
        uint256[4] memory sizes = [uint256(4), 5, 20, 64];
        string[4] memory names = ["4 signers ", "5 signers ", "20 signers ", "64 signers "];
        bytes32 message = keccak256("message");
        for (uint256 i = 0; i < sizes.length; ++i) {
            uint256 signers = (1 << sizes[i]) - 1;
            bytes memory signature = EcdsaSigner.signAll(address(of_), signers, message);
            (bool ok, bytes memory answer) = address(of_).call(
                abi.encodeCall(of_.verify, (message, _bitmap(signers), signature))
            );
            vm.assertTrue(ok && abi.decode(answer, (bool)));
            vm.snapshotGasLastCall("EcdsaQuorum", string.concat("verify, ", names[i], where));
        }
    }

    function _snap(string memory name) private {
        vm.snapshotGasLastCall("Federation", name);
    }
}
