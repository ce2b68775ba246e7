// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IAssessment} from "../interfaces/IAssessment.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {IQuorum} from "../interfaces/IQuorum.sol";
import {Bits} from "../lib/Bits.sol";
import {Digests} from "../lib/Digests.sol";
import {Windows} from "./Windows.sol";

/// @title Verdicts, disputes, and what becomes of bonds.
abstract contract Verdicts is Windows {
    /// @inheritdoc IAssessment
    uint256 public poolWei;
    /// @inheritdoc IAssessment
    mapping(address account => uint256) public owedWei;

    mapping(uint64 window => mapping(uint256 word => uint256)) internal _disputers;

    /// @inheritdoc IAssessment
    function postVerdict(
        uint64 number,
        uint256[] calldata agreed,
        uint32[] calldata points,
        bytes32 scoresDigest,
        uint256[] calldata signers,
        bytes calldata signature
    ) external payable {
        Window storage window = _windows[number];
        _requireReady(number, window);
        require(msg.value == _bondWei, WrongBond(msg.value, _bondWei));
        _requireSigned(
            window.lastRound, _message(number, 0, scoresDigest, agreed, points), signers, signature
        );

        window.judgedAt = uint64(block.timestamp);
        window.poster = msg.sender;
        window.scoresDigest = scoresDigest;
        _judge(number, window, agreed, points);
        emit VerdictPosted(number, scoresDigest, msg.sender, agreed, points, window.potWei);
    }

    /// @inheritdoc IAssessment
    function dispute(uint64 number) external payable {
        _requireState(number, State.Judged);
        require(msg.value == _bondWei, WrongBond(msg.value, _bondWei));
        uint256 index = _memberIndex(msg.sender);
        require(updatesOf(number, index) > 0, NotInWindow(number, index));
        uint256 bit = 1 << (index % 256);
        uint256 word = _disputers[number][index / 256];
        require(word & bit == 0, AlreadyDisputed(number, msg.sender));

        _disputers[number][index / 256] = word | bit;
        _windows[number].disputes += 1; // at most 1024
        emit VerdictDisputed(number, msg.sender);
    }

    /// @inheritdoc IAssessment
    function resolve(
        uint64 number,
        uint256[] calldata agreed,
        uint32[] calldata points,
        bytes32 scoresDigest,
        uint256[] calldata signers,
        bytes calldata signature
    ) external {
        _requireState(number, State.Disputed);
        Window storage window = _windows[number];
        _requireSigned(
            window.lastRound, _message(number, 1, scoresDigest, agreed, points), signers, signature
        );

        window.resolved = true;
        window.standsAt = uint64(block.timestamp);
        window.scoresDigest = scoresDigest;
        uint256[] memory before = _recordsOfDisputers(number);
        poolWei += window.bountyWei;
        _judge(number, window, agreed, points);
        (uint256[] memory right, uint256 rightCount) = _compare(number, before);
        // Less than all ether.
        window.potWei += uint128(_settleBonds(number, window, right, rightCount));
        emit DisputeResolved(number, scoresDigest, right, window.potWei);
    }

    /// @inheritdoc IAssessment
    function closeDispute(uint64 number) external {
        _requireState(number, State.Fallen);
        Window storage window = _windows[number];
        window.resolved = true;
        window.standsAt = uint64(block.timestamp);
        uint256 returnedWei = 0;
        uint256 words = _words();
        for (uint256 i = 0; i < words; ++i) {
            uint256 word = _disputers[number][i];
            while (word != 0) {
                uint256 bit = Bits.lowest(word);
                word &= word - 1; // clears the lowest set bit
                uint256 index = 256 * i + bit;
                (bool wasAgreed, uint32 points) = verdictOn(number, index);
                if (wasAgreed) {
                    // Its deposit is its own already; it keeps no points.
                    window.points -= points;
                    _setPoints(number, index, 0);
                } else {
                    _agreed[number][i] |= 1 << bit;
                    _setPoints(number, index, 0);
                    returnedWei += updatesOf(number, index) * depositWei;
                }
                _owe(number, IFederation(federation).memberAt(index), _bondWei);
            }
        }
        // A part of what the verdict put into the pot.
        window.potWei -= uint128(returnedWei);
        _owe(number, window.poster, _bondWei);
        window.bondReleased = true;
        emit DisputeClosed(number, window.potWei);
    }

    /// @inheritdoc IAssessment
    function releaseBond(uint64 number) external {
        _requireState(number, State.Standing);
        Window storage window = _windows[number];
        require(!window.bondReleased, NothingDue(number, window.poster));
        window.bondReleased = true;
        _owe(number, window.poster, _bondWei);
    }

    /// @inheritdoc IAssessment
    function verdictMessage(
        uint64 window,
        uint256 attempt,
        bytes32 scoresDigest,
        uint256[] calldata agreed,
        uint32[] calldata points
    ) external view returns (bytes32) {
        return _message(window, attempt, scoresDigest, agreed, points);
    }

    /// @dev Full, or without another round for half of the time that a verdict has.
    function _requireReady(uint64 number, Window storage window) private view {
        State state = stateOf(number);
        bool idle = state == State.Filling
            && block.timestamp > window.lastAt + _verdictPeriodS / 2;
        require(state == State.Full || idle, WrongWindowState(number, state));
    }

    /// @dev Records a verdict: who agreed, points, and the pot that follows.
    function _judge(
        uint64 number,
        Window storage window,
        uint256[] calldata agreed,
        uint32[] calldata points
    ) private {
        uint256 place = 0;
        uint256 updates = 0;
        uint256 total = 0;
        uint256 words = _words();
        for (uint256 i = 0; i < words; ++i) {
            uint256 word = i < agreed.length ? agreed[i] : 0;
            if (_agreed[number][i] != word) _agreed[number][i] = word;
            while (word != 0) {
                uint256 index = 256 * i + Bits.lowest(word);
                word &= word - 1; // clears the lowest set bit
                uint256 count = updatesOf(number, index);
                require(count > 0, NotInWindow(number, index));
                require(place < points.length, WrongPointsLength(points.length, place + 1));
                updates += count;
                total += points[place];
                _setPoints(number, index, points[place]);
                ++place;
            }
        }
        require(
            place == points.length && agreed.length <= words,
            WrongPointsLength(points.length, place)
        );
        uint256 bountyWei = Math.min(poolWei, updates * _bountyPerUpdateWei);
        poolWei -= bountyWei;
        // At most all that was paid in; points: 1024 times less than 2^32.
        window.bountyWei = uint128(bountyWei);
        window.potWei = uint128((window.updates - updates) * depositWei + bountyWei);
        window.points = uint128(total);
    }

    /// @dev What the verdict said of each disputer: its points and one, or 0 where it did not agree.
    function _recordsOfDisputers(uint64 number) private view returns (uint256[] memory records) {
        records = new uint256[](_windows[number].disputes);
        uint256 place = 0;
        uint256 words = _words();
        for (uint256 i = 0; i < words; ++i) {
            uint256 word = _disputers[number][i];
            while (word != 0) {
                records[place++] = _record(number, 256 * i + Bits.lowest(word));
                word &= word - 1; // clears the lowest set bit
            }
        }
    }

    function _record(uint64 number, uint256 index) private view returns (uint256) {
        (bool agreed, uint32 points) = verdictOn(number, index);
        return agreed ? uint256(points) + 1 : 0;
    }

    /// @dev Which disputers' records are others now than before.
    function _compare(uint64 number, uint256[] memory before)
        private
        view
        returns (uint256[] memory right, uint256 count)
    {
        right = new uint256[](_words());
        uint256 place = 0;
        for (uint256 i = 0; i < right.length; ++i) {
            uint256 word = _disputers[number][i];
            while (word != 0) {
                uint256 bit = Bits.lowest(word);
                word &= word - 1; // clears the lowest set bit
                if (_record(number, 256 * i + bit) != before[place++]) {
                    right[i] |= 1 << bit;
                    ++count;
                }
            }
        }
    }

    /// @dev Pays the bonds of a resolved dispute; what is left over is the window's.
    function _settleBonds(
        uint64 number,
        Window storage window,
        uint256[] memory right,
        uint256 rightCount
    ) private returns (uint256 leftWei) {
        window.bondReleased = true;
        uint256 wrongWei = (window.disputes - rightCount) * _bondWei;
        if (rightCount == 0) {
            _owe(number, window.poster, _bondWei + wrongWei);
            return 0;
        }
        uint256 shareWei = _bondWei / rightCount; // rounded down; the rest is the window's
        for (uint256 i = 0; i < right.length; ++i) {
            uint256 word = right[i];
            while (word != 0) {
                uint256 index = 256 * i + Bits.lowest(word);
                word &= word - 1; // clears the lowest set bit
                _owe(number, IFederation(federation).memberAt(index), _bondWei + shareWei);
            }
        }
        return wrongWei + _bondWei - shareWei * rightCount;
    }

    function _owe(uint64 number, address account, uint256 amountWei) private {
        owedWei[account] += amountWei;
        emit BondReleased(number, account, amountWei);
    }

    function _setPoints(uint64 number, uint256 index, uint32 points) private {
        uint256 shift = 32 * (index % POINTS_PER_WORD);
        uint256 word = _points[number][index / POINTS_PER_WORD];
        uint256 changed = word & ~(uint256(type(uint32).max) << shift) | uint256(points) << shift;
        if (changed != word) _points[number][index / POINTS_PER_WORD] = changed;
    }

    /// @dev Words of a bitmap of all members.
    function _words() private view returns (uint256) {
        return Math.ceilDiv(IFederation(federation).memberCount(), 256);
    }

    function _requireSigned(
        uint64 round,
        bytes32 message,
        uint256[] calldata signers,
        bytes calldata signature
    ) private view {
        IFederation its = IFederation(federation);
        uint256[] memory members = its.sealedMembers(round);
        uint256 size = 0;
        for (uint256 i = 0; i < members.length; ++i) {
            size += Bits.count(members[i]);
        }
        uint256 count = 0;
        for (uint256 i = 0; i < signers.length; ++i) {
            uint256 strangers = i < members.length ? signers[i] & ~members[i] : signers[i];
            if (strangers != 0) revert NotOfTheQuorum(256 * i + Bits.lowest(strangers));
            count += Bits.count(signers[i]);
        }
        IFederation.Rules memory its_ = its.rules();
        uint256 needed = Math.ceilDiv(size * its_.quorumNumerator, its_.quorumDenominator);
        require(count >= needed, TooFewSigners(count, needed));
        require(
            IQuorum(its.quorum()).verify(message, signers, signature), InvalidVerdictSignature()
        );
    }

    function _message(
        uint64 window,
        uint256 attempt,
        bytes32 scoresDigest,
        uint256[] calldata agreed,
        uint32[] calldata points
    ) private view returns (bytes32) {
        return Digests.verdictMessage(
            window, attempt, scoresDigest, keccak256(abi.encode(agreed, points))
        );
    }
}
