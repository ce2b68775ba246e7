// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IBounty} from "./IBounty.sol";

/// @title An incentive whose points a bounty can pay for.
/// @notice One bounty at a time, attached by the trainer's owner; another may follow when it is
/// over, and none can be taken away before.
/// @dev The bounty is told of a point last, with a fixed amount of gas, and what it does or
/// answers is not looked at: a bounty that fails brings nobody a payment, and holds up no deposit.
interface ISponsored {
    /// @notice Only the trainer's owner attaches a bounty.
    error NotTrainersOwner(address caller);
    /// @notice A bounty for another incentive, or one that is over.
    error WrongBounty(address bounty);
    /// @notice There is a bounty, until then.
    error BountyRuns(address bounty, uint256 until);
    /// @notice Send the transaction with more gas, or the bounty could not be told of the point.
    error TooLittleGas(uint256 leftGas, uint256 neededGas);

    event BountyAttached(address indexed bounty, uint256 until);

    /// @notice The bounty that was attached last, 0 if none, and the last second whose points it
    /// pays.
    function bounty() external view returns (address bounty_, uint256 until);
    /// @notice Attaches a bounty; the trainer's owner only.
    /// Warning: an owner that is a contract without a call for this cannot. Attach first, and hand
    /// the trainer over then.
    function attachBounty(IBounty bounty_) external;
}
