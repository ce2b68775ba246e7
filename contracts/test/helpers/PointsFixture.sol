// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Points} from "../../src/incentives/Points.sol";
import {PlainPerceptron} from "./PlainPerceptron.sol";
import {TrainerFixture} from "./TrainerFixture.sol";

/// @title A trainer whose contributions bring points and badges.
abstract contract PointsFixture is TrainerFixture {
    uint32 internal constant LIMIT = 3;

    /// @dev Badges for 1, 3 and 4 points.
    function pointsRules() internal pure returns (Points.Rules memory rules) {
        rules = Points.Rules(R, LIMIT, new uint32[](3));
        (rules.badgeThresholds[0], rules.badgeThresholds[1], rules.badgeThresholds[2]) = (1, 3, 4);
    }

    /// @dev The first thing that a test contract creates: nonces 1, 2 and 3.
    function deployPoints(Points.Rules memory rules) internal {
        vm.warp(START);
        model = new PlainPerceptron(4, 3);
        incentive = new Points(_createAddress(3), rules);
        _deployTrainer();
    }

    function points() internal view returns (Points) {
        return Points(address(incentive));
    }
}
