// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "../src/interfaces/IFederation.sol";
import {IQuorum} from "../src/interfaces/IQuorum.sol";
import {ContractMember} from "./helpers/Accounts.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

contract MembersTest is FederationFixture {
    function setUp() public {
        deploy(defaultRules());
    }

    function test_invite_once_and_again() public {
        address[] memory accounts = new address[](2);
        accounts[0] = account(0);
        accounts[1] = account(0);
        vm.expectEmit(address(federation));
        emit IFederation.MemberInvited(account(0));
        federation.invite(accounts);
        vm.assertTrue(federation.invited(account(0)));
        vm.assertFalse(federation.invited(account(1)));
        (bool active,) = federation.memberOf(account(0));
        vm.assertFalse(active);
    }

    function test_invite_is_the_sponsors() public {
        address[] memory accounts = new address[](1);
        accounts[0] = STRANGER;
        bytes memory call_ = abi.encodeCall(IFederation.invite, (accounts));
        refuse(STRANGER, 0, call_, abi.encodeWithSelector(IFederation.NotSponsor.selector, STRANGER));
        refuse(
            COORDINATOR, 0, call_, abi.encodeWithSelector(IFederation.NotSponsor.selector, COORDINATOR)
        );
        vm.assertFalse(federation.invited(STRANGER));
    }

    function test_register_by_invitation() public {
        (bytes memory key,) = keyAndProof(0);
        address[] memory accounts = new address[](1);
        accounts[0] = account(0);
        federation.invite(accounts);
        vm.expectEmit(address(federation));
        emit IFederation.MemberRegistered(account(0), 0, key);
        register(0);
        vm.assertEq(federation.memberCount(), 1);
        vm.assertEq(federation.memberAt(0), account(0));
        (bool active, uint256 index) = federation.memberOf(account(0));
        vm.assertTrue(active && index == 0);
        vm.assertEq(quorum.keyOf(0), key);
        vm.assertEq(address(federation).balance, STAKE);
    }

    function test_register_gives_indices_in_order() public {
        inviteAndRegister(4);
        for (uint256 i = 0; i < 4; ++i) {
            (bool active, uint256 index) = federation.memberOf(account(i));
            vm.assertTrue(active && index == i && federation.memberAt(i) == account(i));
        }
        (bool known, uint256 zero) = federation.memberOf(STRANGER);
        vm.assertTrue(!known && zero == 0);
    }

    function test_register_in_an_open_federation_needs_no_invitation() public {
        IFederation.Rules memory rules = defaultRules();
        rules.openMembership = true;
        deploy(rules);
        register(0);
        (bool active,) = federation.memberOf(account(0));
        vm.assertTrue(active);
    }

    function test_register_refuses_the_uninvited() public {
        refuse(
            STRANGER, STAKE, _registering(0),
            abi.encodeWithSelector(IFederation.NotInvited.selector, STRANGER)
        );
    }

    function test_register_refuses_a_member() public {
        inviteAndRegister(1);
        refuse(
            account(0), STAKE, _registering(1),
            abi.encodeWithSelector(IFederation.AlreadyMember.selector, account(0))
        );
    }

    function test_register_refuses_one_that_left() public {
        inviteAndRegister(1);
        vm.prank(account(0));
        federation.leave();
        refuse(
            account(0), STAKE, _registering(1),
            abi.encodeWithSelector(IFederation.AlreadyMember.selector, account(0))
        );
    }

    function test_register_refuses_another_stake() public {
        _invite(account(0));
        refuse(
            account(0), STAKE - 1, _registering(0),
            abi.encodeWithSelector(IFederation.WrongStake.selector, STAKE - 1, STAKE)
        );
        refuse(
            account(0), STAKE + 1, _registering(0),
            abi.encodeWithSelector(IFederation.WrongStake.selector, STAKE + 1, STAKE)
        );
    }

    function test_register_refuses_what_the_quorum_refuses() public {
        inviteAndRegister(1);
        _invite(account(1));
        (bytes memory key, bytes memory proof) = keyAndProof(0);
        refuse(
            account(1), STAKE, _registering(0),
            abi.encodeWithSelector(IQuorum.KeyInUse.selector, keccak256(key))
        );
        (bytes memory key1,) = keyAndProof(1);
        refuse(
            account(1), STAKE, abi.encodeCall(IFederation.register, (key1, proof)),
            abi.encodeWithSelector(IQuorum.InvalidProofOfPossession.selector, 1)
        );
        refuse(
            account(1), STAKE, abi.encodeCall(IFederation.register, ("", proof)),
            abi.encodeWithSelector(IQuorum.InvalidKey.selector, 0)
        );
        register(1); // the way is still free
    }

    function test_register_refuses_more_than_1024() public {
        IFederation.Rules memory rules = defaultRules();
        rules.openMembership = true;
        deploy(rules);
        for (uint256 i = 0; i < 1024; ++i) {
            register(i);
        }
        (bool ok, bytes memory answer) = _tryRegister(1024);
        vm.assertFalse(ok);
        vm.assertEq(answer, abi.encodeWithSelector(IFederation.TooManyMembers.selector, 1024));
        vm.assertEq(federation.memberCount(), 1024);
        // Leaving frees no place: indices are never used again.
        vm.prank(account(7));
        federation.leave();
        (ok,) = _tryRegister(1024);
        vm.assertFalse(ok);
    }

    function test_leave_returns_the_stake() public {
        inviteAndRegister(2);
        uint256 before = account(1).balance;
        vm.expectEmit(address(federation));
        emit IFederation.MemberLeft(account(1), 1, STAKE);
        vm.prank(account(1));
        federation.leave();
        vm.assertEq(account(1).balance, before + STAKE);
        vm.assertEq(address(federation).balance, STAKE);
        (bool active, uint256 index) = federation.memberOf(account(1));
        vm.assertTrue(!active && index == 1);
        vm.assertEq(federation.memberCount(), 2);
        vm.assertEq(federation.memberAt(1), account(1));
    }

    function test_leave_refuses_strangers_and_those_that_left() public {
        inviteAndRegister(1);
        bytes memory call_ = abi.encodeCall(IFederation.leave, ());
        refuse(STRANGER, 0, call_, abi.encodeWithSelector(IFederation.NotMember.selector, STRANGER));
        vm.prank(account(0));
        federation.leave();
        refuse(
            account(0), 0, call_, abi.encodeWithSelector(IFederation.NotMember.selector, account(0))
        );
    }

    function test_leave_refuses_while_an_update_is_in_a_running_round() public {
        inviteAndRegister(4);
        uint64 round = open();
        submitMany(round, 3);
        bytes memory call_ = abi.encodeCall(IFederation.leave, ());
        bytes memory busy =
            abi.encodeWithSelector(IFederation.MemberBusy.selector, account(0), round);
        refuse(account(0), 0, call_, busy);
        seal(round, 7);
        refuse(account(0), 0, call_, busy);
        vm.prank(account(3)); // has no update in it
        federation.leave();
        finalize(round, 7);
        vm.prank(account(0));
        federation.leave();
    }

    function test_leave_after_a_cancelled_round() public {
        inviteAndRegister(1);
        uint64 round = open();
        submit(round, 0);
        vm.prank(COORDINATOR);
        federation.cancelRound(round);
        vm.prank(account(0));
        federation.leave();
        // The deposit is still there for it.
        vm.prank(account(0));
        federation.refund(one(round));
        vm.assertEq(account(0).balance, STAKE + DEPOSIT);
    }

    function test_leave_refuses_when_the_stake_cannot_be_paid() public {
        ContractMember member = _contractMember();
        bytes memory leaving = abi.encodeCall(IFederation.leave, ());
        vm.expectRevert(
            abi.encodeWithSelector(IFederation.PaymentFailed.selector, address(member), STAKE)
        );
        member.run(0, leaving);
        (bool active,) = federation.memberOf(address(member));
        vm.assertTrue(active);
        member.takeMoney("");
        member.run(0, leaving);
        vm.assertEq(address(member).balance, STAKE);
    }

    function test_leave_cannot_be_reentered() public {
        ContractMember member = _contractMember();
        inviteAndRegister(2); // money to steal
        bytes memory leaving = abi.encodeCall(IFederation.leave, ());
        member.takeMoney(leaving);
        member.run(0, leaving);
        vm.assertFalse(member.reentrySucceeded());
        vm.assertEq(member.reentryAnswer().length, 4); // ReentrancyGuardReentrantCall
        vm.assertEq(address(member).balance, STAKE);
        vm.assertEq(address(federation).balance, 2 * STAKE);
    }

    function _contractMember() private returns (ContractMember member) {
        member = new ContractMember(federation);
        _invite(address(member));
        vm.deal(address(member), STAKE);
        member.run(STAKE, _registering(99));
        vm.assertEq(address(member).balance, 0);
    }

    function _invite(address who) private {
        address[] memory accounts = new address[](1);
        accounts[0] = who;
        federation.invite(accounts);
    }

    function _registering(uint256 member) private view returns (bytes memory) {
        (bytes memory key, bytes memory proof) = keyAndProof(member);
        return abi.encodeCall(IFederation.register, (key, proof));
    }

    function _tryRegister(uint256 member) private returns (bool ok, bytes memory answer) {
        bytes memory call_ = _registering(member);
        vm.deal(account(member), STAKE);
        vm.prank(account(member));
        (ok, answer) = address(federation).call{value: STAKE}(call_);
    }
}
