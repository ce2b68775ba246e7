// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {Bits} from "../lib/Bits.sol";
import {Digests} from "../lib/Digests.sol";
import {RoundRecords} from "./RoundRecords.sol";

/// @title Lists of updates: what may be on one, and the draw that decides what is looked at.
/// @dev Randomness comes after the list: nobody can shape an update by what will be opened of it.
abstract contract Commitments is RoundRecords {
    /// @dev At least 1, so that the block does not exist yet; 2, so that whoever proposes the one
    /// that commits does not decide alone.
    uint256 private constant DRAW_DELAY_BLOCKS = 2;

    /// @inheritdoc IFederation
    function commitRound(uint64 round, uint256[] calldata members) external onlyCoordinator {
        require(_isAssessed(), WrongSealing(address(0)));
        _requireState(round, RoundState.Open);
        Round storage open = _rounds[round];
        _requireNotAfter(round, open.finalizeDeadline);
        uint256 count = _requireSubmitted(round, members);
        _requireComplete(round, count);
        require(count >= _minContributors, TooFewContributors(count, _minContributors));

        open.state = RoundState.Committed;
        uint256 drawBlock = block.number + DRAW_DELAY_BLOCKS;
        Commitment storage commitment = _commitments[round];
        commitment.drawBlock = uint64(drawBlock);
        commitment.count = uint16(count); // at most MAX_MEMBERS, as each has an update
        commitment.listDigest = _listDigest(round, members);
        for (uint256 i = 0; i < members.length; ++i) {
            if (members[i] != 0) _committed[round][i] = members[i];
        }
        emit RoundCommitted(round, members, drawBlock);
    }

    /// @inheritdoc IFederation
    function drawRound(uint64 round, bytes calldata header) external {
        _requireState(round, RoundState.Committed);
        Commitment storage commitment = _commitments[round];
        require(commitment.randomness == 0, AlreadyDrawn(round));
        uint256 drawBlock = commitment.drawBlock;
        require(block.number > drawBlock, DrawTooEarly(round, drawBlock));
        bytes32 blockHash = Blockhash.blockHash(drawBlock);
        require(blockHash != 0, DrawLapsed(round, drawBlock));
        require(keccak256(header) == blockHash, WrongHeader(drawBlock));

        bytes32 randomness =
            Digests.drawn(round, commitment.listDigest, BlockHeader.getPrevRandao(header));
        commitment.randomness = randomness;
        emit RoundDrawn(round, randomness);
    }

    /// @dev Number of members in the bitmap; each has an update in the round.
    function _requireSubmitted(uint64 round, uint256[] calldata members)
        internal
        view
        returns (uint256 count)
    {
        for (uint256 i = 0; i < members.length; ++i) {
            uint256 word = members[i];
            while (word != 0) {
                uint256 index = 256 * i + Bits.lowest(word);
                require(_updates[round][index] != 0, NotSubmitted(index));
                count += 1;
                word &= word - 1; // clears the lowest set bit
            }
        }
    }

    /// @dev Number of members in the bitmap; each is on the committed list.
    function _requireCommitted(uint64 round, uint256[] calldata members)
        internal
        view
        returns (uint256 count)
    {
        for (uint256 i = 0; i < members.length; ++i) {
            uint256 strangers = members[i] & ~_committed[round][i];
            require(strangers == 0, NotCommitted(256 * i + Bits.lowest(strangers)));
            count += Bits.count(members[i]);
        }
    }

    /// @dev Everybody that submitted is on a list of `count`, or the time to deliver is over.
    function _requireComplete(uint64 round, uint256 count) internal view {
        Round storage open = _rounds[round];
        if (count != open.submittedCount) _requireAfter(round, open.submitDeadline);
    }

    function _requireState(uint64 round, RoundState state) internal view {
        RoundState found = _rounds[round].state;
        require(found == state, WrongState(round, found));
    }

    function _requireNotAfter(uint64 round, uint64 deadline) internal view {
        require(block.timestamp <= deadline, DeadlinePassed(round, deadline, block.timestamp));
    }

    function _requireAfter(uint64 round, uint64 deadline) internal view {
        require(block.timestamp > deadline, DeadlineNotReached(round, deadline, block.timestamp));
    }

    /// @dev keccak256(previous ++ index ++ update), member by member, from zero.
    function _listDigest(uint64 round, uint256[] calldata members)
        private
        view
        returns (bytes32 digest)
    {
        for (uint256 i = 0; i < members.length; ++i) {
            uint256 word = members[i];
            while (word != 0) {
                uint256 index = 256 * i + Bits.lowest(word);
                digest = keccak256(abi.encode(digest, index, _updates[round][index]));
                word &= word - 1; // clears the lowest set bit
            }
        }
    }
}
