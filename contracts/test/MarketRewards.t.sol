// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {IPredictionMarket} from "../src/interfaces/IPredictionMarket.sol";
import {MarketFixture} from "./helpers/MarketFixture.sol";

/// @notice Rewards against the formula, with bounties and stakes near the ends of their range.
contract MarketRewardsTest is MarketFixture {
    uint256 private constant SAMPLES = 8;
    IIncentive.Contribution[] private _ones;
    uint256[] private _features;
    uint256 private _bountyWei;
    uint256 private _stakeWei;
    uint256 private _creditsWei;

    function testFuzz_rewards_follow_the_loss_to_the_wei(
        uint256 bounty,
        uint256 stake,
        uint256 lessons,
        uint256 step
    ) public {
        (_bountyWei, _stakeWei) = (_nearABound(bounty), _nearABound(stake));
        IPredictionMarket.Rules memory rules = marketRules();
        rules.stakeWei = _stakeWei;
        deployMarket(rules, defaultPieces(), _bountyWei);
        open(1);
        vm.deal(ALICE, 8 * _stakeWei);
        for (uint256 i = 0; i < 8; ++i) {
            uint256 feature = (lessons >> (8 * i)) % 4;
            _ones.push(contribute(ALICE, feature, (lessons >> (8 * i + 4)) % 3));
            _features.push(feature);
        }
        revealOthers(1);
        for (uint256 i = 0; i < 8; ++i) {
            _evaluate(i, 1 + step % (SAMPLES + 1));
        }
        vm.assertTrue(market.phase() == IPredictionMarket.Phase.Finished);
        market.collect();
        // Nothing is lost, and nothing is paid that was not paid in.
        uint256 left = market.owedWei(SPONSOR);
        vm.assertEq(_creditsWei + left, _bountyWei + 8 * _stakeWei);
        vm.assertEq(address(market).balance, _bountyWei + 8 * _stakeWei);
        vm.prank(SPONSOR);
        if (left > 0) market.withdraw();
        vm.prank(ALICE);
        if (_creditsWei > 0) market.withdraw();
        vm.assertEq(address(market).balance, 0);
    }

    /// @dev One contribution in steps of so many samples, against the formula.
    function _evaluate(uint256 i, uint256 samples) private {
        uint256 errors = market.progress().errors;
        uint256 before = market.owedWei(ALICE);
        while (market.progress().evaluated == i) {
            evaluateOne(_ones[i], _features[i], samples);
        }
        uint256 after_ = market.progress().errors;
        uint256 credit = market.owedWei(ALICE) - before;
        uint256 lossBefore = _bountyWei * errors / SAMPLES;
        uint256 lossAfter = _bountyWei * after_ / SAMPLES;
        if (credit == 0 && errors == after_) return; // dropped: the replica did not learn it
        vm.assertEq(credit + lossAfter, _stakeWei + lossBefore);
        _creditsWei += credit;
    }

    /// @dev 1 to 64 wei, or up to 64 wei below the largest that a record holds.
    function _nearABound(uint256 seed) private pure returns (uint256) {
        uint256 offset = seed / 2 % 64;
        return seed % 2 == 0 ? 1 + offset : type(uint88).max - offset;
    }
}
