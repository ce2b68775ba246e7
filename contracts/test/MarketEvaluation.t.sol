// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {IPredictionMarket} from "../src/interfaces/IPredictionMarket.sol";
import {MarketFixture} from "./helpers/MarketFixture.sol";

/// @notice Stakes, rewards, what is dropped, forfeited, left.
contract MarketEvaluationTest is MarketFixture {
    IIncentive.Contribution internal first;
    IIncentive.Contribution internal second;

    function setUp() public {
        deployMarket(marketRules(), defaultPieces());
        open(0);
    }

    function wrongPhase(IPredictionMarket.Phase phase) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, phase);
    }

    // Stakes

    function test_a_contribution_costs_its_stake_and_teaches_at_once() public {
        first = contribute(ALICE, 1, 1);
        vm.assertEq(first.priceWei, STAKE);
        vm.assertEq(address(market).balance, BOUNTY + STAKE);
        vm.assertEq(predicted(1), 1);
        (bytes32 digest, uint256 left) = market.recordOf(1);
        vm.assertTrue(digest != 0);
        vm.assertEq(left, STAKE);
        vm.prank(BOB);
        trainer.contribute{value: STAKE + 5}(sample(2), 2, 0, STAKE, block.timestamp);
        vm.assertEq(market.owedWei(BOB), 5);
    }

    function test_contribute_is_refused_before_contributions_open() public {
        deployMarket(marketRules(), defaultPieces());
        refuse(
            ALICE, STAKE, contributing(STAKE), wrongPhase(IPredictionMarket.Phase.Committed)
        );
        drawPiece(0);
        refuse(ALICE, STAKE, contributing(STAKE), wrongPhase(IPredictionMarket.Phase.Drawn));
    }

    function test_contribute_refuses_too_little_money_and_a_full_market() public {
        refuse(
            ALICE, STAKE, contributing(STAKE - 1),
            abi.encodeWithSelector(IIncentive.PriceTooHigh.selector, STAKE, STAKE - 1)
        );
        refuse(
            ALICE, STAKE - 1, contributing(STAKE),
            abi.encodeWithSelector(IIncentive.DepositTooSmall.selector, STAKE - 1, STAKE)
        );
        for (uint256 i = 0; i < 20; ++i) {
            contribute(ALICE, 1, 1);
        }
        refuse(
            ALICE, STAKE, contributing(STAKE),
            abi.encodeWithSelector(IPredictionMarket.MarketFull.selector, 20)
        );
    }

    function contributing(uint256 maximumWei) private view returns (bytes memory) {
        return abi.encodeCall(
            trainer.contribute, (sample(1), 1, 0, maximumWei, block.timestamp)
        );
    }

    function test_only_the_trainer_calls_its_functions() public {
        first = contribute(ALICE, 1, 1);
        bytes memory expected = abi.encodeWithSelector(IIncentive.NotTrainer.selector, ALICE);
        refuseMarket(
            abi.encodeCall(market.onContribute, (ALICE, bytes32(0), 1, 0, STAKE)), expected
        );
        refuseMarket(abi.encodeCall(market.onRefund, (first, bytes32(0), ALICE, 1)), expected);
        refuseMarket(abi.encodeCall(market.onReport, (first, bytes32(0), ALICE, 1)), expected);
        refuseMarket(abi.encodeCall(market.endRelease, ()), expected);
        refuseMarket(abi.encodeCall(market.close, ()), expected);
        refuseMarket(
            abi.encodeCall(market.attempt, (sample(1), 1, 0, 0, 9)),
            abi.encodeWithSelector(IPredictionMarket.OnlySelf.selector, ALICE)
        );
    }

    function test_nobody_refunds_reports_or_collects_while_it_runs() public {
        first = contribute(ALICE, 1, 1);
        refuseRefund(ALICE, first, 1, wrongPhase(IPredictionMarket.Phase.Open));
        refuseReport(
            BOB, first, 1, abi.encodeWithSelector(IIncentive.NotAllowed.selector, 1, BOB)
        );
        refuseMarketAs(
            SPONSOR, abi.encodeCall(market.collect, ()), wrongPhase(IPredictionMarket.Phase.Open)
        );
        refuseMarket(evaluation(first, 1, 9), wrongPhase(IPredictionMarket.Phase.Open));
        revealOthers(0);
        refuseRefund(ALICE, first, 1, wrongPhase(IPredictionMarket.Phase.Evaluating));
    }

    // Rewards

    function test_rewards_follow_the_change_of_the_loss() public {
        first = contribute(ALICE, 1, 1); // 7 errors to 5
        second = contribute(BOB, 0, 1); // to 6: the only sample that was right before
        IIncentive.Contribution memory third = contribute(CAROL, 1, 1); // nothing to learn
        revealOthers(0);
        vm.assertEq(market.progress().errors, 7);
        vm.assertEq(market.progress().samples, 8);
        vm.expectEmit(address(market));
        emit IPredictionMarket.Evaluated(1, ALICE, 5, int256(lossWei(7) - lossWei(5)), true);
        evaluateOne(first, 1, 100);
        evaluateOne(second, 0, 100);
        vm.expectEmit(address(market));
        emit IPredictionMarket.Evaluated(3, CAROL, 6, 0, true);
        evaluateOne(third, 1, 1);
        vm.assertEq(market.owedWei(ALICE), STAKE + lossWei(7) - lossWei(5));
        vm.assertEq(market.owedWei(BOB), STAKE - (lossWei(6) - lossWei(5)));
        vm.assertEq(market.owedWei(CAROL), STAKE);
        vm.assertEq(uint256(market.phase()), uint256(IPredictionMarket.Phase.Finished));
        market.collect();
        vm.assertEq(market.owedWei(SPONSOR), BOUNTY - (lossWei(7) - lossWei(6)));
        vm.assertEq(replica.owner(), SPONSOR);
        refuseMarket(
            abi.encodeCall(market.collect, ()),
            abi.encodeWithSelector(IPredictionMarket.AlreadyCollected.selector)
        );
        withdrawAll();
        vm.assertEq(address(market).balance, 0);
    }

    function withdrawAll() private {
        address[4] memory all = [SPONSOR, ALICE, BOB, CAROL];
        for (uint256 i = 0; i < all.length; ++i) {
            uint256 owed = market.owedWei(all[i]);
            uint256 before = all[i].balance;
            if (owed == 0) continue;
            vm.prank(all[i]);
            market.withdraw();
            vm.assertEq(all[i].balance - before, owed);
        }
    }

    function test_what_costs_more_than_its_stake_is_not_learned() public {
        first = contribute(ALICE, 3, 1); // 7 errors to 4
        second = contribute(BOB, 3, 2); // back to 7: three errors, the stake pays for one
        IIncentive.Contribution memory third = contribute(CAROL, 3, 1); // the model needs it again
        vm.assertEq(third.predicted, 2);
        revealOthers(0);
        evaluateOne(first, 3, 100);
        vm.expectEmit(address(market));
        emit IPredictionMarket.Evaluated(2, BOB, 4, -int256(STAKE), false);
        evaluateOne(second, 3, 100);
        (uint256 class,) = replica.predict(sample(3));
        vm.assertEq(class, 1); // the replica did not learn it
        evaluateOne(third, 3, 100); // and has nothing to learn from the repair
        vm.assertEq(market.owedWei(ALICE), STAKE + lossWei(7) - lossWei(4));
        vm.assertEq(market.owedWei(BOB), 0);
        vm.assertEq(market.owedWei(CAROL), STAKE);
        market.collect();
        vm.assertEq(market.owedWei(SPONSOR), BOUNTY - (lossWei(7) - lossWei(4)) + STAKE);
        withdrawAll();
        vm.assertEq(address(market).balance, 0);
    }

    function test_a_stake_of_the_bounty_is_never_too_small() public {
        IPredictionMarket.Rules memory rules = marketRules();
        rules.stakeWei = BOUNTY;
        deployMarket(rules, defaultPieces());
        open(0);
        first = contribute(ALICE, 3, 1);
        second = contribute(BOB, 3, 2);
        revealOthers(0);
        evaluateOne(first, 3, 100);
        evaluateOne(second, 3, 100);
        vm.assertEq(market.owedWei(BOB), BOUNTY - (lossWei(7) - lossWei(4)));
        vm.assertEq(market.progress().errors, 7);
    }

    function test_any_step_size_comes_to_the_same() public {
        for (uint256 size = 1; size <= 9; ++size) {
            deployMarket(marketRules(), defaultPieces());
            open(0);
            first = contribute(ALICE, 3, 1);
            second = contribute(BOB, 3, 2);
            revealOthers(0);
            uint256 calls = 0;
            while (market.phase() == IPredictionMarket.Phase.Evaluating) {
                bool isFirst = market.progress().evaluated == 0;
                evaluateOne(isFirst ? first : second, 3, size);
                ++calls;
            }
            // Eight samples for each of the two.
            vm.assertEq(calls, 2 * ((8 + size - 1) / size));
            vm.assertEq(market.owedWei(ALICE), STAKE + lossWei(7) - lossWei(4));
            vm.assertEq(market.owedWei(BOB), 0);
            vm.assertEq(market.progress().errors, 4);
        }
    }

    function test_a_trial_leaves_no_trace_in_the_replica() public {
        first = contribute(ALICE, 3, 1);
        revealOthers(0);
        bytes32 before = keccak256(abi.encode(replica.words(0, 12)));
        evaluateOne(first, 3, 7);
        vm.assertEq(keccak256(abi.encode(replica.words(0, 12))), before);
        vm.assertEq(market.progress().evaluated, 0);
        vm.assertEq(market.progress().trialPiece, 2);
        vm.assertEq(market.progress().trialOffset, 14);
        vm.assertEq(market.progress().trialErrors, 4);
        (, uint256 left) = market.recordOf(1);
        vm.assertEq(left, STAKE);
    }

    function test_several_in_one_step_until_the_samples_are_used_up() public {
        IIncentive.Contribution[] memory ones = new IIncentive.Contribution[](3);
        bytes[] memory features = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            features[i] = sample(i + 1);
            ones[i] = contribute(ALICE, i + 1, i + 1 == 2 ? 2 : 1);
        }
        revealOthers(0);
        market.evaluate(ones, features, 20);
        vm.assertEq(market.progress().evaluated, 2);
        vm.assertEq(market.progress().errors, 3);
        evaluateOne(ones[2], 3, 4);
        vm.assertEq(market.progress().errors, 0);
        vm.assertEq(market.owedWei(ALICE), 3 * STAKE + lossWei(7));
        vm.assertEq(uint256(market.phase()), uint256(IPredictionMarket.Phase.Finished));
    }

    function test_evaluate_refuses_what_was_not_contributed() public {
        first = contribute(ALICE, 1, 1);
        second = contribute(BOB, 2, 2);
        revealOthers(0);
        refuseMarket(
            evaluation(second, 2, 100),
            abi.encodeWithSelector(IPredictionMarket.WrongStep.selector, 2, 1)
        );
        bytes memory noClaim = abi.encodeWithSelector(IIncentive.NoClaim.selector, 1);
        refuseMarket(evaluation(first, 2, 100), noClaim);
        first.contributor = BOB;
        refuseMarket(evaluation(first, 1, 100), noClaim);
        first.contributor = ALICE;
        first.class = 0;
        refuseMarket(evaluation(first, 1, 100), noClaim);
        first.class = 1;
        first.priceWei = STAKE + 1;
        refuseMarket(evaluation(first, 1, 100), noClaim);
        first.priceWei = STAKE;
        refuseMarket(
            abi.encodeCall(
                market.evaluate, (new IIncentive.Contribution[](0), new bytes[](0), 1)
            ),
            abi.encodeWithSelector(IPredictionMarket.WrongStepLength.selector, 0, 0)
        );
        refuseMarket(
            abi.encodeCall(
                market.evaluate, (new IIncentive.Contribution[](1), new bytes[](2), 1)
            ),
            abi.encodeWithSelector(IPredictionMarket.WrongStepLength.selector, 1, 2)
        );
        evaluateOne(first, 1, 100);
        refuseMarket(
            evaluation(first, 1, 100),
            abi.encodeWithSelector(IPredictionMarket.WrongStep.selector, 1, 2)
        );
    }

    function test_too_little_gas_changes_nothing() public {
        first = contribute(ALICE, 3, 1);
        revealOthers(0);
        bytes memory step = evaluation(first, 3, 100);
        uint256 refused = 0;
        for (uint256 gas_ = 60_000; gas_ < 600_000; gas_ += 20_000) {
            bytes32 before = marketState();
            (bool ok,) = address(market).call{gas: gas_}(step);
            if (ok) break;
            vm.assertEq(marketState(), before);
            ++refused;
        }
        vm.assertTrue(refused > 3);
        vm.assertEq(market.owedWei(ALICE), STAKE + lossWei(7) - lossWei(4));
    }

    // Ends

    function test_unrevealed_pieces_forfeit_the_bounty_to_contributors() public {
        first = contribute(ALICE, 1, 1);
        second = contribute(BOB, 3, 2);
        IIncentive.Contribution memory third = contribute(BOB, 0, 0);
        vm.warp(CONTRIBUTE_UNTIL + 1);
        reveal(1); // not all
        vm.warp(REVEAL_BY + 1);
        uint256 share = BOUNTY / 2 / 3;
        vm.assertEq(refund(first, 1), STAKE + share);
        refuseRefund(
            ALICE, first, 1, abi.encodeWithSelector(IIncentive.NoClaim.selector, 1)
        );
        refuseRefund(
            ALICE, second, 3, abi.encodeWithSelector(IIncentive.NotAllowed.selector, 2, ALICE)
        );
        uint256 burntBefore = address(0).balance;
        market.collect();
        vm.assertEq(market.owedWei(SPONSOR), 0);
        vm.assertEq(address(0).balance - burntBefore, BOUNTY - 3 * share);
        refund(second, 3);
        refund(third, 0);
        withdrawAll();
        vm.assertEq(address(market).balance, 0);
        refuseMarket(
            evaluation(first, 1, 1), wrongPhase(IPredictionMarket.Phase.Forfeited)
        );
    }

    function test_a_sponsor_that_contributes_most_itself_still_loses_half() public {
        // It hides the test set, having sent 19 of 20 contributions to get the bounty back.
        first = contribute(ALICE, 1, 1);
        IIncentive.Contribution[] memory own = new IIncentive.Contribution[](19);
        for (uint256 i = 0; i < 19; ++i) {
            own[i] = contribute(BOB, 0, 0);
        }
        vm.warp(REVEAL_BY + 1);
        refund(first, 1);
        for (uint256 i = 0; i < 19; ++i) {
            refund(own[i], 0);
        }
        market.collect();
        vm.assertLe(market.owedWei(BOB) + market.owedWei(SPONSOR) - 19 * STAKE, BOUNTY / 2);
        vm.assertEq(market.owedWei(ALICE), STAKE + BOUNTY / 2 / 20);
    }

    function test_a_forfeited_market_without_contributions_is_destroyed() public {
        vm.warp(REVEAL_BY + 1);
        market.collect();
        vm.assertEq(market.owedWei(SPONSOR), 0);
        vm.assertEq(address(market).balance, 0);
    }

    function test_a_market_without_contributions_gives_the_bounty_back() public {
        revealOthers(0);
        vm.assertEq(uint256(market.phase()), uint256(IPredictionMarket.Phase.Finished));
        market.collect();
        vm.assertEq(market.owedWei(SPONSOR), BOUNTY);
    }

    function test_what_nobody_evaluates_goes_back() public {
        first = contribute(ALICE, 1, 1);
        second = contribute(BOB, 3, 2);
        revealOthers(0);
        evaluateOne(first, 1, 100);
        evaluateOne(second, 3, 2); // half way
        vm.warp(EVALUATE_BY + 1);
        refuseMarket(evaluation(second, 3, 9), wrongPhase(IPredictionMarket.Phase.Finished));
        market.collect();
        vm.assertEq(refund(second, 3), STAKE);
        refuseRefund(
            ALICE, first, 1, abi.encodeWithSelector(IIncentive.NoClaim.selector, 1)
        );
        vm.assertEq(market.owedWei(SPONSOR), BOUNTY - (lossWei(7) - lossWei(5)));
        withdrawAll();
        vm.assertEq(address(market).balance, 0);
    }

    function test_closing_early_changes_nothing_that_was_contributed() public {
        // The sponsor, which owns the trainer, sees a contribution that will be dear.
        first = contribute(ALICE, 3, 1);
        trainer.close();
        vm.assertTrue(market.isClosed());
        vm.assertEq(uint256(market.phase()), uint256(IPredictionMarket.Phase.Open));
        refuse(
            BOB, STAKE, contributing(STAKE),
            abi.encodeWithSelector(IIncentive.ReleaseClosed.selector)
        );
        refuseRefund(ALICE, first, 3, wrongPhase(IPredictionMarket.Phase.Open));
        revealOthers(0);
        evaluateOne(first, 3, 100);
        vm.assertEq(market.owedWei(ALICE), STAKE + lossWei(7) - lossWei(4));
    }

    function test_a_replaced_model_ends_contributions_and_nothing_else() public {
        first = contribute(ALICE, 3, 1);
        vm.assertFalse(market.isClosed());
        vm.prank(address(trainer));
        market.endRelease();
        vm.assertTrue(market.isClosed());
        refuse(
            BOB, STAKE, contributing(STAKE),
            abi.encodeWithSelector(IIncentive.ReleaseClosed.selector)
        );
        revealOthers(0);
        evaluateOne(first, 3, 100);
        vm.assertEq(market.owedWei(ALICE), STAKE + lossWei(7) - lossWei(4));
        trainer.close();
    }

    function test_a_sponsor_that_contributes_takes_nothing_from_harmless_contributions() public {
        // It knows the test set and comes first; what it gains is its own bounty.
        first = contribute(SPONSOR_AS, 3, 1);
        second = contribute(ALICE, 1, 1);
        revealOthers(0);
        evaluateOne(first, 3, 100);
        evaluateOne(second, 1, 100);
        market.collect();
        vm.assertEq(
            market.owedWei(SPONSOR) + market.owedWei(SPONSOR_AS),
            BOUNTY + STAKE - (lossWei(4) - lossWei(2))
        );
        vm.assertEq(market.owedWei(ALICE), STAKE + lossWei(4) - lossWei(2));
    }

    address private constant SPONSOR_AS = OWNER; // another account of the sponsor
}
