// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAssessment} from "../interfaces/IAssessment.sol";
import {IAssessor} from "../interfaces/IAssessor.sol";
import {IFederation} from "../interfaces/IFederation.sol";

/// @title Which rounds are in which window, who took part how often, and where a window stands.
abstract contract Windows is IAssessment {
    uint256 internal constant COUNTS_PER_WORD = 32;
    uint256 internal constant POINTS_PER_WORD = 8;

    /// @inheritdoc IAssessor
    address public immutable federation;

    uint256 internal immutable _windowRounds;
    uint256 internal immutable _verdictPeriodS;
    uint256 internal immutable _disputePeriodS;
    uint256 internal immutable _resolvePeriodS;
    uint256 internal immutable _takeWaitS;
    uint256 internal immutable _anyoneWaitS;
    /// @inheritdoc IAssessor
    uint256 public immutable depositWei;
    uint256 internal immutable _deployedAt;
    uint256 internal immutable _bondWei;
    uint256 internal immutable _bountyPerUpdateWei;

    /// @inheritdoc IAssessment
    uint64 public windowCount;

    mapping(uint64 window => Window) internal _windows;
    mapping(uint64 window => uint64[]) private _rounds;
    /// @dev A byte a member: in how many of the window's rounds its update was committed.
    mapping(uint64 window => mapping(uint256 word => uint256)) private _counts;
    mapping(uint64 window => mapping(uint256 word => uint256)) internal _agreed;
    /// @dev 32 bits a member; they mean something for those that agreed.
    mapping(uint64 window => mapping(uint256 word => uint256)) internal _points;

    /// @param federation_ the address that the federation has or will have.
    constructor(address federation_, Rules memory rules_) {
        require(federation_ != address(0), InvalidRules("federation"));
        // A count is a byte.
        require(
            rules_.windowRounds >= 1 && rules_.windowRounds <= type(uint8).max,
            InvalidRules("windowRounds")
        );
        require(rules_.verdictPeriodS > 0, InvalidRules("verdictPeriodS"));
        require(rules_.disputePeriodS > 0, InvalidRules("disputePeriodS"));
        require(rules_.resolvePeriodS > 0, InvalidRules("resolvePeriodS"));
        require(rules_.anyoneWaitS >= rules_.takeWaitS, InvalidRules("anyoneWaitS"));
        federation = federation_;
        _windowRounds = rules_.windowRounds;
        _verdictPeriodS = rules_.verdictPeriodS;
        _disputePeriodS = rules_.disputePeriodS;
        _resolvePeriodS = rules_.resolvePeriodS;
        _takeWaitS = rules_.takeWaitS;
        _anyoneWaitS = rules_.anyoneWaitS;
        depositWei = rules_.depositWei;
        _deployedAt = block.timestamp;
        _bondWei = rules_.bondWei;
        _bountyPerUpdateWei = rules_.bountyPerUpdateWei;
    }

    /// @inheritdoc IAssessor
    function onFinalized(uint64 round, uint256[] calldata members) external payable {
        require(msg.sender == federation, NotFederation(msg.sender));
        uint64 number = windowCount;
        if (stateOf(number) != State.Filling) {
            number += 1;
            windowCount = number;
        }
        uint256 updates = _count(number, members);
        require(msg.value == updates * depositWei, WrongDeposits(msg.value, updates * depositWei));
        Window storage window = _windows[number];
        window.lastRound = round;
        window.lastAt = uint64(block.timestamp);
        window.rounds += 1; // at most 255
        window.updates += uint32(updates); // at most 255 * 1024
        _rounds[number].push(round);
        emit RoundTaken(round, number, updates);
    }

    /// @inheritdoc IAssessment
    function rules() external view returns (Rules memory) {
        return Rules({
            windowRounds: uint16(_windowRounds),
            verdictPeriodS: uint32(_verdictPeriodS),
            disputePeriodS: uint32(_disputePeriodS),
            resolvePeriodS: uint32(_resolvePeriodS),
            takeWaitS: uint32(_takeWaitS),
            anyoneWaitS: uint32(_anyoneWaitS),
            depositWei: uint96(depositWei),
            bondWei: uint96(_bondWei),
            bountyPerUpdateWei: uint96(_bountyPerUpdateWei)
        });
    }

    /// @inheritdoc IAssessment
    function getWindow(uint64 window) external view returns (Window memory) {
        return _windows[window];
    }

    /// @inheritdoc IAssessment
    function roundsOf(uint64 window) external view returns (uint64[] memory) {
        return _rounds[window];
    }

    /// @inheritdoc IAssessment
    function updatesOf(uint64 window, uint256 index) public view returns (uint256) {
        return uint8(_counts[window][index / COUNTS_PER_WORD] >> (8 * (index % COUNTS_PER_WORD)));
    }

    /// @inheritdoc IAssessment
    function verdictOn(uint64 window, uint256 index)
        public
        view
        returns (bool agreed, uint32 points)
    {
        agreed = (_agreed[window][index / 256] >> (index % 256)) & 1 == 1;
        if (agreed) {
            points = uint32(
                _points[window][index / POINTS_PER_WORD] >> (32 * (index % POINTS_PER_WORD))
            );
        }
    }

    /// @inheritdoc IAssessment
    function stateOf(uint64 number) public view returns (State) {
        Window storage window = _windows[number];
        if (window.rounds == 0) return State.None;
        if (window.judgedAt == 0) {
            if (block.timestamp > window.lastAt + _verdictPeriodS) return State.Lapsed;
            return window.rounds < _windowRounds ? State.Filling : State.Full;
        }
        uint256 disputableUntil = window.judgedAt + _disputePeriodS;
        if (block.timestamp <= disputableUntil) return State.Judged;
        if (window.disputes == 0 || window.resolved) return State.Standing;
        return block.timestamp <= disputableUntil + _resolvePeriodS
            ? State.Disputed
            : State.Fallen;
    }

    /// @dev From when a standing verdict stands.
    function _standsAt(Window storage window) internal view returns (uint256) {
        return window.disputes == 0 ? window.judgedAt + _disputePeriodS : window.standsAt;
    }

    function _requireState(uint64 window, State wanted) internal view {
        State state = stateOf(window);
        require(state == wanted, WrongWindowState(window, state));
    }

    /// @dev Index of the caller as a member of the federation, now or before.
    function _memberIndex(address account) internal view returns (uint256 index) {
        (, index) = IFederation(federation).memberOf(account);
        // The federation says index 0 for strangers, too.
        require(
            index != 0 || IFederation(federation).memberAt(0) == account, NotAMember(account)
        );
    }

    /// @dev Adds one to the count of each member in the bitmap; how many there are.
    function _count(uint64 window, uint256[] calldata members) private returns (uint256 count) {
        for (uint256 i = 0; i < members.length; ++i) {
            uint256 rest = members[i];
            for (uint256 word = 8 * i; rest != 0; ++word) {
                uint256 ones = 0;
                for (uint256 j = 0; j < COUNTS_PER_WORD; ++j) {
                    if (rest & 1 == 1) {
                        ones |= 1 << (8 * j);
                        ++count;
                    }
                    rest >>= 1;
                }
                // A count is at most the window's rounds, 255: no byte runs over.
                if (ones != 0) _counts[window][word] += ones;
            }
        }
    }
}
