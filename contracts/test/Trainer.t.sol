// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {CollaborativeTrainer} from "../src/CollaborativeTrainer.sol";
import {SelfAssessment} from "../src/incentives/SelfAssessment.sol";
import {IClassifier} from "../src/interfaces/IClassifier.sol";
import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {ITrainer} from "../src/interfaces/ITrainer.sol";
import {PlainPerceptron} from "./helpers/PlainPerceptron.sol";
import {TrainerFixture} from "./helpers/TrainerFixture.sol";

/// @notice The trainer: teaching, batches, bounds of the sender, the end of a release.
contract TrainerTest is TrainerFixture {
    function setUp() public {
        deploy(defaultRules());
    }

    function test_constructor_gives_its_parts() public view {
        vm.assertEq(trainer.model(), address(model));
        vm.assertEq(trainer.incentive(), address(incentive));
        vm.assertEq(trainer.owner(), address(this));
        vm.assertEq(incentive.trainer(), address(trainer));
    }

    function test_constructor_refuses_another_trainers_incentive() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                ITrainer.WrongIncentive.selector, address(incentive), address(trainer)
            )
        );
        new CollaborativeTrainer(model, incentive);
    }

    function test_contribute_teaches_the_model_and_tells_the_data() public {
        vm.assertEq(predicted(2), 0);
        uint256 price = incentive.priceWei();
        vm.expectEmit(address(model));
        emit IClassifier.ModelUpdated(1, true);
        vm.expectEmit(address(trainer));
        emit ITrainer.Contributed(1, ALICE, 1, 0, price, START, sample(2));
        contribute(ALICE, 2, 1);
        vm.assertEq(predicted(2), 1);
        vm.assertEq(address(trainer).balance, 0);
        vm.assertEq(address(incentive).balance, price);
        vm.assertEq(contribute(BOB, 0, 0).id, 2);
    }

    function test_contribute_until_the_deadlines_last_second() public {
        uint256 price = incentive.priceWei();
        refuse(
            ALICE, price, abi.encodeCall(trainer.contribute, (sample(0), 1, 0, price, START - 1)),
            abi.encodeWithSelector(ITrainer.DeadlinePassed.selector, START - 1, START)
        );
        vm.prank(ALICE);
        trainer.contribute{value: price}(sample(0), 1, 0, price, START);
    }

    function test_contribute_refuses_what_the_model_does_not_take() public {
        uint256 price = incentive.priceWei();
        refuse(
            ALICE, price, abi.encodeCall(trainer.contribute, (sample(0), 3, 0, price, START)),
            abi.encodeWithSelector(IClassifier.UnknownClass.selector, 3, 3)
        );
        refuse(
            ALICE, price, abi.encodeCall(trainer.contribute, (new bytes(5), 1, 0, price, START)),
            abi.encodeWithSelector(IClassifier.WrongFeatureCount.selector, 5, 4)
        );
    }

    function test_contributeMany_is_the_same_as_one_by_one() public {
        (bytes[] memory features, uint256[] memory classes) = _batch(3);
        uint256 price = incentive.priceWei();
        uint256 all = price + 2 * 3600 * WEIGHT; // no time passes within a transaction
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectEmit(address(trainer));
            emit ITrainer.Contributed(
                i + 1, ALICE, classes[i], 0, i == 0 ? price : 3600 * WEIGHT, START, features[i]
            );
        }
        vm.prank(ALICE);
        vm.assertEq(trainer.contributeMany{value: all}(features, classes, 0, all, START), 1);
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(predicted(i), classes[i]);
        }
        vm.assertEq(incentive.lastId(), 3);
        vm.assertEq(incentive.owedWei(ALICE), 0);
        vm.warp(START + R);
        for (uint256 i = 0; i < 3; ++i) {
            refund(
                IIncentive.Contribution(
                    i + 1, ALICE, classes[i], 0, i == 0 ? price : 3600 * WEIGHT, START
                ),
                i
            );
        }
        vm.assertEq(incentive.owedWei(ALICE), all);
    }

    function test_contributeMany_is_whole_or_nothing_within_the_senders_bounds() public {
        (bytes[] memory features, uint256[] memory classes) = _batch(2);
        uint256 all = incentive.priceWei() + 3600 * WEIGHT;
        refuse(
            ALICE, all, abi.encodeCall(trainer.contributeMany, (features, classes, 0, all - 1, START)),
            abi.encodeWithSelector(
                IIncentive.PriceTooHigh.selector, 3600 * WEIGHT, 3600 * WEIGHT - 1
            )
        );
        refuse(
            ALICE, all, abi.encodeCall(trainer.contributeMany, (features, classes, 0, all, START - 1)),
            abi.encodeWithSelector(ITrainer.DeadlinePassed.selector, START - 1, START)
        );
        refuse(
            ALICE, all,
            abi.encodeCall(trainer.contributeMany, (features, new uint256[](3), 0, all, START)),
            abi.encodeWithSelector(ITrainer.WrongBatch.selector, 2, 3)
        );
        refuse(
            ALICE, all,
            abi.encodeCall(
                trainer.contributeMany, (new bytes[](0), new uint256[](0), 0, all, START)
            ),
            abi.encodeWithSelector(ITrainer.WrongBatch.selector, 0, 0)
        );
    }

    function test_multicall_claims_several_and_contributes_from_the_account() public {
        IIncentive.Contribution memory first = contribute(ALICE, 0, 1);
        IIncentive.Contribution memory second = contribute(ALICE, 1, 2);
        vm.warp(START + R);
        bytes[] memory calls = new bytes[](3);
        calls[0] = abi.encodeCall(trainer.refund, (first, sample(0)));
        calls[1] = abi.encodeCall(trainer.refund, (second, sample(1)));
        calls[2] = abi.encodeCall(
            trainer.contribute, (sample(2), 1, 0, type(uint256).max, block.timestamp)
        );
        uint256 price = incentive.priceWei();
        vm.prank(ALICE);
        trainer.multicall(calls);
        vm.assertEq(incentive.owedWei(ALICE), first.priceWei + second.priceWei - price);
        vm.assertEq(predicted(2), 1);
    }

    function test_close_returns_the_model_and_every_open_deposit() public {
        IIncentive.Contribution memory good = contribute(ALICE, 0, 1);
        IIncentive.Contribution memory bad = contribute(BOB, 1, 2);
        contribute(CAROL, 1, 1); // the model turns
        if (predicted(1) == 2) contribute(CAROL, 1, 1);
        vm.assertTrue(predicted(1) != 2);
        vm.expectEmit(address(incentive));
        emit IIncentive.Closed();
        trainer.close();
        vm.assertTrue(incentive.isClosed());
        vm.assertEq(Ownable(address(model)).owner(), address(this));

        bytes memory closed = abi.encodeWithSelector(IIncentive.ReleaseClosed.selector);
        uint256 price = incentive.priceWei();
        refuse(
            ALICE, price,
            abi.encodeCall(trainer.contribute, (sample(0), 1, 0, price, block.timestamp)), closed
        );
        refuseReport(
            CAROL, bad, 1, abi.encodeWithSelector(IIncentive.ReleaseOver.selector, bad.id)
        );
        refuse(address(this), 0, abi.encodeCall(trainer.close, ()), closed);
        refuseRefund(CAROL, bad, 1, _notAllowed(bad.id, CAROL));

        // At once, in full, whatever the model says; and without a point.
        vm.assertEq(refund(bad, 1), bad.priceWei);
        vm.assertEq(refund(good, 0), good.priceWei);
        (uint256 own, uint256 total) = incentive.points(ALICE);
        vm.assertEq(own + total, 0);
        refuseRefund(BOB, bad, 1, abi.encodeWithSelector(IIncentive.NoClaim.selector, bad.id));
    }

    function test_a_new_release_returns_every_open_deposit_and_takes_contributions() public {
        IIncentive.Contribution memory good = contribute(ALICE, 0, 1);
        IIncentive.Contribution memory bad = contribute(BOB, 1, 2);
        contribute(CAROL, 1, 0); // the model turns
        PlainPerceptron(address(model)).replace();

        // Features that were made for the model before are refused.
        uint256 price = incentive.priceWei();
        refuse(
            ALICE, price, abi.encodeCall(trainer.contribute, (sample(0), 1, 0, price, START)),
            abi.encodeWithSelector(ITrainer.WrongRelease.selector, 0, 1)
        );
        vm.expectEmit(address(incentive));
        emit IIncentive.ReleaseEnded(3);
        vm.expectEmit(address(trainer));
        emit ITrainer.ReleaseStarted(1);
        IIncentive.Contribution memory next = contribute(ALICE, 2, 1);
        vm.assertEq(next.id, 4);
        vm.assertEq(incentive.endedId(), 3);
        vm.assertFalse(incentive.isClosed());

        // The old ones at once, in full, whatever the model says; and without a point.
        refuseReport(
            OWNER, bad, 1, abi.encodeWithSelector(IIncentive.ReleaseOver.selector, bad.id)
        );
        refuseRefund(CAROL, bad, 1, _notAllowed(bad.id, CAROL));
        vm.assertEq(refund(bad, 1), bad.priceWei);
        vm.assertEq(refund(good, 0), good.priceWei);
        (uint256 own, uint256 total) = incentive.points(ALICE);
        vm.assertEq(own + total, 0);

        // The new one is judged as ever.
        refuseRefund(
            ALICE, next, 2,
            abi.encodeWithSelector(IIncentive.TooEarly.selector, next.id, START + R)
        );
        vm.warp(START + R);
        vm.assertEq(refund(next, 2), next.priceWei);
        (own,) = incentive.points(ALICE);
        vm.assertEq(own, 1);
    }

    function test_a_refund_may_be_the_first_to_see_a_new_release() public {
        IIncentive.Contribution memory bad = contribute(BOB, 1, 2);
        contribute(CAROL, 1, 0);
        PlainPerceptron(address(model)).replace();
        vm.assertEq(refund(bad, 1), bad.priceWei);
        vm.assertEq(incentive.endedId(), 2);
        PlainPerceptron(address(model)).replace();
        contribute(CAROL, 1, 1);
        vm.assertEq(incentive.endedId(), 2);
    }

    function test_close_is_the_owners() public {
        refuse(
            ALICE, 0, abi.encodeCall(trainer.close, ()),
            abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, ALICE)
        );
    }

    function test_without_the_model_nothing_is_contributed() public {
        deployUnowned();
        uint256 price = incentive.priceWei();
        refuse(
            ALICE, price, abi.encodeCall(trainer.contribute, (sample(0), 1, 0, price, START)),
            abi.encodeWithSelector(
                Ownable.OwnableUnauthorizedAccount.selector, address(trainer)
            )
        );
    }

    /// @dev As `deploy`, later: nonces 4 and 5, and the model stays with another trainer.
    function deployUnowned() private {
        incentive = new SelfAssessment(_createAddress(5), defaultRules());
        trainer = new CollaborativeTrainer(model, incentive);
    }

    function _batch(uint256 count)
        private
        pure
        returns (bytes[] memory features, uint256[] memory classes)
    {
        features = new bytes[](count);
        classes = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            features[i] = sample(i);
            classes[i] = 1 + i % 2;
        }
    }

    function _notAllowed(uint256 id, address caller) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IIncentive.NotAllowed.selector, id, caller);
    }
}
