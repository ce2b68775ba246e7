// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {IClassifier} from "./interfaces/IClassifier.sol";
import {IIncentive} from "./interfaces/IIncentive.sol";
import {ITrainer} from "./interfaces/ITrainer.sol";
import {ContributionDigests} from "./lib/ContributionDigests.sol";

/// @title A model that anyone may teach.
/// @notice Holds no money and no records: both are with the incentive, which is made first, for
/// the address that this contract will have. Several claims fit into one transaction: `multicall`.
/// @dev The model and the incentive are contracts that the deployer chose and that everybody can
/// read before taking part; neither calls back.
contract CollaborativeTrainer is ITrainer, Ownable, Multicall {
    IClassifier private immutable _model;
    IIncentive private immutable _incentive;

    /// @dev Of the model, when somebody last came; shares its slot with the owner.
    uint64 private _release;
    bool private _closed;

    constructor(IClassifier model_, IIncentive incentive_) Ownable(msg.sender) {
        address itsTrainer = incentive_.trainer();
        require(itsTrainer == address(this), WrongIncentive(address(incentive_), itsTrainer));
        _model = model_;
        _incentive = incentive_;
        _release = uint64(model_.release());
    }

    /// @inheritdoc ITrainer
    function model() external view returns (address) {
        return address(_model);
    }

    /// @inheritdoc ITrainer
    function incentive() external view returns (address) {
        return address(_incentive);
    }

    /// @inheritdoc ITrainer
    function contribute(
        bytes calldata features,
        uint256 class,
        uint256 release,
        uint256 maximumWei,
        uint256 deadline
    ) external payable returns (uint256 id) {
        _requireCurrent(release, deadline);
        (id,) = _contribute(features, class, msg.value, maximumWei);
    }

    /// @inheritdoc ITrainer
    function contributeMany(
        bytes[] calldata features,
        uint256[] calldata classes,
        uint256 release,
        uint256 maximumWei,
        uint256 deadline
    ) external payable returns (uint256 firstId) {
        _requireCurrent(release, deadline);
        require(
            features.length == classes.length && features.length > 0,
            WrongBatch(features.length, classes.length)
        );
        uint256 sentWei = msg.value; // all of it goes with the first one, onto the account
        for (uint256 i = 0; i < features.length; ++i) {
            (uint256 id, uint256 paidWei) =
                _contribute(features[i], classes[i], sentWei, maximumWei);
            sentWei = 0;
            maximumWei -= paidWei; // at most maximumWei, or the incentive had refused
            if (i == 0) firstId = id;
        }
    }

    /// @inheritdoc ITrainer
    function refund(IIncentive.Contribution calldata contribution, bytes calldata features)
        external
        returns (uint256 amountWei)
    {
        _followRelease();
        return _incentive.onRefund(
            contribution,
            ContributionDigests.contributionDigest(contribution.class, features),
            msg.sender,
            _predict(features)
        );
    }

    /// @inheritdoc ITrainer
    function report(IIncentive.Contribution calldata contribution, bytes calldata features)
        external
        returns (uint256 amountWei)
    {
        _followRelease();
        return _incentive.onReport(
            contribution,
            ContributionDigests.contributionDigest(contribution.class, features),
            msg.sender,
            _predict(features)
        );
    }

    /// @inheritdoc ITrainer
    function close() external onlyOwner {
        _closed = true;
        _incentive.close();
        Ownable(address(_model)).transferOwnership(owner());
    }

    function _contribute(
        bytes calldata features,
        uint256 class,
        uint256 sentWei,
        uint256 maximumWei
    ) private returns (uint256 id, uint256 paidWei) {
        uint256 predicted;
        // Whatever refuses after this takes the lesson back too.
        (predicted,) = _model.update(features, class);
        (id, paidWei) = _incentive.onContribute{value: sentWei}(
            msg.sender,
            ContributionDigests.contributionDigest(class, features),
            class,
            predicted,
            maximumWei
        );
        emit Contributed(id, msg.sender, class, predicted, paidWei, block.timestamp, features);
    }

    /// @dev The model's release now; ends the one before with the incentive, once.
    function _followRelease() private returns (uint256 current) {
        current = _model.release();
        if (current != _release) {
            // A model that counts replacements stays below 2^64.
            _release = uint64(current);
            _incentive.endRelease();
            emit ReleaseStarted(current);
        }
    }

    function _requireCurrent(uint256 release, uint256 deadline) private {
        require(block.timestamp <= deadline, DeadlinePassed(deadline, block.timestamp));
        require(!_closed, IIncentive.ReleaseClosed());
        uint256 current = _followRelease();
        require(release == current, WrongRelease(release, current));
    }

    function _predict(bytes calldata features) private view returns (uint256 class) {
        (class,) = _model.predict(features);
    }
}
