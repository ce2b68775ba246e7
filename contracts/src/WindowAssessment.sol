// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Verdicts} from "./assessment/Verdicts.sol";
import {Windows} from "./assessment/Windows.sol";
import {IAssessment} from "./interfaces/IAssessment.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {Bits} from "./lib/Bits.sol";

/// @title Deposits that a federation's updates are judged by, and every payment of them.
/// @dev Windows (rounds, counts, states), Verdicts (who agreed, bonds): one file each.
contract WindowAssessment is Verdicts, ReentrancyGuardTransient {
    /// @dev Two bits a member: its deposits were paid; its share was.
    mapping(uint64 window => mapping(uint256 word => uint256)) private _paid;

    constructor(address federation_, Rules memory rules_) Windows(federation_, rules_) {}

    /// @inheritdoc IAssessment
    function claim(uint64[] calldata windows) external nonReentrant {
        uint256 index = _memberIndex(msg.sender);
        uint256 total = 0;
        for (uint256 i = 0; i < windows.length; ++i) {
            uint64 number = windows[i];
            (uint256 refundWei, uint256 takeWei) = _due(number, index);
            require(refundWei + takeWei > 0, NothingDue(number, msg.sender));
            uint256 bits = (refundWei > 0 ? 1 : 0) | (takeWei > 0 ? 2 : 0);
            _paid[number][index / 128] |= bits << (2 * (index % 128));
            if (refundWei > 0) emit Refunded(number, msg.sender, refundWei);
            if (takeWei > 0) emit Taken(number, msg.sender, takeWei);
            total += refundWei + takeWei;
        }
        _pay(msg.sender, total);
    }

    /// @inheritdoc IAssessment
    function sweep(uint64 number) external nonReentrant {
        _requireState(number, State.Standing);
        Window storage window = _windows[number];
        bool shared = window.points > 0;
        uint256 earliest = _standsAt(window) + (shared ? _anyoneWaitS : 0);
        require(block.timestamp >= earliest, TooSoon(number, earliest));
        uint256 leftWei = window.swept ? 0 : window.potWei - _takenWei(number, window);
        require(leftWei > 0, NothingDue(number, msg.sender));
        window.swept = true;
        emit Swept(number, shared ? msg.sender : address(this), leftWei);
        if (shared) _pay(msg.sender, leftWei);
        else poolWei += leftWei;
    }

    /// @inheritdoc IAssessment
    function withdraw() external nonReentrant {
        uint256 amountWei = owedWei[msg.sender];
        require(amountWei > 0, NothingToWithdraw(msg.sender));
        owedWei[msg.sender] = 0;
        emit Withdrawn(msg.sender, amountWei);
        _pay(msg.sender, amountWei);
    }

    /// @inheritdoc IAssessment
    function fund() external payable {
        require(msg.value > 0, PoolEmpty());
        poolWei += msg.value;
        emit Funded(msg.sender, msg.value);
    }

    /// @inheritdoc IAssessment
    function reclaim() external nonReentrant {
        require(msg.sender == IFederation(federation).sponsor(), NotTheSponsor(msg.sender));
        uint256 last = windowCount == 0 ? _deployedAt : _windows[windowCount].lastAt;
        uint256 until = last + _verdictPeriodS + _disputePeriodS + _resolvePeriodS;
        require(block.timestamp > until, PoolInUse(until));
        uint256 amountWei = poolWei;
        require(amountWei > 0, PoolEmpty());
        poolWei = 0;
        emit Reclaimed(msg.sender, amountWei);
        _pay(msg.sender, amountWei);
    }

    /// @inheritdoc IAssessment
    function claimable(uint64 window, address account)
        external
        view
        returns (uint256 refundWei, uint256 takeWei)
    {
        return _due(window, _memberIndex(account));
    }

    /// @dev A member's own deposits, and its share of the pot, as far as they are due and unpaid.
    function _due(uint64 number, uint256 index)
        private
        view
        returns (uint256 refundWei, uint256 takeWei)
    {
        State state = stateOf(number);
        if (state != State.Standing && state != State.Lapsed) return (0, 0);
        uint256 paid = _paid[number][index / 128] >> (2 * (index % 128));
        if (state == State.Lapsed) {
            return (paid & 1 == 0 ? updatesOf(number, index) * depositWei : 0, 0);
        }
        (bool agreed, uint32 points) = verdictOn(number, index);
        if (!agreed) return (0, 0);
        if (paid & 1 == 0) refundWei = updatesOf(number, index) * depositWei;
        if (paid & 2 == 0 && points > 0) {
            Window storage window = _windows[number];
            if (!window.swept && block.timestamp >= _standsAt(window) + _takeWaitS) {
                takeWei = _shareRoundedDownWei(window, points);
            }
        }
    }

    function _shareRoundedDownWei(Window storage window, uint32 points)
        private
        view
        returns (uint256)
    {
        return uint256(window.potWei) * points / window.points;
    }

    /// @dev All shares of a window that were taken.
    function _takenWei(uint64 number, Window storage window) private view returns (uint256 sum) {
        if (window.points == 0) return 0;
        uint256 words = (IFederation(federation).memberCount() + 255) / 256;
        for (uint256 i = 0; i < words; ++i) {
            uint256 word = _agreed[number][i];
            while (word != 0) {
                uint256 index = 256 * i + Bits.lowest(word);
                word &= word - 1; // clears the lowest set bit
                if ((_paid[number][index / 128] >> (2 * (index % 128))) & 2 == 0) continue;
                (, uint32 points) = verdictOn(number, index);
                sum += _shareRoundedDownWei(window, points);
            }
        }
    }

    /// @dev Every effect is written. With all gas left, so that contracts can take part; what they
    /// return is not copied.
    function _pay(address to, uint256 amountWei) private {
        require(LowLevelCall.callNoReturn(to, amountWei, ""), PaymentFailed(to, amountWei));
    }
}
