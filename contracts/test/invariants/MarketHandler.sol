// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "../../src/interfaces/IIncentive.sol";
import {IPredictionMarket} from "../../src/interfaces/IPredictionMarket.sol";
import {MarketFixture} from "../helpers/MarketFixture.sol";

/// @title Random steps through a prediction market, honest ones and others.
contract MarketHandler is MarketFixture {
    uint256 public paidInWei;
    uint256 public withdrawnWei;
    uint256 public burntWei;
    uint256 public stakesCreditedWei;
    bool public somebodyLostMoreThanItsStake;
    bool public somebodyWasPaidTwice;
    bool public sponsorKeptAForfeitedBounty;

    IIncentive.Contribution[] private _ones;
    uint256[] private _features;
    mapping(uint256 id => bool) public settled;

    constructor() {
        deployMarket(marketRules(), defaultPieces());
        paidInWei = BOUNTY;
        open(0);
    }

    function accounts() public pure returns (address[4] memory) {
        return [SPONSOR, ALICE, BOB, CAROL];
    }

    function owedInAll() public view returns (uint256 sum) {
        for (uint256 i = 0; i < 4; ++i) {
            sum += market.owedWei(accounts()[i]);
        }
    }

    /// @dev Stakes that nothing has decided on yet.
    function openStakesWei() public view returns (uint256 sum) {
        for (uint256 i = 0; i < _ones.length; ++i) {
            (, uint256 left) = market.recordOf(_ones[i].id);
            sum += left;
        }
    }

    function theMarket() external view returns (IPredictionMarket) {
        return market;
    }

    function heldWei() external view returns (uint256) {
        return address(market).balance;
    }

    function count() external view returns (uint256) {
        return _ones.length;
    }

    function tryContribute(uint256 from, uint256 feature, uint256 class) external {
        address account = accounts()[from % 4];
        feature %= 4;
        class %= 3;
        if (market.phase() != IPredictionMarket.Phase.Open || _ones.length == 20) return;
        vm.deal(account, account.balance + STAKE);
        _ones.push(contribute(account, feature, class));
        _features.push(feature);
        paidInWei += STAKE;
    }

    function tryReveal(uint256 index) external {
        if (market.phase() != IPredictionMarket.Phase.Revealing) return;
        index = 1 + index % 2;
        if (market.pieceData(index).length == 0) reveal(index);
    }

    function tryEvaluate(uint256 samples) external {
        if (market.phase() != IPredictionMarket.Phase.Evaluating) return;
        uint256 next = market.progress().evaluated;
        IIncentive.Contribution memory one = _ones[next];
        uint256 before = market.owedWei(one.contributor);
        evaluateOne(one, _features[next], 1 + samples % 9);
        if (market.progress().evaluated > next) {
            uint256 credit = market.owedWei(one.contributor) - before;
            if (settled[one.id]) somebodyWasPaidTwice = true;
            settled[one.id] = true;
            stakesCreditedWei += credit;
        } else if (market.owedWei(one.contributor) != before) {
            somebodyWasPaidTwice = true;
        }
    }

    function tryRefund(uint256 choice, uint256 from) external {
        if (_ones.length == 0) return;
        uint256 i = choice % _ones.length;
        IIncentive.Contribution memory one = _ones[i];
        address account = from % 4 == 0 ? accounts()[(from / 4) % 4] : one.contributor;
        IPredictionMarket.Phase now_ = market.phase();
        bool over = now_ == IPredictionMarket.Phase.Finished
            || now_ == IPredictionMarket.Phase.Forfeited;
        bool allowed = over && account == one.contributor && !settled[one.id];
        uint256 before = market.owedWei(account);
        vm.prank(account);
        (bool ok,) =
            address(trainer).call(abi.encodeCall(trainer.refund, (one, sample(_features[i]))));
        vm.assertEq(ok, allowed);
        if (!ok) return;
        settled[one.id] = true;
        if (market.owedWei(account) - before < STAKE) somebodyLostMoreThanItsStake = true;
    }

    function tryCollect() external {
        uint256 sponsorBefore = market.owedWei(SPONSOR);
        uint256 burntBefore = address(0).balance;
        bool forfeited = market.phase() == IPredictionMarket.Phase.Forfeited;
        (bool ok,) = address(market).call(abi.encodeCall(market.collect, ()));
        if (!ok) return;
        burntWei += address(0).balance - burntBefore;
        if (forfeited && market.owedWei(SPONSOR) > sponsorBefore) {
            sponsorKeptAForfeitedBounty = true;
        }
    }

    function tryWithdraw(uint256 from) external {
        address account = accounts()[from % 4];
        uint256 owed = market.owedWei(account);
        uint256 before = account.balance;
        vm.prank(account);
        (bool ok,) = address(market).call(abi.encodeCall(market.withdraw, ()));
        vm.assertEq(ok, owed > 0);
        vm.assertEq(account.balance - before, owed);
        withdrawnWei += owed;
    }

    /// @dev Hours: in a walk of 64 steps, all phases are reached, and some deadlines missed.
    function wait(uint256 hours_) external {
        vm.warp(block.timestamp + (hours_ % 16) * 1 hours);
    }
}
