// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBounty} from "../interfaces/IBounty.sol";

/// @title A fixed amount a point, out of what sponsors put in.
/// @dev What is here is counted here, and read from the asset only when something comes in or the
/// rest goes back: a token cannot make up a budget while points are given. The guard is for
/// tokens that call back: they cannot count one payment twice.
contract Bounty is IBounty, ReentrancyGuardTransient {
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    struct Budget {
        uint128 left;
        uint128 owed;
    }

    /// @inheritdoc IBounty
    address public immutable incentive;
    /// @inheritdoc IBounty
    uint40 public immutable until;

    address private immutable _sponsor;
    IERC20 private immutable _asset;
    uint256 private immutable _perPoint;

    Budget private _budget;
    mapping(address account => uint256) private _owed;

    /// @param incentive_ the incentive whose points are paid. Its trainer's owner attaches this.
    constructor(address incentive_, Terms memory terms_) {
        require(incentive_ != address(0), InvalidTerms("incentive"));
        require(terms_.sponsor != address(0), InvalidTerms("sponsor"));
        require(
            terms_.asset == address(0) || terms_.asset.code.length > 0, InvalidTerms("asset")
        );
        require(terms_.perPoint > 0, InvalidTerms("perPoint"));
        require(terms_.until > block.timestamp, InvalidTerms("until"));
        incentive = incentive_;
        until = terms_.until;
        _sponsor = terms_.sponsor;
        _asset = IERC20(terms_.asset);
        _perPoint = terms_.perPoint;
    }

    /// @inheritdoc IBounty
    function terms() external view returns (Terms memory) {
        return Terms(_sponsor, address(_asset), uint128(_perPoint), until);
    }

    /// @inheritdoc IBounty
    function budget() external view returns (uint256 left, uint256 owed) {
        return (_budget.left, _budget.owed);
    }

    /// @inheritdoc IBounty
    function owedTo(address account) external view returns (uint256) {
        return _owed[account];
    }

    /// @inheritdoc IBounty
    function fund(uint256 amount) external payable nonReentrant {
        require(block.timestamp <= until, Over(until));
        uint256 expectedWei = _isEther() ? amount : 0;
        require(msg.value == expectedWei, WrongValue(msg.value, expectedWei));
        if (!_isEther()) _asset.safeTransferFrom(msg.sender, address(this), amount);
        Budget memory budget_ = _budget;
        // What arrived, whatever the token says; and what was sent here by other ways.
        uint256 received =
            Math.saturatingSub(_balance().toUint128(), uint256(budget_.left) + budget_.owed);
        require(received > 0, NothingReceived());
        budget_.left += uint128(received); // at most the balance
        _budget = budget_;
        emit Funded(msg.sender, received);
    }

    /// @inheritdoc IBounty
    function claim(address account) external nonReentrant {
        uint256 amount = _owed[account];
        require(amount > 0, NothingToClaim(account));
        _owed[account] = 0;
        _budget.owed -= uint128(amount); // a part of it
        emit Claimed(account, amount);
        _pay(account, amount);
    }

    /// @inheritdoc IBounty
    function reclaim() external nonReentrant {
        require(block.timestamp > until, NotOver(until));
        (uint256 balance, uint256 owed) = (_balance(), _budget.owed);
        require(balance > owed, NothingLeft());
        _budget.left = 0;
        emit Reclaimed(_sponsor, balance - owed);
        _pay(_sponsor, balance - owed);
    }

    /// @inheritdoc IBounty
    function onPoints(address account, uint256 points) external {
        require(msg.sender == incentive, NotIncentive(msg.sender));
        require(block.timestamp <= until, Over(until));
        Budget memory budget_ = _budget;
        points = Math.min(points, budget_.left / _perPoint);
        if (points == 0) return;
        uint128 amount = uint128(points * _perPoint); // at most what is left
        budget_.left -= amount;
        budget_.owed += amount; // both together were 128 bits when they came in: see `fund`
        _budget = budget_;
        _owed[account] += amount;
        emit Earned(account, points, amount);
    }

    function _isEther() private view returns (bool) {
        return address(_asset) == address(0);
    }

    function _balance() private view returns (uint256) {
        return _isEther() ? address(this).balance : _asset.balanceOf(address(this));
    }

    /// @dev Every effect is written. Ether goes with all gas left, so that contracts can be paid;
    /// what they return is not copied.
    function _pay(address to, uint256 amount) private {
        if (_isEther()) {
            require(LowLevelCall.callNoReturn(to, amount, ""), PaymentFailed(to, amount));
        } else {
            _asset.safeTransfer(to, amount);
        }
    }
}
