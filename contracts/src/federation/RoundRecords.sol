// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {Digests} from "../lib/Digests.sol";
import {Members} from "./Members.sol";

/// @title What is recorded of rounds, and what follows from it: no writing here.
abstract contract RoundRecords is Members, EIP712 {
    /// @dev Words of a bitmap of MAX_MEMBERS.
    uint256 private constant BITMAP_WORDS = MAX_MEMBERS / 256;

    /// @inheritdoc IFederation
    bytes32 public modelDigest;
    /// @inheritdoc IFederation
    uint64 public lastRound;

    mapping(uint64 round => Round) internal _rounds;
    mapping(uint64 round => mapping(uint256 index => bytes32)) internal _updates;
    /// @dev Word by word: bit i of word i / 256 is the member of index i.
    mapping(uint64 round => mapping(uint256 word => uint256)) internal _sealed;
    mapping(uint64 round => Commitment) internal _commitments;
    mapping(uint64 round => mapping(uint256 word => uint256)) internal _committed;

    constructor(bytes32 initialModelDigest) EIP712("ddcai", "1") {
        require(initialModelDigest != 0, ZeroDigest());
        modelDigest = initialModelDigest;
    }

    /// @inheritdoc IFederation
    function getRound(uint64 round) external view returns (Round memory) {
        return _rounds[round];
    }

    /// @inheritdoc IFederation
    function updateDigest(uint64 round, uint256 index) external view returns (bytes32) {
        return _updates[round][index];
    }

    /// @inheritdoc IFederation
    function updateState(uint64 round, uint256 index) external view returns (UpdateState) {
        return _updateState(round, index);
    }

    /// @inheritdoc IFederation
    function sealedMembers(uint64 round) external view returns (uint256[] memory) {
        return _bitmap(_sealed[round]);
    }

    /// @inheritdoc IFederation
    function commitmentOf(uint64 round) external view returns (Commitment memory) {
        return _commitments[round];
    }

    /// @inheritdoc IFederation
    function committedMembers(uint64 round) external view returns (uint256[] memory) {
        return _bitmap(_committed[round]);
    }

    /// @inheritdoc IFederation
    function openingMessage(uint64 round, bytes32 sumDigest, bytes32 openedDigest)
        external
        view
        returns (bytes32)
    {
        return _openingMessage(round, sumDigest, openedDigest);
    }

    /// @inheritdoc IFederation
    function resultMessage(
        uint64 round,
        bytes32 sumDigest,
        bytes32 openedDigest,
        bytes32 modelDigest_,
        bytes32 headDigest
    ) external view returns (bytes32) {
        return Digests.resultMessage(round, sumDigest, openedDigest, modelDigest_, headDigest);
    }

    /// @dev Where an update stands, from the round's state and the sealed list alone. What an
    /// assessment makes of it is told there.
    function _updateState(uint64 round, uint256 index) internal view returns (UpdateState) {
        if (_updates[round][index] == 0) return UpdateState.None;
        RoundState state = _rounds[round].state;
        if (state == RoundState.Cancelled) return UpdateState.Returned;
        bool isSealed = _isSealed(round, index);
        if (state == RoundState.Finalized) {
            if (_isAssessed()) {
                return _isCommitted(round, index) ? UpdateState.Assessed : UpdateState.Forfeited;
            }
            return isSealed ? UpdateState.Agreed : UpdateState.Forfeited;
        }
        return isSealed ? UpdateState.Sealed : UpdateState.Submitted;
    }

    /// @inheritdoc Members
    function _isBusy(uint256 index) internal view override returns (bool busy, uint64 round) {
        // Only the last round can be running.
        round = lastRound;
        busy = _isRunning(_rounds[round].state) && _updates[round][index] != 0;
    }

    function _isSealed(uint64 round, uint256 index) internal view returns (bool) {
        return (_sealed[round][index / 256] >> (index % 256)) & 1 == 1;
    }

    function _isCommitted(uint64 round, uint256 index) private view returns (bool) {
        return (_committed[round][index / 256] >> (index % 256)) & 1 == 1;
    }

    function _isRunning(RoundState state) internal pure returns (bool) {
        return state == RoundState.Open || state == RoundState.Committed
            || state == RoundState.Sealed;
    }

    /// @dev Whether updates are judged.
    function _isAssessed() internal view returns (bool) {
        return address(_assessor) != address(0);
    }

    /// @dev The words of a bitmap, without zeros at the end.
    function _bitmap(mapping(uint256 word => uint256) storage bits)
        internal
        view
        returns (uint256[] memory members)
    {
        uint256 length = BITMAP_WORDS;
        while (length > 0 && bits[length - 1] == 0) --length;
        members = new uint256[](length);
        for (uint256 i = 0; i < length; ++i) {
            members[i] = bits[i];
        }
    }

    function _openingMessage(uint64 round, bytes32 sumDigest, bytes32 openedDigest)
        internal
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(Digests.openingHash(round, sumDigest, openedDigest));
    }
}
