// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Money or tokens of a sponsor for good contributors: a fixed amount a point.
/// @notice An incentive tells it of each point in the moment it is given (`ISponsored`). What the
/// point brings is put aside for its account there and then, so that nobody is overtaken by
/// somebody who claims faster, and the sponsor can take nothing of it. A point that comes when
/// less is left than it should bring, or after the end, brings nothing. Each point brings the
/// same: two accounts get no more than one.
/// Warning: a bounty pays for points, and a point is worth what its incentive makes it worth.
/// docs/contracts.md says how much a bounty may pay a point before it pays to farm points.
/// Warning: what others add by `fund` is the sponsor's too if nobody earns it.
/// Warning: tokens that change balances by themselves are not for this: if the balance shrinks,
/// the last to claim find too little. Tokens that keep a fee of each transfer are: what arrives
/// counts, and whoever claims bears the fee of that.
interface IBounty {
    struct Terms {
        address sponsor; // gets what nobody earned
        address asset; // an ERC-20, or 0 for ether
        uint128 perPoint; // wei, or the token's smallest unit
        uint40 until; // the last second, unix, whose points are paid
    }

    /// @notice Terms that cannot work.
    error InvalidTerms(string field);
    /// @notice The caller is not the incentive.
    error NotIncentive(address caller);
    /// @notice Ether was sent that is not the amount named, or to a bounty in tokens.
    error WrongValue(uint256 sentWei, uint256 expectedWei);
    /// @notice Nothing arrived.
    error NothingReceived();
    /// @notice The end has passed: nothing is earned any more.
    error Over(uint256 until);
    /// @notice The end has not passed: what is left can still be earned.
    error NotOver(uint256 until);
    /// @notice Nothing is put aside for this account.
    error NothingToClaim(address account);
    /// @notice Everything that is left was earned.
    error NothingLeft();
    error PaymentFailed(address to, uint256 amountWei);

    /// @notice `amount` arrived from `from`, whoever it was meant by.
    event Funded(address indexed from, uint256 amount);
    /// @notice An account's points brought `amount`, put aside for it.
    event Earned(address indexed account, uint256 points, uint256 amount);
    event Claimed(address indexed account, uint256 amount);
    event Reclaimed(address indexed sponsor, uint256 amount);

    /// @notice The incentive whose points are paid; the only caller of `onPoints`.
    function incentive() external view returns (address);
    /// @notice The last second, unix, whose points are paid.
    function until() external view returns (uint40);
    /// @notice The terms; they never change.
    function terms() external view returns (Terms memory);
    /// @notice What can still be earned, and what is put aside for all accounts together.
    function budget() external view returns (uint256 left, uint256 owed);
    /// @notice What is put aside for an account.
    function owedTo(address account) external view returns (uint256);

    /// @notice Adds to what can be earned: what arrives, and what came here otherwise before.
    /// @param amount of ether, sent with the call; or of the token, which the caller approved.
    function fund(uint256 amount) external payable;
    /// @notice Pays an account what is put aside for it; anyone may call it.
    function claim(address account) external;
    /// @notice After the end: pays the sponsor what nobody earned; anyone may call it.
    function reclaim() external;
    /// @notice An account was given points just now; incentive only. Calls nobody.
    function onPoints(address account, uint256 points) external;
}
