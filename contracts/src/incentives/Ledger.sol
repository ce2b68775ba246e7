// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {IIncentive} from "../interfaces/IIncentive.sol";
import {ContributionDigests} from "../lib/ContributionDigests.sol";
import {Sponsored} from "./Sponsored.sol";

/// @title What all incentives keep: a word a contribution, a word an account, a word for all.
/// @dev A record is 168 bits of the contribution's digest and the 88 bits of what is left of its
/// deposit: whoever claims gives the rest again. A contributor that wanted one record for two
/// contributions would need 2^84 tries. A settled record is 0, for ever: ids are not used again.
abstract contract Ledger is IIncentive, Sponsored {
    struct Account {
        uint128 owedWei;
        uint64 points;
        uint32 day; // of the last contribution, where a day's number is limited
        uint32 onDay; // contributions on that day
    }

    struct Totals {
        uint64 lastId;
        uint64 points;
        uint40 lastTime; // of the last contribution; of deployment before the first
        uint64 endedId; // contributions up to it are of releases that have ended
        bool closed;
        bool sponsored; // a bounty was attached, at some time: most have none, and need not look
    }

    /// @dev 88 bits: more wei than there are.
    uint256 internal constant MAX_PRICE_WEI = type(uint88).max;
    uint256 private constant LEFT_BITS = 88;

    /// @inheritdoc IIncentive
    address public immutable trainer;

    Totals internal _totals;
    mapping(uint256 id => uint256) private _records;
    mapping(address account => Account) internal _accounts;

    modifier onlyTrainer() {
        require(msg.sender == trainer, NotTrainer(msg.sender));
        _;
    }

    /// @param trainer_ the address that the trainer will have.
    constructor(address trainer_) {
        require(trainer_ != address(0), InvalidRules("trainer"));
        trainer = trainer_;
        _totals.lastTime = uint40(block.timestamp);
    }

    /// @inheritdoc IIncentive
    function endRelease() public virtual onlyTrainer {
        _totals.endedId = _totals.lastId;
        emit ReleaseEnded(_totals.lastId);
    }

    /// @inheritdoc IIncentive
    function close() external onlyTrainer {
        require(!_totals.closed, ReleaseClosed());
        _totals.endedId = _totals.lastId;
        _totals.closed = true;
        emit Closed();
    }

    /// @inheritdoc IIncentive
    function withdraw() external {
        uint256 amountWei = _accounts[msg.sender].owedWei;
        require(amountWei > 0, NothingToWithdraw(msg.sender));
        _accounts[msg.sender].owedWei = 0;
        emit Withdrawn(msg.sender, amountWei);
        // Every effect is written: whoever comes back in from here finds nothing owed. Paid with
        // all gas left, so that contracts can take part; what they return is not copied.
        require(
            LowLevelCall.callNoReturn(msg.sender, amountWei, ""),
            PaymentFailed(msg.sender, amountWei)
        );
    }

    /// @inheritdoc IIncentive
    function owedWei(address account) external view returns (uint256) {
        return _accounts[account].owedWei;
    }

    /// @inheritdoc IIncentive
    function points(address account) external view returns (uint256 own, uint256 total) {
        return (_accounts[account].points, _totals.points);
    }

    /// @inheritdoc IIncentive
    function lastId() external view returns (uint256) {
        return _totals.lastId;
    }

    /// @inheritdoc IIncentive
    function isClosed() external view virtual returns (bool) {
        return _totals.closed;
    }

    /// @inheritdoc IIncentive
    function endedId() external view returns (uint256) {
        return _totals.endedId;
    }

    /// @inheritdoc IIncentive
    function recordOf(uint256 id) external view returns (bytes32 digest, uint256 leftWei) {
        uint256 record = _records[id];
        return (bytes32(record >> LEFT_BITS << LEFT_BITS), record & MAX_PRICE_WEI);
    }

    /// @dev Puts what was sent on an account and takes a price from there.
    function _pay(address account, uint256 priceWei_) internal {
        if (msg.value == priceWei_) return;
        uint256 availableWei = _accounts[account].owedWei + msg.value;
        require(availableWei >= priceWei_, DepositTooSmall(availableWei, priceWei_));
        // No account can hold 2^128 wei: there are not so many.
        _accounts[account].owedWei = uint128(availableWei - priceWei_);
    }

    /// @dev Writes a new record.
    function _record(Contribution memory contribution, bytes32 dataDigest) internal {
        _write(contribution.id, _digest(contribution, dataDigest), contribution.priceWei);
    }

    /// @dev What is left of an open contribution's deposit, and the digest to write it back with;
    /// refuses settled ones, and other data than what was contributed.
    function _open(Contribution calldata contribution, bytes32 dataDigest)
        internal
        view
        returns (bytes32 digest, uint256 leftWei)
    {
        uint256 record = _records[contribution.id];
        digest = _digest(contribution, dataDigest);
        require(
            record != 0 && record >> LEFT_BITS == uint256(digest) >> LEFT_BITS,
            NoClaim(contribution.id)
        );
        leftWei = record & MAX_PRICE_WEI;
    }

    /// @dev Ends a record, for ever.
    function _settle(uint256 id) internal {
        _records[id] = 0;
    }

    /// @dev Writes what is left back; at most MAX_PRICE_WEI.
    function _write(uint256 id, bytes32 digest, uint256 leftWei) internal {
        _records[id] = uint256(digest) >> LEFT_BITS << LEFT_BITS | leftWei;
    }

    /// @dev Gives an account points. Points and their total stay below the number of
    /// contributions, which is below 2^64. To be called last: it tells the bounty.
    function _give(address account, uint64 points_) internal {
        _accounts[account].points += points_;
        _totals.points += points_;
        if (_totals.sponsored) _tellBounty(account, points_);
    }

    function _noteBounty() internal override {
        _totals.sponsored = true;
    }

    function _trainer() internal view override returns (address) {
        return trainer;
    }

    function _digest(Contribution memory contribution, bytes32 dataDigest)
        private
        pure
        returns (bytes32)
    {
        return ContributionDigests.recordDigest(
            contribution.id,
            contribution.contributor,
            dataDigest,
            contribution.predicted,
            contribution.priceWei,
            contribution.time
        );
    }
}
