// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {Bits} from "../lib/Bits.sol";
import {Rounds} from "./Rounds.sol";

/// @title What becomes of a settled round's deposits.
/// @dev Amounts follow from the round's record; only what was paid is written here. Every deposit
/// is paid out exactly once in the end: an agreed or returned one to its owner by `refund`, the
/// forfeited ones together, to the last wei, to the sealed contributors by `take`.
abstract contract Deposits is Rounds {
    using BitMaps for BitMaps.BitMap;

    mapping(uint64 round => BitMaps.BitMap) private _refunded;
    mapping(uint64 round => BitMaps.BitMap) private _taken;

    /// @inheritdoc IFederation
    function refund(uint64[] calldata rounds) external nonReentrant {
        (bool known, uint256 index) = _indexOf(msg.sender);
        require(known, NotMember(msg.sender));
        uint256 total = 0;
        for (uint256 i = 0; i < rounds.length; ++i) {
            uint256 amountWei = _refundWei(rounds[i], index);
            require(amountWei > 0, NothingToPay(rounds[i], msg.sender));
            _refunded[rounds[i]].set(index);
            emit Refunded(rounds[i], msg.sender, amountWei);
            total += amountWei;
        }
        _pay(msg.sender, total);
    }

    /// @inheritdoc IFederation
    function take(uint64[] calldata rounds) external nonReentrant {
        (bool known, uint256 index) = _indexOf(msg.sender);
        require(known, NotMember(msg.sender));
        uint256 total = 0;
        for (uint256 i = 0; i < rounds.length; ++i) {
            uint256 amountWei = _shareRoundedDownWei(rounds[i], index);
            require(amountWei > 0, NothingToPay(rounds[i], msg.sender));
            _taken[rounds[i]].set(index);
            emit Taken(rounds[i], msg.sender, amountWei);
            total += amountWei;
        }
        _pay(msg.sender, total);
    }

    /// @inheritdoc IFederation
    function claimable(uint64 round, address contributor)
        external
        view
        returns (uint256 refundWei, uint256 takeWei)
    {
        (bool known, uint256 index) = _indexOf(contributor);
        if (!known) return (0, 0);
        return (_refundWei(round, index), _shareRoundedDownWei(round, index));
    }

    /// @dev The member's own deposit, if it is due and was not paid yet.
    function _refundWei(uint64 round, uint256 index) private view returns (uint256) {
        UpdateState state = _updateState(round, index);
        bool isDue = state == UpdateState.Agreed || state == UpdateState.Returned;
        return isDue && !_refunded[round].get(index) ? _depositWei : 0;
    }

    /// @dev The member's part of the forfeited deposits, if it was not paid yet: an equal share,
    /// rounded down, and a wei of the remainder for each of the lowest indices.
    function _shareRoundedDownWei(uint64 round, uint256 index) private view returns (uint256) {
        Round storage settled = _rounds[round];
        if (
            settled.state != RoundState.Finalized || !_isSealed(round, index)
                || _taken[round].get(index)
        ) return 0;
        uint256 sealedCount = settled.sealedCount;
        uint256 kept = _isAssessed() ? _commitments[round].count : sealedCount;
        uint256 forfeitedWei = (settled.submittedCount - kept) * _depositWei;
        uint256 shareWei = forfeitedWei / sealedCount;
        if (_sealedBelow(round, index) < forfeitedWei % sealedCount) shareWei += 1;
        return shareWei;
    }

    /// @dev Number of sealed contributors with an index lower than this one.
    function _sealedBelow(uint64 round, uint256 index) private view returns (uint256 count) {
        uint256 word = index / 256;
        for (uint256 i = 0; i < word; ++i) {
            count += Bits.count(_sealed[round][i]);
        }
        count += Bits.count(_sealed[round][word] & ((1 << (index % 256)) - 1));
    }
}
