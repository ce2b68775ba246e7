// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "../../src/interfaces/IFederation.sol";
import {FederationFixture} from "../helpers/FederationFixture.sol";

/// @title Random walks through a federation of eight members, with real signatures.
/// @notice Steps that the federation should take are made as they should be; `try...` steps may
/// be refused. What went in and out is counted here, from balances, not from the contract.
contract Handler is FederationFixture {
    uint256 public constant MEMBERS = 8;

    uint256 public paidInWei;
    uint256 public refundedWei;
    uint256 public takenWei;
    uint256 public stakesWei;
    /// @dev Payments to each member of each round.
    mapping(uint64 round => mapping(uint256 member => uint256)) public refundsOf;
    mapping(uint64 round => mapping(uint256 member => uint256)) public takesOf;
    /// @dev Records of settled rounds, as they were just after settling.
    mapping(uint64 round => bytes32) public settledRecord;

    constructor() {
        IFederation.Rules memory rules = defaultRules();
        rules.minContributors = 2;
        rules.depositWei = 1 ether + 7; // leaves remainders when shared
        deploy(rules);
        inviteAndRegister(MEMBERS);
        stakesWei = MEMBERS * STAKE;
    }

    function theFederation() external view returns (IFederation) {
        return federation;
    }

    function openRound() external {
        if (_isRunning()) return;
        open();
    }

    function submitUpdate(uint256 member) external {
        member = member % MEMBERS;
        uint64 round = federation.lastRound();
        if (_state() != IFederation.RoundState.Open) return;
        if (block.timestamp > federation.getRound(round).submitDeadline) return;
        (bool active,) = federation.memberOf(account(member));
        if (!active || federation.updateDigest(round, member) != 0) return;
        submit(round, member);
        paidInWei += federation.rules().depositWei;
    }

    function submitAll() external {
        for (uint256 i = 0; i < MEMBERS; ++i) {
            this.submitUpdate(i);
        }
    }

    function sealRound(uint256 members) external {
        uint64 round = federation.lastRound();
        if (_state() != IFederation.RoundState.Open) return;
        uint256 submitted = _submitted(round);
        members &= submitted;
        if (members & (members - (members == 0 ? 0 : 1)) == 0) members = submitted;
        if (submitted & (submitted - (submitted == 0 ? 0 : 1)) == 0) return; // fewer than two
        if (block.timestamp > federation.getRound(round).finalizeDeadline) return;
        if (members != submitted && block.timestamp <= federation.getRound(round).submitDeadline) {
            afterSubmitting(round);
        }
        seal(round, members);
    }

    function finalizeRound() external {
        uint64 round = federation.lastRound();
        if (_state() != IFederation.RoundState.Sealed) return;
        if (block.timestamp > federation.getRound(round).finalizeDeadline) return;
        finalize(round, federation.sealedMembers(round)[0]);
        settledRecord[round] = recordOf(round);
    }

    function cancelRound(uint256 choice) external {
        uint64 round = federation.lastRound();
        if (!_isRunning() || choice % 4 != 0) return; // seldom: other steps are worth more
        if (choice % 8 == 0) {
            if (block.timestamp <= federation.getRound(round).finalizeDeadline) {
                afterFinalizing(round);
            }
            vm.prank(STRANGER);
        } else {
            vm.prank(COORDINATOR);
        }
        federation.cancelRound(round);
        settledRecord[round] = recordOf(round);
    }

    function tryRefund(uint256 member, uint64 round) external {
        (member, round) = _choose(member, round);
        (uint256 dueWei,) = federation.claimable(round, account(member));
        uint256 paidWei = _try(member, abi.encodeCall(IFederation.refund, (one(round))));
        vm.assertEq(paidWei, dueWei);
        if (paidWei > 0) ++refundsOf[round][member];
        refundedWei += paidWei;
    }

    function tryTake(uint256 member, uint64 round) external {
        (member, round) = _choose(member, round);
        (, uint256 dueWei) = federation.claimable(round, account(member));
        uint256 paidWei = _try(member, abi.encodeCall(IFederation.take, (one(round))));
        vm.assertEq(paidWei, dueWei);
        if (paidWei > 0) ++takesOf[round][member];
        takenWei += paidWei;
    }

    function tryLeave(uint256 member) external {
        if (member % 16 != 0) return; // seldom, or nobody is left
        stakesWei -= _try((member / 16) % MEMBERS, abi.encodeCall(IFederation.leave, ()));
    }

    /// @dev Anybody's call with a settled or a strange round.
    function tryToDisturb(uint256 choice, uint64 round) external {
        round = uint64(_bound(round, 0, federation.lastRound() + 1));
        if (_isRunning() && round == federation.lastRound()) return;
        if (round == federation.lastRound() + 1) return;
        bytes[3] memory calls = [
            abi.encodeCall(IFederation.sealRound, (round, SUM, _bitmap(0xff))),
            abi.encodeCall(IFederation.cancelRound, (round)),
            finalizing(round, 0xff)
        ];
        vm.prank(COORDINATOR);
        (bool ok,) = address(federation).call(calls[choice % 3]);
        vm.assertFalse(ok, "a settled round was disturbed");
    }

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 900);
    }

    /// @dev What the contract owes in deposits by its own records: of the running round all
    /// submitted ones, of settled ones what is claimable.
    function heldWei() external view returns (uint256 held) {
        for (uint64 round = 1; round <= federation.lastRound(); ++round) {
            bool running = round == federation.lastRound() && _isRunning();
            for (uint256 i = 0; i < MEMBERS; ++i) {
                (uint256 refundWei, uint256 takeWei) = federation.claimable(round, account(i));
                held += refundWei + takeWei;
                if (running && federation.updateDigest(round, i) != 0) {
                    held += federation.rules().depositWei;
                }
            }
        }
    }

    function currentRecord(uint64 round) external view returns (bytes32) {
        return recordOf(round);
    }

    /// @dev What the member's balance grew by; 0 if the call was refused.
    function _try(uint256 member, bytes memory call_) private returns (uint256) {
        uint256 before = account(member).balance;
        vm.prank(account(member));
        (bool ok,) = address(federation).call(call_);
        uint256 paidWei = account(member).balance - before;
        vm.assertEq(ok, paidWei > 0);
        return paidWei;
    }

    function _choose(uint256 member, uint64 round) private view returns (uint256, uint64) {
        return (member % MEMBERS, uint64(_bound(round, 0, federation.lastRound())));
    }

    function _state() private view returns (IFederation.RoundState) {
        return federation.getRound(federation.lastRound()).state;
    }

    function _isRunning() private view returns (bool) {
        IFederation.RoundState state = _state();
        return state == IFederation.RoundState.Open || state == IFederation.RoundState.Sealed;
    }

    function _submitted(uint64 round) private view returns (uint256 bitmap) {
        for (uint256 i = 0; i < MEMBERS; ++i) {
            if (federation.updateDigest(round, i) != 0) bitmap |= 1 << i;
        }
    }
}
