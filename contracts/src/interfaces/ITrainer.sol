// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "./IIncentive.sol";

/// @title Anyone teaches a model on chain, for a deposit.
/// @notice Warning: everything that is contributed is public, for ever: features and label are in
/// an event, whatever becomes of the deposit. Contribute nothing that must not be read by all.
interface ITrainer {
    /// @notice The deadline that the sender gave has passed.
    error DeadlinePassed(uint256 deadline, uint256 now_);
    /// @notice Not as many labels as samples, or none.
    error WrongBatch(uint256 samples, uint256 labels);
    /// @notice The model was replaced since the sender looked, and with it what features mean.
    error WrongRelease(uint256 given, uint256 current);
    /// @notice The incentive was made for another trainer.
    error WrongIncentive(address incentive, address itsTrainer);

    /// @notice A contribution with its data. Its time is its block's.
    event Contributed(
        uint256 indexed id,
        address indexed contributor,
        uint256 indexed class,
        uint256 predicted,
        uint256 priceWei,
        uint256 time,
        bytes features
    );

    /// @notice The model was replaced: contributions count against this release from now on, and
    /// those before can be refunded in full.
    event ReleaseStarted(uint256 indexed release);

    /// @notice The model; taught by this contract alone while it takes contributions.
    function model() external view returns (address);
    /// @notice What contributions cost and bring.
    function incentive() external view returns (address);

    /// @notice Teaches the model one sample. Money sent above the price stays on the sender's
    /// account with the incentive; money that is there pays the price where less is sent.
    /// @param features as `IClassifier` takes them.
    /// @param class the label.
    /// @param release of the model that the features are for (`IClassifier.release`).
    /// @param maximumWei the most that the sender will pay: the price depends on when the others
    /// contribute, which the sender cannot know.
    /// @param deadline the last second at which this may happen, unix time.
    /// @return id of the contribution.
    function contribute(
        bytes calldata features,
        uint256 class,
        uint256 release,
        uint256 maximumWei,
        uint256 deadline
    ) external payable returns (uint256 id);

    /// @notice The same for several samples, in order. Each is priced on its own: after the first
    /// one, no time has passed.
    /// @param maximumWei the most that the sender will pay for all of them together.
    /// @return firstId the ids are consecutive.
    function contributeMany(
        bytes[] calldata features,
        uint256[] calldata classes,
        uint256 release,
        uint256 maximumWei,
        uint256 deadline
    ) external payable returns (uint256 firstId);

    /// @notice Gives the caller its deposit back, if the model agrees with its label now.
    /// @param contribution as its event says.
    /// @param features the same bytes again.
    function refund(IIncentive.Contribution calldata contribution, bytes calldata features)
        external
        returns (uint256 amountWei);

    /// @notice Gives the caller what it may have of a deposit, if the model does not agree with
    /// the label now.
    function report(IIncentive.Contribution calldata contribution, bytes calldata features)
        external
        returns (uint256 amountWei);

    /// @notice Ends this release, for ever, and hands the model to this contract's owner; owner
    /// only. Every open deposit is its contributor's again.
    function close() external;
}
