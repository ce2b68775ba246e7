// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IPredictionMarket} from "../../src/interfaces/IPredictionMarket.sol";
import {Test} from "../helpers/Vm.sol";
import {MarketHandler} from "./MarketHandler.sol";

/// @notice The sentences of docs/contracts.md about the prediction market, over random walks: long
/// enough that some come to the end, and the pot is collected (of 64 steps, none did).
/// forge-config: default.invariant.depth = 128
contract MarketInvariants is Test {
    uint256 private constant BOUNTY = 8_000_003;
    uint256 private constant STAKE = 1_500_000;
    MarketHandler private _handler;

    function setUp() public {
        _handler = new MarketHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_money_in_is_money_paid_destroyed_or_held() public view {
        vm.assertEq(
            _handler.paidInWei(),
            _handler.withdrawnWei() + _handler.burntWei() + _handler.heldWei()
        );
    }

    function invariant_what_is_held_covers_every_claim_and_open_stake() public view {
        vm.assertGe(_handler.heldWei(), _handler.owedInAll() + _handler.openStakesWei());
    }

    function invariant_nobody_is_paid_twice() public view {
        vm.assertFalse(_handler.somebodyWasPaidTwice());
    }

    function invariant_nobody_loses_more_than_its_stake() public view {
        vm.assertFalse(_handler.somebodyLostMoreThanItsStake());
    }

    function invariant_a_forfeited_bounty_is_never_the_sponsors() public view {
        vm.assertFalse(_handler.sponsorKeptAForfeitedBounty());
    }

    function invariant_rewards_are_the_change_of_the_loss_and_at_most_the_bounty() public view {
        IPredictionMarket market = _handler.theMarket();
        if (market.progress().samples < 8) return;
        uint256 evaluated = market.progress().evaluated;
        uint256 rest = BOUNTY * market.progress().errors / 8;
        // Dropped stakes stay in the pot: credits are at most stakes and the change.
        vm.assertLe(
            _handler.stakesCreditedWei() + rest, evaluated * STAKE + BOUNTY * 7 / 8
        );
    }
}
