// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CollaborativeTrainer} from "../../src/CollaborativeTrainer.sol";
import {SelfAssessment} from "../../src/incentives/SelfAssessment.sol";
import {IClassifier} from "../../src/interfaces/IClassifier.sol";
import {IIncentive} from "../../src/interfaces/IIncentive.sol";
import {PlainPerceptron} from "./PlainPerceptron.sol";
import {Test} from "./Vm.sol";

/// @title A trainer with a small real model, and the steps that tests take with it.
/// @notice Four features, three classes. A sample is the one-hot vector of a feature: the model
/// says class 0 to each, until it is taught otherwise, and teaching one changes no other.
abstract contract TrainerFixture is Test {
    uint256 internal constant START = 1_700_000_000;
    uint256 internal constant WEIGHT = 1_000_003; // wei: shares leave remainders
    uint32 internal constant R = 1 days;
    uint32 internal constant O = 2 days;
    uint32 internal constant A = 3 days;
    address internal constant OWNER = address(0x0111);
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);
    address internal constant CAROL = address(0xca401);

    IClassifier internal model;
    IIncentive internal incentive;
    CollaborativeTrainer internal trainer;

    /// @dev The address of this contract's next creation, if its nonce is `nonce` (1 to 127).
    function _createAddress(uint256 nonce) internal view returns (address) {
        return address(
            uint160(
                uint256(keccak256(abi.encodePacked(hex"d694", address(this), uint8(nonce))))
            )
        );
    }

    function defaultRules() internal pure returns (SelfAssessment.Rules memory) {
        return SelfAssessment.Rules({
            owner: OWNER,
            costWeight: WEIGHT,
            refundWaitS: R,
            ownerWaitS: O,
            anyoneWaitS: A
        });
    }

    /// @dev The first thing that a test contract creates: nonces 1, 2 and 3.
    function deploy(SelfAssessment.Rules memory rules) internal {
        vm.warp(START);
        model = new PlainPerceptron(4, 3);
        incentive = new SelfAssessment(_createAddress(3), rules);
        _deployTrainer();
    }

    function _deployTrainer() internal {
        trainer = new CollaborativeTrainer(model, incentive);
        PlainPerceptron(address(model)).transferOwnership(address(trainer));
        address[4] memory rich = [OWNER, ALICE, BOB, CAROL];
        for (uint256 i = 0; i < rich.length; ++i) {
            vm.deal(rich[i], 1000 ether);
        }
    }

    /// @dev Sample `feature` of four.
    function sample(uint256 feature) internal pure returns (bytes memory features) {
        features = new bytes(4);
        features[feature] = 0x01;
    }

    function predicted(uint256 feature) internal view returns (uint256 class) {
        (class,) = model.predict(sample(feature));
    }

    /// @dev Contributes at the price, exactly; returns what the event says.
    function contribute(address from, uint256 feature, uint256 class)
        internal
        returns (IIncentive.Contribution memory contribution)
    {
        uint256 price = incentive.priceWei();
        (uint256 before, uint256 release) = (predicted(feature), model.release());
        vm.prank(from);
        uint256 id = trainer.contribute{value: price}(
            sample(feature), class, release, price, block.timestamp
        );
        return IIncentive.Contribution(id, from, class, before, price, block.timestamp);
    }

    function refund(IIncentive.Contribution memory one, uint256 feature)
        internal
        returns (uint256)
    {
        vm.prank(one.contributor);
        return trainer.refund(one, sample(feature));
    }

    function report(address from, IIncentive.Contribution memory one, uint256 feature)
        internal
        returns (uint256)
    {
        vm.prank(from);
        return trainer.report(one, sample(feature));
    }

    /// @dev Gives an account points: contributions of which the model can learn, refunded. Uses
    /// feature 3, on which the model changes its mind each time.
    function earn(address account, uint256 points) internal {
        for (uint256 i = 0; i < points; ++i) {
            IIncentive.Contribution memory one =
                contribute(account, 3, predicted(3) == 1 ? 2 : 1);
            vm.warp(block.timestamp + R);
            refund(one, 3);
        }
    }

    /// @dev Everything that a call may change: of these accounts, records and the model.
    function state(uint256 ids) internal view returns (bytes32) {
        address[4] memory accounts = [OWNER, ALICE, BOB, CAROL];
        bytes memory all = abi.encode(
            incentive.lastId(), incentive.isClosed(), incentive.priceWei(), address(incentive).balance,
            model.words(0, model.wordCount())
        );
        for (uint256 i = 0; i < accounts.length; ++i) {
            (uint256 own, uint256 total) = incentive.points(accounts[i]);
            all = abi.encode(all, incentive.owedWei(accounts[i]), own, total, accounts[i].balance);
        }
        for (uint256 id = 0; id <= ids; ++id) {
            (bytes32 digest, uint256 left) = incentive.recordOf(id);
            all = abi.encode(all, digest, left);
        }
        return keccak256(all);
    }

    /// @dev Calls the trainer from an account, expects this revert, and that nothing changed.
    function refuse(address from, uint256 valueWei, bytes memory call_, bytes memory expected)
        internal
    {
        _refuseAt(address(trainer), from, valueWei, call_, expected);
    }

    function _refuseAt(
        address target,
        address from,
        uint256 valueWei,
        bytes memory call_,
        bytes memory expected
    ) internal {
        uint256 ids = incentive.lastId() + 1;
        bytes32 before = state(ids);
        vm.prank(from);
        (bool ok, bytes memory answer) = target.call{value: valueWei}(call_);
        vm.assertFalse(ok, "was not refused");
        vm.assertEq(answer, expected);
        vm.assertEq(state(ids), before, "a refused call changed something");
    }

    function refuseRefund(
        address from,
        IIncentive.Contribution memory one,
        uint256 feature,
        bytes memory expected
    ) internal {
        refuse(from, 0, abi.encodeCall(trainer.refund, (one, sample(feature))), expected);
    }

    function refuseReport(
        address from,
        IIncentive.Contribution memory one,
        uint256 feature,
        bytes memory expected
    ) internal {
        refuse(from, 0, abi.encodeCall(trainer.report, (one, sample(feature))), expected);
    }
}
