// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {IClassifier} from "../interfaces/IClassifier.sol";
import {IIncentive} from "../interfaces/IIncentive.sol";
import {IPredictionMarket} from "../interfaces/IPredictionMarket.sol";
import {Commitment} from "./market/Commitment.sol";
import {Evaluation} from "./market/Evaluation.sol";

/// @title The prediction market as an incentive of a trainer: stakes in, stakes back, the end.
/// @notice The trainer's own model learns at once, whatever is decided later; the replica learns
/// what is kept. Where the trainer closes, or its model is replaced, contributions end early and
/// nothing else changes: all that was contributed is evaluated on the replica.
contract PredictionMarket is Evaluation {
    /// @dev Of a forfeited bounty, one part in so many is the contributors'.
    uint256 private constant CONTRIBUTORS_PART = 2;

    constructor(
        address trainer_,
        IClassifier replica_,
        Rules memory rules_,
        bytes32[] memory pieceDigests
    ) payable Commitment(trainer_, replica_, rules_, pieceDigests) {
        _potWei = msg.value;
    }

    /// @inheritdoc IIncentive
    function onContribute(
        address contributor,
        bytes32 dataDigest,
        uint256 class,
        uint256 predicted,
        uint256 maximumWei
    ) external payable onlyTrainer returns (uint256 id, uint256 paidWei) {
        _requirePhase(Phase.Open);
        require(!_isEnded(), ReleaseClosed());
        paidWei = _stakeWei;
        require(paidWei <= maximumWei, PriceTooHigh(paidWei, maximumWei));
        id = uint256(_totals.lastId) + 1;
        require(id <= _maxContributions, MarketFull(_maxContributions));
        _pay(contributor, paidWei);
        _totals.lastId = uint64(id);
        _totals.lastTime = uint40(block.timestamp);
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

    /// @inheritdoc IIncentive
    /// @dev Of a market that was forfeited, or not evaluated to the end.
    function onRefund(
        Contribution calldata contribution,
        bytes32 dataDigest,
        address caller,
        uint256
    ) external onlyTrainer returns (uint256 amountWei) {
        uint256 id = contribution.id;
        (, amountWei) = _open(contribution, dataDigest);
        require(caller == contribution.contributor, NotAllowed(id, caller));
        Phase now_ = phase();
        require(now_ == Phase.Forfeited || now_ == Phase.Finished, WrongPhase(now_));
        if (now_ == Phase.Forfeited) amountWei += _forfeitedShareRoundedDownWei();
        _settle(id);
        _accounts[caller].owedWei += uint128(amountWei);
        emit Refunded(id, caller, amountWei, 0);
    }

    /// @inheritdoc IIncentive
    /// @dev Nobody reports anything here.
    function onReport(Contribution calldata contribution, bytes32, address caller, uint256)
        external
        view
        onlyTrainer
        returns (uint256)
    {
        revert NotAllowed(contribution.id, caller);
    }

    /// @inheritdoc IIncentive
    function endRelease() public override {
        super.endRelease();
        _state.replaced = true;
    }

    /// @inheritdoc IPredictionMarket
    function collect() external {
        Phase now_ = phase();
        require(now_ == Phase.Forfeited || now_ == Phase.Finished, WrongPhase(now_));
        require(!_state.collected, AlreadyCollected());
        _state.collected = true;
        uint256 amountWei = 0;
        uint256 burntWei = 0;
        if (now_ == Phase.Finished) {
            amountWei = _potWei;
            _accounts[_sponsor].owedWei += uint128(amountWei);
        } else {
            uint256 contributions = _totals.lastId;
            burntWei = contributions == 0
                ? bountyWei
                : bountyWei - contributions * _forfeitedShareRoundedDownWei();
        }
        _potWei = 0;
        emit Collected(_sponsor, amountWei, burntWei);
        // A replica that is not this contract's was never matched; nothing hangs on it.
        if (Ownable(address(_replica)).owner() == address(this)) {
            Ownable(address(_replica)).transferOwnership(_sponsor);
        }
        if (burntWei > 0) {
            require(
                LowLevelCall.callNoReturn(address(0), burntWei, ""),
                PaymentFailed(address(0), burntWei)
            );
        }
    }

    /// @inheritdoc IIncentive
    function priceWei() external view returns (uint256) {
        return _stakeWei;
    }

    /// @inheritdoc IIncentive
    function isClosed() external view override returns (bool) {
        return _isEnded() || phase() > Phase.Open;
    }

    function _isEnded() private view returns (bool) {
        return _totals.closed || _state.replaced;
    }

    /// @dev A contribution's equal part; there is at least one.
    function _forfeitedShareRoundedDownWei() private view returns (uint256) {
        return bountyWei / CONTRIBUTORS_PART / _totals.lastId;
    }
}
