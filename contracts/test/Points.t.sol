// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Badges} from "../src/incentives/Badges.sol";
import {Points} from "../src/incentives/Points.sol";
import {IERC5192} from "../src/interfaces/IERC5192.sol";
import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {ContributionDigests} from "../src/lib/ContributionDigests.sol";
import {PlainPerceptron} from "./helpers/PlainPerceptron.sol";
import {PointsFixture} from "./helpers/PointsFixture.sol";
import {Wallet} from "./helpers/Wallet.sol";

/// @notice When a point is earned, how often one may try, badges that never move.
contract PointsTest is PointsFixture {
    function setUp() public {
        deployPoints(pointsRules());
    }

    function dataDigest(uint256 class, bytes calldata features) external pure returns (bytes32) {
        return ContributionDigests.contributionDigest(class, features);
    }

    // Rules

    function test_rules_are_as_given() public view {
        vm.assertEq(
            keccak256(abi.encode(points().rules())), keccak256(abi.encode(pointsRules()))
        );
    }

    function test_constructor_refuses_nonsense() public {
        Points.Rules memory rules = pointsRules();
        rules.refundWaitS = 0;
        _refuseRules(rules, "refundWaitS");
        rules = pointsRules();
        rules.dailyLimit = 0;
        _refuseRules(rules, "dailyLimit");
        rules = pointsRules();
        rules.badgeThresholds[0] = 0;
        _refuseRules(rules, "badgeThresholds");
        rules = pointsRules();
        rules.badgeThresholds[1] = rules.badgeThresholds[2];
        _refuseRules(rules, "badgeThresholds");
        rules.badgeThresholds = new uint32[](9);
        for (uint32 i = 0; i < 9; ++i) {
            rules.badgeThresholds[i] = i + 1;
        }
        _refuseRules(rules, "badgeThresholds");
        vm.expectRevert(abi.encodeWithSelector(IIncentive.InvalidRules.selector, "trainer"));
        new Points(address(0), pointsRules());
    }

    function testFuzz_thresholds_are_as_given(uint256 count, uint256 seed) public {
        Points.Rules memory rules = pointsRules();
        count = _bound(count, 0, 8);
        rules.badgeThresholds = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            // Within an eighth each, so that they ascend; the last can be the largest there is.
            rules.badgeThresholds[i] =
                uint32((i << 29) + _bound(seed >> i, 1, (1 << 29) - 1));
        }
        Points one = new Points(ALICE, rules);
        vm.assertEq(
            keccak256(abi.encode(one.badgeThresholds())),
            keccak256(abi.encode(rules.badgeThresholds))
        );
    }

    function test_the_trainers_functions_are_the_trainers() public {
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        bytes32 digest = this.dataDigest(1, sample(0));
        bytes memory expected = abi.encodeWithSelector(IIncentive.NotTrainer.selector, ALICE);
        address to = address(incentive);
        vm.warp(START + R);
        _refuseAt(
            to, ALICE, 0, abi.encodeCall(incentive.onContribute, (ALICE, digest, 1, 0, 1)), expected
        );
        _refuseAt(
            to, ALICE, 0, abi.encodeCall(incentive.onRefund, (one, digest, ALICE, 1)), expected
        );
        _refuseAt(
            to, ALICE, 0, abi.encodeCall(incentive.onReport, (one, digest, ALICE, 2)), expected
        );
        _refuseAt(to, ALICE, 0, abi.encodeCall(incentive.close, ()), expected);
        _refuseAt(to, ALICE, 0, abi.encodeCall(incentive.endRelease, ()), expected);
    }

    // Contributions

    function test_contributions_cost_nothing_and_take_no_money() public {
        vm.assertEq(incentive.priceWei(), 0);
        refuse(
            ALICE, 1, _contribution(0, 1), abi.encodeWithSelector(IIncentive.NoMoneyHere.selector, 1)
        );
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.assertEq(one.priceWei, 0);
        vm.assertEq(predicted(0), 1);
        vm.assertEq(address(incentive).balance, 0);
        _refuseAt(
            address(incentive), ALICE, 0, abi.encodeCall(incentive.withdraw, ()),
            abi.encodeWithSelector(IIncentive.NothingToWithdraw.selector, ALICE)
        );
    }

    function test_an_account_has_a_limit_a_day() public {
        vm.warp((START / 1 days + 1) * 1 days - 1); // a day's last second
        vm.assertEq(points().leftToday(ALICE), LIMIT);
        for (uint256 i = 0; i < LIMIT; ++i) {
            contribute(ALICE, i, 0); // what the model says counts too
            vm.assertEq(points().leftToday(ALICE), LIMIT - 1 - i);
        }
        refuse(ALICE, 0, _contribution(0, 1), _limitReached(ALICE, block.timestamp + 1));
        contribute(BOB, 0, 1); // each has its own
        vm.warp(block.timestamp + 1);
        vm.assertEq(points().leftToday(ALICE), LIMIT);
        contribute(ALICE, 0, 2);
        vm.assertEq(points().leftToday(ALICE), LIMIT - 1);
    }

    function test_a_batch_above_the_limit_is_refused_whole() public {
        (bytes[] memory features, uint256[] memory classes) =
            (new bytes[](LIMIT + 1), new uint256[](LIMIT + 1));
        for (uint256 i = 0; i < features.length; ++i) {
            (features[i], classes[i]) = (sample(i), 1);
        }
        refuse(
            ALICE, 0,
            abi.encodeCall(trainer.contributeMany, (features, classes, 0, 0, START)),
            _limitReached(ALICE, (START / 1 days + 1) * 1 days)
        );
    }

    // Points

    function test_a_point_for_what_the_model_learned_and_still_says() public {
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.warp(START + R);
        vm.expectEmit(address(incentive));
        emit IIncentive.Refunded(1, ALICE, 0, 1);
        vm.assertEq(refund(one, 0), 0);
        _expectPoints(ALICE, 1, 1);
        refuseRefund(ALICE, one, 0, abi.encodeWithSelector(IIncentive.NoClaim.selector, 1));
    }

    function test_repeating_what_the_model_says_leaves_nothing_to_ask_for() public {
        IIncentive.Contribution memory one = contribute(ALICE, 0, 0);
        (bytes32 digest,) = incentive.recordOf(1);
        vm.assertEq(digest, 0);
        vm.warp(START + R);
        refuseRefund(ALICE, one, 0, abi.encodeWithSelector(IIncentive.NoClaim.selector, 1));
    }

    function test_a_point_waits_for_its_first_second() public {
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.warp(START + R - 1);
        refuseRefund(
            ALICE, one, 0, abi.encodeWithSelector(IIncentive.TooEarly.selector, 1, START + R)
        );
        vm.warp(START + R);
        refund(one, 0);
    }

    function test_no_point_while_the_model_disagrees() public {
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        contribute(BOB, 0, 2);
        vm.warp(START + R);
        refuseRefund(
            ALICE, one, 0, abi.encodeWithSelector(IIncentive.WrongPrediction.selector, 1, 2, 1)
        );
        contribute(CAROL, 0, 1);
        refund(one, 0);
    }

    function test_a_point_is_the_contributors() public {
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.warp(START + R);
        refuseRefund(BOB, one, 0, abi.encodeWithSelector(IIncentive.NotAllowed.selector, 1, BOB));
        one.contributor = BOB;
        refuseRefund(BOB, one, 0, abi.encodeWithSelector(IIncentive.NoClaim.selector, 1));
        one.contributor = ALICE;
        refuseRefund(ALICE, one, 1, abi.encodeWithSelector(IIncentive.NoClaim.selector, 1));
        one.predicted = 2;
        refuseRefund(ALICE, one, 0, abi.encodeWithSelector(IIncentive.NoClaim.selector, 1));
    }

    function test_nothing_of_an_ended_release_brings_a_point() public {
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        vm.warp(START + R);
        PlainPerceptron(address(model)).replace();
        IIncentive.Contribution memory two = contribute(BOB, 1, 1);
        refuseRefund(ALICE, one, 0, abi.encodeWithSelector(IIncentive.ReleaseOver.selector, 1));
        vm.warp(START + 2 * R);
        refund(two, 1);
        _expectPoints(BOB, 1, 1);
        two = contribute(BOB, 2, 1);
        trainer.close();
        vm.warp(START + 3 * R);
        refuseRefund(BOB, two, 2, abi.encodeWithSelector(IIncentive.ReleaseOver.selector, 3));
    }

    function test_nothing_is_contributed_after_the_end() public {
        trainer.close();
        bytes32 digest = this.dataDigest(1, sample(0));
        _refuseAt(
            address(incentive), address(trainer), 0,
            abi.encodeCall(incentive.onContribute, (ALICE, digest, 1, 0, 0)),
            abi.encodeWithSelector(IIncentive.ReleaseClosed.selector)
        );
    }

    function test_nobody_reports() public {
        earn(BOB, 1);
        IIncentive.Contribution memory bad = contribute(ALICE, 0, 1);
        contribute(OWNER, 0, 2);
        address[4] memory all = [OWNER, ALICE, BOB, CAROL];
        vm.warp(block.timestamp + A);
        for (uint256 i = 0; i < all.length; ++i) {
            refuseReport(
                all[i], bad, 0,
                abi.encodeWithSelector(IIncentive.NotAllowed.selector, bad.id, all[i])
            );
        }
    }

    // Badges

    function test_badges_come_at_their_numbers_once_each() public {
        uint32[5] memory have = [uint32(1), 1, 2, 3, 3]; // after 1, 2, 3, 4, 5 points
        for (uint256 i = 0; i < have.length; ++i) {
            earn(ALICE, 1);
            vm.assertEq(points().balanceOf(ALICE), have[i]);
            vm.assertEq(points().hasBadge(ALICE, uint32(i + 1)), i != 1 && i != 4);
        }
        earn(BOB, 1);
        vm.assertEq(points().balanceOf(BOB), 1);
        vm.assertEq(points().ownerOf(points().badgeId(BOB, 1)), BOB);
        vm.assertEq(points().ownerOf(points().badgeId(ALICE, 4)), ALICE);
        vm.assertFalse(points().hasBadge(CAROL, 1));
    }

    function test_a_badge_is_announced_locked() public {
        IIncentive.Contribution memory one = contribute(ALICE, 0, 1);
        uint256 tokenId = (1 << 160) | uint160(ALICE);
        vm.warp(START + R);
        vm.expectEmit(address(incentive));
        emit IERC721.Transfer(address(0), ALICE, tokenId);
        vm.expectEmit(address(incentive));
        emit IERC5192.Locked(tokenId);
        refund(one, 0);
        vm.assertTrue(points().locked(tokenId));
        vm.expectRevert(
            abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, tokenId + 1)
        );
        points().locked(tokenId + 1);
    }

    function test_badges_never_move() public {
        earn(ALICE, 1);
        uint256 tokenId = points().badgeId(ALICE, 1);
        vm.prank(ALICE);
        points().approve(BOB, tokenId);
        vm.prank(ALICE);
        points().setApprovalForAll(CAROL, true);
        address[3] memory callers = [ALICE, BOB, CAROL];
        bytes memory expected = abi.encodeWithSelector(Badges.BadgeLocked.selector, tokenId);
        bytes[4] memory calls = [
            abi.encodeCall(IERC721.transferFrom, (ALICE, BOB, tokenId)),
            abi.encodeCall(IERC721.transferFrom, (ALICE, ALICE, tokenId)),
            abi.encodeWithSignature(
                "safeTransferFrom(address,address,uint256)", ALICE, BOB, tokenId
            ),
            abi.encodeWithSignature(
                "safeTransferFrom(address,address,uint256,bytes)", ALICE, BOB, tokenId, ""
            )
        ];
        for (uint256 i = 0; i < callers.length; ++i) {
            for (uint256 j = 0; j < calls.length; ++j) {
                _refuseAt(address(incentive), callers[i], 0, calls[j], expected);
                vm.assertEq(points().ownerOf(tokenId), ALICE);
                vm.assertEq(points().balanceOf(ALICE), 1);
                vm.assertEq(points().balanceOf(BOB), 0);
            }
        }
        _refuseAt( // nor are they burnt
            address(incentive), ALICE, 0,
            abi.encodeCall(IERC721.transferFrom, (ALICE, address(0), tokenId)),
            abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(0))
        );
        vm.assertEq(points().ownerOf(tokenId), ALICE);
    }

    function test_a_contract_that_knows_no_badges_gets_its_own() public {
        Wallet wallet = new Wallet(incentive);
        wallet.run(address(trainer), 0, _contribution(0, 1));
        IIncentive.Contribution memory one =
            IIncentive.Contribution(1, address(wallet), 1, 0, 0, START);
        vm.warp(START + R);
        wallet.run(address(trainer), 0, abi.encodeCall(trainer.refund, (one, sample(0))));
        vm.assertTrue(points().hasBadge(address(wallet), 1));
    }

    function test_badges_say_what_they_are_without_a_server() public {
        earn(ALICE, 3);
        string memory json = string.concat(
            '{"name":"3 points","description":"0x00000000000000000000000000000000000A11cE earned ',
            '3 points by contributions that the model agreed with. It cannot be sent on."}'
        );
        string memory expected =
            string.concat("data:application/json;base64,", Base64.encode(bytes(json)));
        uint256 tokenId = points().badgeId(ALICE, 3);
        vm.assertEq(bytes(points().tokenURI(tokenId)), bytes(expected));
        vm.expectRevert(
            abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, tokenId + 1)
        );
        points().tokenURI(tokenId + 1);
    }

    function test_interfaces() public view {
        vm.assertTrue(points().supportsInterface(0xb45a3c0e)); // EIP-5192
        vm.assertEq(
            uint256(uint32(type(IERC5192).interfaceId)), uint256(uint32(bytes4(0xb45a3c0e)))
        );
        vm.assertTrue(points().supportsInterface(type(IERC721).interfaceId));
        vm.assertTrue(points().supportsInterface(type(IERC165).interfaceId));
        vm.assertFalse(points().supportsInterface(0xffffffff));
    }

    function testFuzz_badge_ids_differ(address one, uint32 a, address other, uint32 b) public view {
        vm.assertEq(
            points().badgeId(one, a) == points().badgeId(other, b), one == other && a == b
        );
    }

    function _contribution(uint256 feature, uint256 class) private view returns (bytes memory) {
        return abi.encodeCall(
            trainer.contribute, (sample(feature), class, 0, 0, block.timestamp)
        );
    }

    function _limitReached(address account, uint256 earliest)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(
            Points.DailyLimitReached.selector, account, LIMIT, earliest
        );
    }

    function _expectPoints(address account, uint256 own, uint256 total) private view {
        (uint256 own_, uint256 total_) = incentive.points(account);
        vm.assertEq(own_, own);
        vm.assertEq(total_, total);
    }

    function _refuseRules(Points.Rules memory rules, string memory field) private {
        vm.expectRevert(abi.encodeWithSelector(IIncentive.InvalidRules.selector, field));
        new Points(ALICE, rules);
    }
}
