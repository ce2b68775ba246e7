// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "../interfaces/IIncentive.sol";
import {Badges} from "./Badges.sol";
import {Ledger} from "./Ledger.sol";

/// @title Points and badges, no money.
/// @notice A contribution costs nothing. It brings a point, when its contributor asks for it, if
/// - the model had not said the label before it learned from it: repeating it teaches nothing;
/// - a wait has passed: others had the time to contradict;
/// - the model says the label now.
/// An account contributes a limited number of times a day (UTC): one account can neither flood
/// the model nor collect points without end.
/// `report` is refused: there is nothing to take. Letting anybody strike out what the model does
/// not agree with would be a weapon, where turning the model for a moment costs nothing.
/// Warning: accounts are free, so whoever pays the gas can have any number of points, by teaching
/// samples that nobody else sends. Points and badges tell how long an account was of one mind
/// with the model; they are no votes and no shares, and no money: a bounty on them that pays more
/// than the gas of a contribution and its refund is an offer to everybody with a script.
contract Points is Ledger, Badges {
    struct Rules {
        uint32 refundWaitS; // from a contribution until its point can be had
        uint32 dailyLimit; // contributions of an account in a day of UTC
        uint32[] badgeThresholds; // points, ascending; at most eight
    }

    /// @notice The account has contributed `limit` times today; `earliest` is tomorrow's first
    /// second.
    error DailyLimitReached(address account, uint256 limit, uint256 earliest);

    uint256 private immutable _refundWaitS;
    uint256 private immutable _dailyLimit;

    constructor(address trainer_, Rules memory rules_)
        Ledger(trainer_)
        Badges(rules_.badgeThresholds)
    {
        require(rules_.refundWaitS > 0, InvalidRules("refundWaitS"));
        require(rules_.dailyLimit > 0, InvalidRules("dailyLimit"));
        _refundWaitS = rules_.refundWaitS;
        _dailyLimit = rules_.dailyLimit;
    }

    /// @notice The rules; they never change.
    function rules() external view returns (Rules memory) {
        return Rules({
            refundWaitS: uint32(_refundWaitS),
            dailyLimit: uint32(_dailyLimit),
            badgeThresholds: badgeThresholds()
        });
    }

    /// @notice How often an account may still contribute today.
    function leftToday(address account) external view returns (uint256) {
        Account storage one = _accounts[account];
        return one.day == block.timestamp / 1 days ? _dailyLimit - one.onDay : _dailyLimit;
    }

    /// @inheritdoc IIncentive
    function priceWei() external pure returns (uint256) {
        return 0;
    }

    /// @inheritdoc IIncentive
    function onContribute(
        address contributor,
        bytes32 dataDigest,
        uint256 class,
        uint256 predicted,
        uint256
    ) external payable onlyTrainer returns (uint256 id, uint256 paidWei) {
        require(msg.value == 0, NoMoneyHere(msg.value));
        Totals memory totals = _totals;
        require(!totals.closed, ReleaseClosed());
        _count(contributor);
        totals.lastId += 1;
        totals.lastTime = uint40(block.timestamp);
        _totals = totals;
        id = totals.lastId;
        // What the model said already brings nothing: nothing to remember.
        if (predicted != class) {
            _record(
                Contribution({
                    id: id,
                    contributor: contributor,
                    class: class,
                    predicted: predicted,
                    priceWei: 0,
                    time: block.timestamp
                }),
                dataDigest
            );
        }
        return (id, 0);
    }

    /// @inheritdoc IIncentive
    function onRefund(
        Contribution calldata contribution,
        bytes32 dataDigest,
        address caller,
        uint256 predicted
    ) external onlyTrainer returns (uint256 amountWei) {
        uint256 id = contribution.id;
        _open(contribution, dataDigest);
        require(caller == contribution.contributor, NotAllowed(id, caller));
        require(id > _totals.endedId, ReleaseOver(id));
        uint256 earliest = contribution.time + _refundWaitS;
        require(block.timestamp >= earliest, TooEarly(id, earliest));
        require(
            predicted == contribution.class, WrongPrediction(id, predicted, contribution.class)
        );
        _settle(id);
        emit Refunded(id, caller, 0, 1);
        _award(caller, _accounts[caller].points + 1);
        _give(caller, 1);
        return 0;
    }

    /// @inheritdoc IIncentive
    function onReport(Contribution calldata contribution, bytes32, address caller, uint256)
        external
        view
        onlyTrainer
        returns (uint256)
    {
        revert NotAllowed(contribution.id, caller);
    }

    function _count(address contributor) private {
        Account storage one = _accounts[contributor];
        uint256 today = block.timestamp / 1 days;
        uint256 already = one.day == today ? one.onDay : 0;
        require(
            already < _dailyLimit,
            DailyLimitReached(contributor, _dailyLimit, (today + 1) * 1 days)
        );
        (one.day, one.onDay) = (uint32(today), uint32(already + 1));
    }
}
