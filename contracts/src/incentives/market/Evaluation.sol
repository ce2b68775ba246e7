// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "../../interfaces/IIncentive.sol";
import {IPredictionMarket} from "../../interfaces/IPredictionMarket.sol";
import {CodePage} from "../../lib/CodePage.sol";
import {ContributionDigests} from "../../lib/ContributionDigests.sol";
import {TestSamples} from "../../lib/TestSamples.sol";
import {Commitment} from "./Commitment.sol";

/// @title What each contribution did to the loss, in steps that fit a block.
/// @notice With e errors of the replica on N samples, the bounty B and V(e) = floor(B e / N), a
/// contribution that takes the errors from e to f is paid its stake and V(e) - V(f). The sum over
/// all of them is V(first) - V(last), at most B, to the wei. One that would lose more than its
/// stake loses the stake, and the replica does not learn from it: were it learned, those who
/// repair the harm would be paid with money that nobody paid in.
/// @dev The first system drops the whole contributor then, and starts again. Here a contribution
/// is tried in a call that reverts, with its result in the error, so that the replica never holds
/// what is not kept, and nothing is evaluated twice.
abstract contract Evaluation is Commitment {
    /// @dev What is left of the bounty and of lost stakes.
    uint256 internal _potWei;

    /// @inheritdoc IPredictionMarket
    function evaluate(
        IIncentive.Contribution[] calldata contributions,
        bytes[] calldata features,
        uint256 maxSamples
    ) external {
        _requirePhase(Phase.Evaluating);
        require(
            contributions.length == features.length && features.length > 0,
            WrongStepLength(contributions.length, features.length)
        );
        State memory state = _state;
        for (uint256 i = 0; i < features.length && (i == 0 || maxSamples > 0); ++i) {
            (bool done, uint256 samples) =
                _evaluate(state, contributions[i], features[i], maxSamples);
            if (!done) break;
            maxSamples -= samples;
        }
        _state = state;
    }

    /// @notice Not to be called: teaches the replica, asks it, and undoes both by a revert that
    /// carries the result (`Attempted`).
    function attempt(
        bytes calldata features,
        uint256 class,
        uint256 piece,
        uint256 offset,
        uint256 maxSamples
    ) external {
        require(msg.sender == address(this), OnlySelf(msg.sender));
        (, bool changed) = _replica.update(features, class);
        uint256 samples = 0;
        uint256 errors = 0;
        while (changed && piece < pieceCount && samples < maxSamples) {
            bytes memory data = CodePage.read(_pages[piece]);
            uint256 asked;
            uint256 wrong;
            (offset, asked, wrong) =
                TestSamples.countErrors(_replica, data, offset, maxSamples - samples);
            samples += asked;
            errors += wrong;
            if (offset == data.length) {
                ++piece;
                offset = 0;
            }
        }
        revert Attempted(changed, piece, offset, samples, errors);
    }

    /// @inheritdoc IPredictionMarket
    function progress() external view returns (Progress memory) {
        State memory state = _state;
        return Progress({
            revealed: state.revealed,
            samples: state.samples,
            errors: state.errors,
            evaluated: state.evaluated,
            trialPiece: state.trialPiece,
            trialOffset: state.trialOffset,
            trialErrors: state.trialErrors
        });
    }

    /// @dev Goes on with the trial of the next contribution; settles it at the end of the test set.
    function _evaluate(
        State memory state,
        IIncentive.Contribution calldata one,
        bytes calldata features,
        uint256 maxSamples
    ) private returns (bool done, uint256 samples) {
        require(one.id == uint256(state.evaluated) + 1, WrongStep(one.id, state.evaluated + 1));
        _open(one, ContributionDigests.contributionDigest(one.class, features));
        bool changed;
        (changed, samples) = _try(state, one.class, features, maxSamples);
        if (changed && state.trialPiece < pieceCount) return (false, samples);
        done = true;
        uint256 rewarded = _lossWei(state, state.errors);
        uint256 lossWei = changed ? _lossWei(state, state.trialErrors) : rewarded;
        bool kept = lossWei <= rewarded + one.priceWei;
        _settle(one.id);
        state.evaluated += 1;
        uint256 creditWei = 0;
        if (kept) {
            creditWei = one.priceWei + rewarded - lossWei;
            // No account can hold 2^128 wei: there are not so many.
            if (creditWei > 0) _accounts[one.contributor].owedWei += uint128(creditWei);
        }
        // At least the bounty less the first loss, which is no more than the bounty.
        _potWei = _potWei + one.priceWei - creditWei;
        if (changed && kept) {
            state.errors = state.trialErrors;
            _replica.update(features, one.class);
        }
        state.trialPiece = 0;
        state.trialOffset = 0;
        state.trialErrors = 0;
        // Both are below 2^89.
        emit Evaluated(
            one.id, one.contributor, state.errors, int256(creditWei) - int256(one.priceWei), kept
        );
    }

    /// @dev Runs a trial and writes where it stopped into `state`.
    function _try(State memory state, uint256 class, bytes calldata features, uint256 maxSamples)
        private
        returns (bool changed, uint256 samples)
    {
        try this.attempt(features, class, state.trialPiece, state.trialOffset, maxSamples) {
            revert(); // it never returns
        } catch (bytes memory answer) {
            if (answer.length != 164 || bytes4(answer) != Attempted.selector) {
                // Too little gas, above all: whoever calls again with more goes on from here.
                assembly ("memory-safe") {
                    revert(add(answer, 32), mload(answer))
                }
            }
            uint256 piece;
            uint256 offset;
            uint256 errors;
            assembly ("memory-safe") {
                changed := mload(add(answer, 36))
                piece := mload(add(answer, 68))
                offset := mload(add(answer, 100))
                samples := mload(add(answer, 132))
                errors := mload(add(answer, 164))
            }
            // As `attempt` says; pieces, bytes of a piece and samples fit.
            state.trialPiece = uint16(piece);
            state.trialOffset = uint16(offset);
            state.trialErrors += uint32(errors);
        }
    }

    /// @dev V(errors) = floor(bounty * errors / samples), at most the bounty.
    function _lossWei(State memory state, uint256 errors) private view returns (uint256) {
        return bountyWei * errors / state.samples;
    }
}
