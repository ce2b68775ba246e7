// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Federation} from "../src/Federation.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {IHead} from "../src/interfaces/IHead.sol";
import {IQuorum} from "../src/interfaces/IQuorum.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

contract RulebookTest is FederationFixture {
    function setUp() public {
        deploy(defaultRules());
    }

    function test_constructor_records_what_it_was_given() public {
        IFederation.Rules memory rules = defaultRules();
        address[] memory invited = new address[](2);
        invited[0] = account(0);
        invited[1] = account(1);
        vm.expectEmit();
        emit IFederation.MemberInvited(account(0));
        vm.expectEmit();
        emit IFederation.MemberInvited(account(1));
        Federation other = new Federation(rules, MODEL_0, quorum, head, invited);
        vm.assertEq(keccak256(abi.encode(other.rules())), keccak256(abi.encode(rules)));
        vm.assertEq(other.sponsor(), address(this));
        vm.assertEq(other.quorum(), address(quorum));
        vm.assertEq(other.head(), address(head));
        vm.assertEq(other.modelDigest(), MODEL_0);
        vm.assertEq(other.lastRound(), 0);
        vm.assertEq(other.memberCount(), 0);
        vm.assertTrue(other.invited(account(0)) && other.invited(account(1)));
        vm.assertFalse(other.invited(account(2)));
    }

    function test_supports_its_interface_and_no_other() public view {
        vm.assertTrue(federation.supportsInterface(type(IFederation).interfaceId));
        vm.assertTrue(federation.supportsInterface(type(IERC165).interfaceId));
        vm.assertFalse(federation.supportsInterface(0xffffffff));
        vm.assertFalse(federation.supportsInterface(type(IHead).interfaceId));
    }

    function test_constructor_refuses_no_coordinator() public {
        IFederation.Rules memory rules = defaultRules();
        rules.coordinator = address(0);
        _refuse(rules, "coordinator");
    }

    function test_constructor_refuses_no_key_holder() public {
        IFederation.Rules memory rules = defaultRules();
        rules.keyHolder = address(0);
        _refuse(rules, "keyHolder");
    }

    function test_constructor_refuses_a_coordinator_that_holds_the_key() public {
        IFederation.Rules memory rules = defaultRules();
        rules.keyHolder = rules.coordinator;
        _refuse(rules, "keyHolder");
    }

    function test_constructor_refuses_sums_of_one() public {
        IFederation.Rules memory rules = defaultRules();
        rules.minContributors = 1;
        _refuse(rules, "minContributors");
        rules.minContributors = 0;
        _refuse(rules, "minContributors");
        rules.minContributors = 2;
        new Federation(rules, MODEL_0, quorum, head, new address[](0));
    }

    function test_constructor_refuses_more_contributors_than_members() public {
        IFederation.Rules memory rules = defaultRules();
        rules.minContributors = 1025;
        _refuse(rules, "minContributors");
        rules.minContributors = 1024;
        new Federation(rules, MODEL_0, quorum, head, new address[](0));
    }

    function test_constructor_refuses_a_quorum_of_none() public {
        IFederation.Rules memory rules = defaultRules();
        rules.quorumNumerator = 0;
        _refuse(rules, "quorumNumerator");
    }

    function test_constructor_refuses_a_quorum_above_all() public {
        IFederation.Rules memory rules = defaultRules();
        rules.quorumNumerator = 4;
        _refuse(rules, "quorumDenominator");
        rules.quorumNumerator = 3;
        new Federation(rules, MODEL_0, quorum, head, new address[](0));
    }

    function test_constructor_refuses_no_time() public {
        IFederation.Rules memory rules = defaultRules();
        rules.submitPeriodS = 0;
        _refuse(rules, "submitPeriodS");
        rules = defaultRules();
        rules.finalizePeriodS = 0;
        _refuse(rules, "finalizePeriodS");
    }

    function test_constructor_refuses_open_membership_for_nothing() public {
        IFederation.Rules memory rules = defaultRules();
        rules.openMembership = true;
        rules.registrationStakeWei = 0;
        _refuse(rules, "registrationStakeWei");
        rules.openMembership = false;
        new Federation(rules, MODEL_0, quorum, head, new address[](0));
    }

    function test_constructor_refuses_zero_digests() public {
        IFederation.Rules memory rules = defaultRules();
        rules.configDigest = 0;
        _refuse(rules, "configDigest");
        rules = defaultRules();
        rules.encryptionKeyDigest = 0;
        _refuse(rules, "encryptionKeyDigest");
        vm.expectRevert(abi.encodeWithSelector(IFederation.ZeroDigest.selector));
        new Federation(defaultRules(), 0, quorum, head, new address[](0));
    }

    function test_constructor_refuses_parts_without_code() public {
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotReady.selector, STRANGER));
        new Federation(defaultRules(), MODEL_0, IQuorum(STRANGER), head, new address[](0));
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotReady.selector, STRANGER));
        new Federation(defaultRules(), MODEL_0, quorum, IHead(STRANGER), new address[](0));
    }

    function test_takes_no_money_but_with_a_call() public {
        refuse(STRANGER, 1 ether, "", "");
    }

    function test_constructor_refuses_an_assessment_without_code() public {
        IFederation.Rules memory rules = defaultRules();
        rules.assessment = STRANGER;
        vm.expectRevert(abi.encodeWithSelector(IFederation.NotReady.selector, STRANGER));
        new Federation(rules, MODEL_0, quorum, head, new address[](0));
    }

    function test_digests_are_the_librarys() public {
        string memory json = vm.readFile("test/vectors/digests.json");
        address at = vm.parseJsonAddress(json, ".contract");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        vm.etch(at, address(federation).code);
        uint64 round = uint64(vm.parseJsonUint(json, ".round"));
        bytes32 sum = vm.parseJsonBytes32(json, ".sumDigest");
        bytes32 opened = vm.parseJsonBytes32(json, ".openedDigest");
        bytes32 model = vm.parseJsonBytes32(json, ".modelDigest");
        bytes32 head_ = vm.parseJsonBytes32(json, ".headDigest");
        vm.assertEq(headDigest(vm.parseJsonUintArray(json, ".headWords")), head_);
        vm.assertEq(
            Federation(at).resultMessage(round, sum, opened, model, head_),
            vm.parseJsonBytes32(json, ".resultMessage")
        );
        vm.assertEq(
            Federation(at).openingMessage(round, sum, opened),
            vm.parseJsonBytes32(json, ".openingMessage")
        );
    }

    function testFuzz_messages_are_bound_to_every_field(uint256 field, uint256 bit) public {
        bytes32[5] memory f = [bytes32(uint256(7)), SUM, OPENED, MODEL_0, keccak256("head")];
        bytes32 result = federation.resultMessage(7, f[1], f[2], f[3], f[4]);
        bytes32 opening = federation.openingMessage(7, f[1], f[2]);
        field = field % 5;
        bit = field == 0 ? bit % 64 : bit % 256;
        f[field] ^= bytes32(1 << bit);
        uint64 round = uint64(uint256(f[0]));
        vm.assertTrue(federation.resultMessage(round, f[1], f[2], f[3], f[4]) != result);
        vm.assertEq(federation.openingMessage(round, f[1], f[2]) != opening, field < 3);
        // Another chain, another contract.
        Federation other = new Federation(defaultRules(), MODEL_0, quorum, head, new address[](0));
        vm.assertTrue(other.resultMessage(7, SUM, OPENED, MODEL_0, keccak256("head")) != result);
        vm.assertTrue(other.openingMessage(7, SUM, OPENED) != opening);
        vm.chainId(1);
        vm.assertTrue(federation.resultMessage(7, SUM, OPENED, MODEL_0, keccak256("head")) != result);
        vm.assertTrue(federation.openingMessage(7, SUM, OPENED) != opening);
    }

    function _refuse(IFederation.Rules memory rules, string memory field) private {
        vm.expectRevert(abi.encodeWithSelector(IFederation.InvalidRules.selector, field));
        new Federation(rules, MODEL_0, quorum, head, new address[](0));
    }
}
