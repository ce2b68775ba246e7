// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IIncentive} from "../interfaces/IIncentive.sol";
import {Ledger} from "./Ledger.sol";

/// @title Deposit, refund, take: the model itself judges, later, what was contributed.
/// @notice The rules of Harris and Waggoner, "Decentralized and Collaborative AI on Blockchain"
/// (2019), section IV-C, as their first implementation has them, with these differences:
/// - A contribution that the model predicted already earns its deposit back and no point. Points
///   are shares of what is forfeited; a label that the model gives away tells it nothing, and
///   costs no risk, so that repeating such labels would buy shares for the price of waiting.
/// - Nobody takes a deposit that the model agrees with, however old: only its contributor.
/// - The owner's window works, and whether somebody had its share is kept for each contribution.
/// - Money is put on accounts here and pulled by `withdraw`.
/// Warning: a deposit is judged by the model as it is when a claim is made. A contributor that
/// does not claim may find that the model has changed its mind.
contract SelfAssessment is Ledger {
    using BitMaps for BitMaps.BitMap;

    struct Rules {
        address owner; // may take what is left of a disagreed deposit from ownerWaitS on
        uint256 costWeight; // wei; 0: contributions are free, and nothing is recorded or earned
        uint32 refundWaitS; // R: until then nobody claims anything
        uint32 ownerWaitS; // O
        uint32 anyoneWaitS; // A: R <= O <= A
    }

    /// @dev Seconds that the first implementation counts cost weights in.
    uint256 private constant HOUR_S = 3600;

    address private immutable _owner;
    uint256 private immutable _costWeight;
    uint256 private immutable _refundWaitS;
    uint256 private immutable _ownerWaitS;
    uint256 private immutable _anyoneWaitS;

    /// @dev Who had a share of which contribution.
    mapping(address reporter => BitMaps.BitMap) private _reported;

    constructor(address trainer_, Rules memory rules_) Ledger(trainer_) {
        require(rules_.owner != address(0), InvalidRules("owner"));
        require(rules_.costWeight <= MAX_PRICE_WEI / HOUR_S, InvalidRules("costWeight"));
        require(rules_.refundWaitS <= rules_.ownerWaitS, InvalidRules("ownerWaitS"));
        require(rules_.ownerWaitS <= rules_.anyoneWaitS, InvalidRules("anyoneWaitS"));
        _owner = rules_.owner;
        _costWeight = rules_.costWeight;
        _refundWaitS = rules_.refundWaitS;
        _ownerWaitS = rules_.ownerWaitS;
        _anyoneWaitS = rules_.anyoneWaitS;
    }

    /// @notice The rules; they never change.
    function rules() external view returns (Rules memory) {
        return Rules({
            owner: _owner,
            costWeight: _costWeight,
            refundWaitS: uint32(_refundWaitS),
            ownerWaitS: uint32(_ownerWaitS),
            anyoneWaitS: uint32(_anyoneWaitS)
        });
    }

    /// @notice Whether an account had its share of a contribution.
    function hasReported(uint256 id, address reporter) external view returns (bool) {
        return _reported[reporter].get(id);
    }

    /// @inheritdoc IIncentive
    function priceWei() external view returns (uint256) {
        return _priceRoundedDownWei(block.timestamp - _totals.lastTime);
    }

    /// @inheritdoc IIncentive
    function onContribute(
        address contributor,
        bytes32 dataDigest,
        uint256 class,
        uint256 predicted,
        uint256 maximumWei
    ) external payable onlyTrainer returns (uint256 id, uint256 paidWei) {
        Totals memory totals = _totals;
        require(!totals.closed, ReleaseClosed());
        paidWei = _priceRoundedDownWei(block.timestamp - totals.lastTime);
        require(paidWei <= maximumWei, PriceTooHigh(paidWei, maximumWei));
        _pay(contributor, paidWei);
        totals.lastId += 1;
        totals.lastTime = uint40(block.timestamp);
        _totals = totals;
        id = totals.lastId;
        // A free contribution has no deposit that anybody could claim.
        if (paidWei > 0) {
            _record(
                Contribution({
                    id: id,
                    contributor: contributor,
                    class: class,
                    predicted: predicted,
                    priceWei: paidWei,
                    time: block.timestamp
                }),
                dataDigest
            );
        }
    }

    /// @inheritdoc IIncentive
    function onRefund(
        Contribution calldata contribution,
        bytes32 dataDigest,
        address caller,
        uint256 predicted
    ) external onlyTrainer returns (uint256 amountWei) {
        uint256 id = contribution.id;
        (, amountWei) = _open(contribution, dataDigest);
        require(caller == contribution.contributor, NotAllowed(id, caller));
        uint64 earned = 0;
        if (id > _totals.endedId) {
            uint256 earliest = contribution.time + _refundWaitS;
            require(block.timestamp >= earliest, TooEarly(id, earliest));
            require(
                predicted == contribution.class,
                WrongPrediction(id, predicted, contribution.class)
            );
            if (contribution.predicted != contribution.class) earned = 1;
        }
        _settle(id);
        _accounts[caller].owedWei += uint128(amountWei);
        emit Refunded(id, caller, amountWei, earned);
        if (earned > 0) _give(caller, earned);
    }

    /// @inheritdoc IIncentive
    function onReport(
        Contribution calldata contribution,
        bytes32 dataDigest,
        address caller,
        uint256 predicted
    ) external onlyTrainer returns (uint256 amountWei) {
        uint256 id = contribution.id;
        (bytes32 digest, uint256 leftWei) = _open(contribution, dataDigest);
        Totals memory totals = _totals;
        require(id > totals.endedId, ReleaseOver(id));
        uint256 earliest = contribution.time + _refundWaitS;
        require(block.timestamp >= earliest, TooEarly(id, earliest));
        require(
            predicted != contribution.class, WrongPrediction(id, predicted, contribution.class)
        );
        amountWei = _isOutOfTime(contribution, caller)
            ? leftWei
            : _shareRoundedDownWei(contribution, caller, leftWei, totals.points);
        if (amountWei == leftWei) {
            _settle(id);
        } else {
            _reported[caller].set(id);
            _write(id, digest, leftWei - amountWei);
        }
        _accounts[caller].owedWei += uint128(amountWei);
        emit Reported(id, caller, amountWei);
    }

    /// @dev What is left is anyone's from A on, and from O on the owner's, unless it is its own.
    function _isOutOfTime(Contribution calldata contribution, address caller)
        private
        view
        returns (bool)
    {
        if (block.timestamp >= contribution.time + _anyoneWaitS) return true;
        return caller == _owner && caller != contribution.contributor
            && block.timestamp >= contribution.time + _ownerWaitS;
    }

    /// @dev A reporter's part of the whole deposit, by its part of all points; what is left where
    /// that rounds to nothing or is more.
    function _shareRoundedDownWei(
        Contribution calldata contribution,
        address caller,
        uint256 leftWei,
        uint256 totalPoints
    ) private view returns (uint256 shareWei) {
        uint256 id = contribution.id;
        uint256 own = _accounts[caller].points;
        require(caller != contribution.contributor && own > 0, NotAllowed(id, caller));
        require(!_reported[caller].get(id), AlreadyReported(id, caller));
        // Below 2^88 * 2^64; the total is not 0, as the reporter has some of it.
        shareWei = contribution.priceWei * own / totalPoints;
        if (shareWei == 0 || shareWei > leftWei) shareWei = leftWei;
    }

    /// @dev floor(3600 w / max(1, floor(sqrt(elapsed)))): dear when contributions come fast.
    function _priceRoundedDownWei(uint256 elapsedS) private view returns (uint256) {
        return HOUR_S * _costWeight / Math.max(1, Math.sqrt(elapsedS));
    }
}
