// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {SignatureChecker} from
    "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IFederation} from "../interfaces/IFederation.sol";
import {Bits} from "../lib/Bits.sol";
import {Digests} from "../lib/Digests.sol";
import {Commitments} from "./Commitments.sol";

/// @title The rounds: Open, (Committed,) Sealed, then Finalized or Cancelled.
/// @dev One round at a time: the next opens when the last is settled. A settled round's record
/// is never written again.
abstract contract Rounds is Commitments {
    /// @inheritdoc IFederation
    function openRound(uint64 round, bytes32 baseModelDigest) external onlyCoordinator {
        uint64 last = lastRound;
        require(round == last + 1, WrongRound(round, last + 1));
        require(baseModelDigest == modelDigest, WrongBaseModel(baseModelDigest, modelDigest));
        if (last == 0) {
            // Nothing here can hand these two on, so once is enough.
            _requireOwned(address(_quorum));
            _requireOwned(address(_head));
            require(
                !_isAssessed() || (
                    _assessor.federation() == address(this)
                        && _assessor.depositWei() == _depositWei
                ),
                NotReady(address(_assessor))
            );
        } else {
            RoundState state = _rounds[last].state;
            require(!_isRunning(state), WrongState(last, state));
        }

        uint64 submitDeadline = uint64(block.timestamp) + _submitPeriodS;
        uint64 finalizeDeadline = submitDeadline + _finalizePeriodS;
        lastRound = round;
        Round storage opened = _rounds[round];
        opened.state = RoundState.Open;
        opened.submitDeadline = submitDeadline;
        opened.finalizeDeadline = finalizeDeadline;
        opened.baseModelDigest = baseModelDigest;
        emit RoundOpened(round, baseModelDigest, _configDigest, submitDeadline, finalizeDeadline);
    }

    /// @inheritdoc IFederation
    function submitUpdate(uint64 round, bytes32 updateDigest_) external payable {
        uint256 index = _activeIndex(msg.sender);
        Round storage open = _rounds[round];
        require(open.state == RoundState.Open, WrongState(round, open.state));
        _requireNotAfter(round, open.submitDeadline);
        require(updateDigest_ != 0, ZeroDigest());
        require(msg.value == _depositWei, WrongDeposit(msg.value, _depositWei));
        require(_updates[round][index] == 0, AlreadySubmitted(round, msg.sender));

        _updates[round][index] = updateDigest_;
        open.submittedCount += 1;
        emit UpdateSubmitted(round, msg.sender, updateDigest_, msg.value);
    }

    /// @inheritdoc IFederation
    function sealRound(uint64 round, bytes32 sumDigest, uint256[] calldata members)
        external
        onlyCoordinator
    {
        require(!_isAssessed(), WrongSealing(address(_assessor)));
        _requireState(round, RoundState.Open);
        uint256 count = _requireSubmitted(round, members);
        _requireSum(round, sumDigest, count);
        _requireComplete(round, count);
        _seal(round, sumDigest, members, count);
    }

    /// @inheritdoc IFederation
    function sealAssessedRound(
        uint64 round,
        bytes32 sumDigest,
        uint256[] calldata members,
        bytes32 scoresDigest
    ) external onlyCoordinator {
        _requireState(round, RoundState.Committed);
        require(_commitments[round].randomness != 0, NotDrawn(round));
        require(scoresDigest != 0, ZeroDigest());
        uint256 count = _requireCommitted(round, members);
        _requireSum(round, sumDigest, count);

        _commitments[round].scoresDigest = scoresDigest;
        emit RoundAssessed(round, scoresDigest);
        _seal(round, sumDigest, members, count);
    }

    /// @inheritdoc IFederation
    function finalizeRound(
        uint64 round,
        Result calldata result,
        bytes calldata openingSignature,
        uint256[] calldata head_,
        uint256[] calldata signers,
        bytes calldata signature
    ) external nonReentrant {
        _requireSealed(round);
        require(result.openedDigest != 0 && result.modelDigest != 0, ZeroDigest());
        _requireQuorum(round, signers);
        _requireOpened(round, result.openedDigest, openingSignature);
        bytes32 headDigest = Digests.headDigest(head_);
        _requireAttested(_resultMessage(round, result, headDigest), signers, signature);

        _finalize(round, result, headDigest, openingSignature, signers, signature);
        _head.write(head_);
        if (_isAssessed()) _handOver(round);
    }

    /// @inheritdoc IFederation
    function cancelRound(uint64 round) external {
        Round storage current = _rounds[round];
        require(_isRunning(current.state), WrongState(round, current.state));
        if (msg.sender != _coordinator) _requireAfter(round, current.finalizeDeadline);
        current.state = RoundState.Cancelled;
        emit RoundCancelled(round, msg.sender);
    }

    /// @dev There is time for a sum, and it is of enough updates.
    function _requireSum(uint64 round, bytes32 sumDigest, uint256 count) private view {
        _requireNotAfter(round, _rounds[round].finalizeDeadline);
        require(sumDigest != 0, ZeroDigest());
        require(count >= _minContributors, TooFewContributors(count, _minContributors));
    }

    /// @dev The effects of sealing a list that was checked.
    function _seal(uint64 round, bytes32 sumDigest, uint256[] calldata members, uint256 count)
        private
    {
        Round storage current = _rounds[round];
        current.state = RoundState.Sealed;
        current.sealedCount = uint16(count); // at most MAX_MEMBERS, as each has an update
        current.sumDigest = sumDigest;
        for (uint256 i = 0; i < members.length; ++i) {
            if (members[i] != 0) _sealed[round][i] = members[i];
        }
        emit RoundSealed(round, sumDigest, members);
    }

    /// @dev The effects of a result that was checked. A function of its own for the stack's sake.
    function _finalize(
        uint64 round,
        Result calldata result,
        bytes32 headDigest,
        bytes calldata openingSignature,
        uint256[] calldata signers,
        bytes calldata signature
    ) private {
        _rounds[round].state = RoundState.Finalized;
        modelDigest = result.modelDigest;
        emit RoundFinalized(
            round,
            result.modelDigest,
            result.openedDigest,
            headDigest,
            signers,
            openingSignature,
            signature
        );
    }

    /// @dev Hands the deposits of a finalised round's committed updates over: of these nothing is
    /// paid here from now on (`_updateState`).
    function _handOver(uint64 round) private {
        uint256 depositsWei = _commitments[round].count * uint256(_depositWei);
        _assessor.onFinalized{value: depositsWei}(round, _bitmap(_committed[round]));
    }

    /// @dev The round waits for its result, and there is time for one.
    function _requireSealed(uint64 round) private view {
        Round storage current = _rounds[round];
        require(current.state == RoundState.Sealed, WrongState(round, current.state));
        _requireNotAfter(round, current.finalizeDeadline);
    }

    /// @dev The signers are sealed contributors of the round, and enough of them.
    function _requireQuorum(uint64 round, uint256[] calldata signers) private view {
        uint256 sealedCount = _rounds[round].sealedCount;
        uint256 count = 0;
        for (uint256 i = 0; i < signers.length; ++i) {
            uint256 strangers = signers[i] & ~_sealed[round][i];
            require(strangers == 0, NotSealedContributor(256 * i + Bits.lowest(strangers)));
            count += Bits.count(signers[i]);
        }
        uint256 needed = Math.ceilDiv(sealedCount * _quorumNumerator, _quorumDenominator);
        require(count >= needed, QuorumNotReached(count, needed));
    }

    /// @dev The key holder signed the opened sum of the sealed sum.
    function _requireOpened(uint64 round, bytes32 openedDigest, bytes calldata signature)
        private
        view
    {
        bytes32 message = _openingMessage(round, _rounds[round].sumDigest, openedDigest);
        require(
            SignatureChecker.isValidSignatureNowCalldata(_keyHolder, message, signature),
            InvalidOpeningSignature()
        );
    }

    function _requireAttested(
        bytes32 message,
        uint256[] calldata signers,
        bytes calldata signature
    ) private view {
        require(_quorum.verify(message, signers, signature), InvalidQuorumSignature());
    }

    function _resultMessage(uint64 round, Result calldata result, bytes32 headDigest)
        private
        view
        returns (bytes32)
    {
        return Digests.resultMessage(
            round, _rounds[round].sumDigest, result.openedDigest, result.modelDigest, headDigest
        );
    }

    function _requireOwned(address part) private view {
        require(Ownable(part).owner() == address(this), NotReady(part));
    }
}
