// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAssessment} from "../../src/interfaces/IAssessment.sol";
import {AssessmentFixture} from "../helpers/AssessmentFixture.sol";

/// @title Random steps through windows: rounds, verdicts, disputes, claims, waits.
contract WindowHandler is AssessmentFixture {
    uint256 public paidInWei;
    uint256 public paidOutWei;
    bool public somebodyWasPaidTwice;
    bool public aSettledVerdictChanged;
    bool public aLapsedWindowKeptADeposit;
    mapping(uint64 window => bytes32) private _settled;
    mapping(uint64 window => mapping(uint256 member => uint256)) private _refunded;
    mapping(uint64 window => uint256) private _taken;

    constructor() {
        deployAssessed();
    }

    function tryRound(uint256 members, uint256 accepted) external {
        uint256 count = 3 + members % 3;
        uint256 list = (1 << count) - 1;
        accepted = (accepted & list) | 7;
        uint64 round = open();
        submitMany(round, count);
        afterSubmitting(round);
        commit(round, list);
        draw(round);
        sealAssessed(round, accepted);
        finalize(round, accepted);
        paidInWei += count * DEPOSIT;
    }

    function tryFund(uint96 amount) external {
        uint256 value = 1 + amount % 1 ether;
        vm.deal(address(this), value);
        assessment.fund{value: value}();
        paidInWei += value;
    }

    function tryPost(uint256 which, uint256 agreed, uint256 points) external {
        _judge(_window(which), agreed, points, true);
    }

    function tryResolve(uint256 which, uint256 agreed, uint256 points) external {
        _judge(_window(which), agreed, points, false);
    }

    function tryDispute(uint256 which, uint256 member) external {
        uint64 window = _window(which);
        if (window == 0 || assessment.stateOf(window) != IAssessment.State.Judged) return;
        if (_send(account(member % 5), BOND, abi.encodeCall(IAssessment.dispute, (window)))) {
            paidInWei += BOND;
        }
    }

    function tryClose(uint256 which) external {
        uint64 window = _window(which);
        if (window == 0 || assessment.stateOf(window) != IAssessment.State.Fallen) return;
        vm.assertTrue(_send(STRANGER, 0, abi.encodeCall(IAssessment.closeDispute, (window))));
        _remember(window);
    }

    function tryClaim(uint256 which, uint256 member) external {
        uint64 window = _window(which);
        if (window == 0) return;
        member %= 5;
        (uint256 refundWei, uint256 takeWei) = assessment.claimable(window, account(member));
        uint256 before = account(member).balance;
        bool ok = _send(account(member), 0, abi.encodeCall(IAssessment.claim, (one(window))));
        vm.assertEq(ok, refundWei + takeWei > 0);
        if (!ok) return;
        vm.assertEq(account(member).balance - before, refundWei + takeWei);
        paidOutWei += refundWei + takeWei;
        _taken[window] += takeWei;
        if (refundWei > 0) {
            if (_refunded[window][member] > 0) somebodyWasPaidTwice = true;
            _refunded[window][member] = refundWei;
            if (
                assessment.stateOf(window) == IAssessment.State.Lapsed
                    && refundWei != assessment.updatesOf(window, member) * DEPOSIT
            ) aLapsedWindowKeptADeposit = true;
        }
        (refundWei, takeWei) = assessment.claimable(window, account(member));
        if (refundWei + takeWei > 0) somebodyWasPaidTwice = true;
    }

    function trySweep(uint256 which) external {
        uint64 window = _window(which);
        if (window == 0) return;
        uint256 before = STRANGER.balance;
        if (_send(STRANGER, 0, abi.encodeCall(IAssessment.sweep, (window)))) {
            paidOutWei += STRANGER.balance - before;
        }
    }

    function tryRelease(uint256 which) external {
        _send(STRANGER, 0, abi.encodeCall(IAssessment.releaseBond, (_window(which))));
    }

    function tryWithdraw(uint256 who) external {
        address to = who % 6 == 5 ? POSTER : account(who % 6);
        uint256 owed = assessment.owedWei(to);
        if (_send(to, 0, abi.encodeCall(IAssessment.withdraw, ()))) paidOutWei += owed;
    }

    function tryWait(uint256 seed) external {
        vm.warp(block.timestamp + 1 + seed % 2 days);
        for (uint64 w = 1; w <= assessment.windowCount(); ++w) {
            _remember(w);
        }
    }

    /// @dev All that is somebody's, or will be: counted anew from the records.
    function owedInAllWei() external view returns (uint256 sum) {
        sum = assessment.poolWei() + assessment.owedWei(POSTER);
        for (uint256 i = 0; i < 5; ++i) {
            sum += assessment.owedWei(account(i));
        }
        for (uint64 w = 1; w <= assessment.windowCount(); ++w) {
            IAssessment.Window memory window = assessment.getWindow(w);
            bool judged = window.judgedAt != 0;
            for (uint256 i = 0; i < 5; ++i) {
                (bool agreed,) = assessment.verdictOn(w, i);
                if ((agreed || !judged) && _refunded[w][i] == 0) {
                    sum += assessment.updatesOf(w, i) * DEPOSIT;
                }
            }
            if (!judged) continue;
            if (!window.swept) sum += window.potWei - _taken[w];
            if (!window.bondReleased) sum += BOND;
            if (!window.resolved) sum += window.disputes * BOND;
        }
    }

    function heldWei() external view returns (uint256) {
        return address(assessment).balance;
    }

    function _window(uint256 which) private view returns (uint64) {
        uint64 count = assessment.windowCount();
        return count == 0 ? 0 : uint64(1 + which % count);
    }

    function _judge(uint64 window, uint256 agreed, uint256 seed, bool first) private {
        if (window == 0) return;
        uint256 list = 0;
        uint256 size = 0;
        for (uint256 i = 0; i < 5; ++i) {
            if ((agreed >> i) & 1 == 1 && assessment.updatesOf(window, i) > 0) {
                list |= 1 << i;
                ++size;
            }
        }
        uint32[] memory points = new uint32[](size);
        for (uint256 i = 0; i < size; ++i) {
            points[i] = uint32(seed >> (32 * i)) % 3;
        }
        IAssessment.State state = assessment.stateOf(window);
        if (state == IAssessment.State.Standing || state == IAssessment.State.Lapsed) return;
        uint256 signers = federation.sealedMembers(assessment.getWindow(window).lastRound)[0];
        bytes memory data = first
            ? posting(window, list, points, signers)
            : resolving(window, list, points, signers);
        bool ok = _send(first ? POSTER : STRANGER, first ? BOND : 0, data);
        if (ok && first) paidInWei += BOND;
        if (ok) _remember(window);
    }

    /// @dev A window that is settled is the same for ever, but for what is paid of it.
    function _remember(uint64 window) private {
        IAssessment.State state = assessment.stateOf(window);
        if (state != IAssessment.State.Standing && state != IAssessment.State.Lapsed) return;
        IAssessment.Window memory found = assessment.getWindow(window);
        (found.swept, found.bondReleased) = (false, false);
        bytes32 digest = keccak256(abi.encode(found, state));
        for (uint256 i = 0; i < 5; ++i) {
            (bool agreed, uint32 points) = assessment.verdictOn(window, i);
            digest = keccak256(abi.encode(digest, agreed, points));
        }
        if (_settled[window] == 0) _settled[window] = digest;
        else if (_settled[window] != digest) aSettledVerdictChanged = true;
    }

    function _send(address who, uint256 valueWei, bytes memory data) private returns (bool ok) {
        vm.deal(who, who.balance + valueWei);
        vm.prank(who);
        (ok,) = address(assessment).call{value: valueWei}(data);
    }
}
