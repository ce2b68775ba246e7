// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SelfAssessment} from "../../src/incentives/SelfAssessment.sol";
import {IClassifier} from "../../src/interfaces/IClassifier.sol";
import {IIncentive} from "../../src/interfaces/IIncentive.sol";
import {PlainPerceptron} from "../helpers/PlainPerceptron.sol";
import {TrainerFixture} from "../helpers/TrainerFixture.sol";

/// @title Random walks of four accounts, one of them the owner, through a trainer.
/// @notice What went in and out is counted here, from balances and answers; what should be
/// allowed is decided here too, from the rules in docs/contracts.md.
contract TrainerHandler is TrainerFixture {
    uint256 public paidInWei;
    uint256 public withdrawnWei;
    /// @dev Refunds of contributions that the model had not predicted.
    uint256 public judged;
    uint256 public reports;
    bool public weightsChangedOnCorrectPrediction;
    bool public somebodyTookWhatIsNotForfeited;
    mapping(uint256 id => uint256) public paidWei;
    mapping(uint256 id => uint256) public refunds;
    mapping(uint256 id => bool) public settled;

    IIncentive.Contribution[] private _contributions;
    uint256[] private _features;
    uint256 private _endedId;

    constructor() {
        SelfAssessment.Rules memory rules = defaultRules();
        (rules.refundWaitS, rules.ownerWaitS, rules.anyoneWaitS) = (100, 200, 300);
        deploy(rules);
    }

    function theIncentive() external view returns (IIncentive) {
        return incentive;
    }

    function accounts() public pure returns (address[4] memory) {
        return [OWNER, ALICE, BOB, CAROL];
    }

    function contribution(uint256 id) external view returns (IIncentive.Contribution memory) {
        return _contributions[id - 1];
    }

    /// @dev Sends the price, a little more, or what the account does not hold.
    function contribute(uint256 from, uint256 feature, uint256 class, uint256 extra) external {
        if (incentive.isClosed()) return;
        (address account, uint256 price) = (accounts()[from % 4], incentive.priceWei());
        (feature, class) = (feature % 2, class % 3); // few, so that they meet
        uint256 owed = incentive.owedWei(account);
        uint256 valueWei = price + extra % 10;
        if (extra % 3 == 0) valueWei = owed >= price ? 0 : price - owed;
        uint256 before = predicted(feature);
        bytes32 weights = _weights();
        uint256 release = model.release();
        vm.prank(account);
        uint256 id = trainer.contribute{value: valueWei}(
            sample(feature), class, release, price, block.timestamp
        );
        vm.assertEq(id, _contributions.length + 1);
        paidInWei += valueWei;
        _contributions.push(
            IIncentive.Contribution(id, account, class, before, price, block.timestamp)
        );
        _features.push(feature);
        if (before == class && _weights() != weights) weightsChangedOnCorrectPrediction = true;
    }

    function tryRefund(uint256 from, uint256 choice) external {
        if (_contributions.length == 0) return;
        uint256 index = choice % _contributions.length;
        IIncentive.Contribution memory one = _contributions[index];
        address account = from % 4 == 0 ? accounts()[(from / 4) % 4] : one.contributor;
        bool agrees = predicted(_features[index]) == one.class;
        bool allowed = !settled[one.id] && account == one.contributor
            && (_isOver(one.id) || (agrees && block.timestamp >= one.time + 100));
        (, uint256 left) = incentive.recordOf(one.id);
        bool ok = _try(account, one, index, true);
        vm.assertEq(ok, allowed);
        if (!ok) return;
        settled[one.id] = true;
        ++refunds[one.id];
        paidWei[one.id] += left;
        if (!_isOver(one.id) && one.predicted != one.class) ++judged;
    }

    function tryReport(uint256 from, uint256 choice) external {
        if (_contributions.length == 0) return;
        uint256 index = choice % _contributions.length;
        IIncentive.Contribution memory one = _contributions[index];
        address account = accounts()[from % 4];
        bool agrees = predicted(_features[index]) == one.class;
        (, uint256 before) = incentive.recordOf(one.id);
        bool ok = _try(account, one, index, false);
        if (!ok) return;
        (, uint256 left) = incentive.recordOf(one.id);
        if (settled[one.id] || agrees || _isOver(one.id)) {
            somebodyTookWhatIsNotForfeited = true;
        }
        ++reports;
        paidWei[one.id] += before - left;
        settled[one.id] = left == 0;
    }

    function tryWithdraw(uint256 from) external {
        address account = accounts()[from % 4];
        uint256 owed = incentive.owedWei(account);
        uint256 before = account.balance;
        vm.prank(account);
        (bool ok,) = address(incentive).call(abi.encodeCall(IIncentive.withdraw, ()));
        vm.assertEq(ok, owed > 0);
        vm.assertEq(account.balance - before, owed);
        withdrawnWei += owed;
    }

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 150);
    }

    /// @dev Seldom: afterwards there is little to see.
    function close(uint256 choice) external {
        if (choice % 64 != 0 || incentive.isClosed() || _contributions.length < 20) return;
        vm.prank(trainer.owner());
        trainer.close();
    }

    /// @dev Seldom too.
    function replaceModel(uint256 choice) external {
        if (choice % 16 != 0) return;
        PlainPerceptron(address(model)).replace();
        _endedId = _contributions.length;
    }

    /// @dev Whether a contribution is of a release that has ended, or all have.
    function _isOver(uint256 id) private view returns (bool) {
        return incentive.isClosed() || id <= _endedId;
    }

    function _try(address from, IIncentive.Contribution memory one, uint256 index, bool isRefund)
        private
        returns (bool ok)
    {
        bytes memory features = sample(_features[index]);
        vm.prank(from);
        (ok,) = address(trainer).call(
            isRefund
                ? abi.encodeCall(trainer.refund, (one, features))
                : abi.encodeCall(trainer.report, (one, features))
        );
    }

    function _weights() private view returns (bytes32) {
        return keccak256(abi.encode(model.words(0, model.wordCount())));
    }
}
