// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What a federation needs of the contract that judges its updates.
/// @notice It is chosen by the sponsor, and holds the deposits of every finalised round.
interface IAssessor {
    /// @notice The federation whose rounds it judges.
    function federation() external view returns (address);

    /// @notice What it expects for each update: the federation's deposit.
    function depositWei() external view returns (uint256);

    /// @notice Takes over a finalised round's deposits, those of the committed updates. Called by the
    /// federation alone, once a round, in the order in which rounds are finalised.
    /// @param members bitmap of those whose updates were committed.
    function onFinalized(uint64 round, uint256[] calldata members) external payable;
}
