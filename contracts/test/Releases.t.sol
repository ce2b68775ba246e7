// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BlsQuorum} from "../src/BlsQuorum.sol";
import {CollaborativeTrainer} from "../src/CollaborativeTrainer.sol";
import {Federation} from "../src/Federation.sol";
import {TeachableHead} from "../src/TeachableHead.sol";
import {SelfAssessment} from "../src/incentives/SelfAssessment.sol";
import {IHead} from "../src/interfaces/IHead.sol";
import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {ITrainer} from "../src/interfaces/ITrainer.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

/// @notice A federation whose head contributions teach: real parts, real signatures. Every second
/// round trains the encoder.
contract ReleasesTest is FederationFixture {
    address private constant ALICE = address(0xa11ce);
    TeachableHead private live;
    CollaborativeTrainer private trainer;
    SelfAssessment private incentive;

    function setUp() public {
        vm.warp(START);
        quorum = new BlsQuorum();
        live = new TeachableHead(16, 2, 255, 2);
        live.load(0, headWords(0));
        live.seal();
        uint64 nonce = vm.getNonce(address(this));
        incentive = new SelfAssessment(
            _created(nonce + 1),
            SelfAssessment.Rules({
                owner: address(this),
                costWeight: 1_000_003,
                refundWaitS: 1 days,
                ownerWaitS: 2 days,
                anyoneWaitS: 3 days
            })
        );
        trainer = new CollaborativeTrainer(live, incentive);
        federation = new Federation(
            defaultRules(), MODEL_0, quorum, IHead(address(live)), new address[](0)
        );
        quorum.transferOwnership(address(federation));
        live.transferOwnership(address(federation));
        live.setTeacher(address(trainer)); // the trainer may come after the federation
        inviteAndRegister(3);
        vm.deal(ALICE, 1 ether);
    }

    function test_a_round_that_trains_the_head_only_adds_to_what_was_taught() public {
        IIncentive.Contribution memory one = _contribute(0);
        uint256[] memory taught = live.words(0, 3);
        runRound(3, 7);
        vm.assertEq(live.release(), 0);
        vm.assertEq(live.words(), headWords(1));
        uint256[] memory zero = headWords(0);
        uint256[] memory next = headWords(1);
        for (uint256 at = 0; at < 256; at += 16) {
            int256 sum = _int16(taught[0], at) + _int16(next[0], at) - _int16(zero[0], at);
            if (sum > 32767) sum = 32767;
            if (sum < -32768) sum = -32768;
            vm.assertEq(_int16(live.words(0, 1)[0], at), sum);
        }
        // Not a release: the deposit is judged by what the model says now, after the wait.
        vm.expectRevert(
            abi.encodeWithSelector(IIncentive.TooEarly.selector, one.id, one.time + 1 days)
        );
        vm.prank(ALICE);
        trainer.refund(one, _sample());
    }

    function test_a_round_that_trains_the_encoder_returns_every_open_deposit() public {
        runRound(3, 7);
        IIncentive.Contribution memory one = _contribute(0);
        IIncentive.Contribution memory two = _contribute(0);
        vm.assertEq(one.priceWei > 0 && two.priceWei > 0, true);
        runRound(3, 7);
        vm.assertEq(live.release(), 1);
        vm.assertEq(live.words(0, 3), headWords(2));

        // Whoever looked before is refused, and pays nothing.
        vm.expectRevert(abi.encodeWithSelector(ITrainer.WrongRelease.selector, 0, 1));
        vm.prank(ALICE);
        trainer.contribute{value: 1 gwei}(_sample(), 1, 0, 1 gwei, block.timestamp);

        uint256 before = incentive.owedWei(ALICE);
        vm.prank(ALICE);
        vm.assertEq(trainer.refund(one, _sample()), one.priceWei);
        vm.prank(ALICE);
        vm.assertEq(trainer.refund(two, _sample()), two.priceWei);
        vm.assertEq(incentive.owedWei(ALICE), before + one.priceWei + two.priceWei);
        vm.assertEq(incentive.endedId(), two.id);
        _contribute(1);
    }

    function test_a_trainer_that_closes_ends_teaching_and_not_the_federation() public {
        _contribute(0);
        trainer.close();
        vm.assertEq(live.teacher(), address(0));
        vm.assertEq(live.owner(), address(federation));
        runRound(3, 7);
        vm.assertEq(live.words(), headWords(1));
    }

    /// @dev A sample with the label that the model does not say.
    function _contribute(uint256 release) private returns (IIncentive.Contribution memory) {
        (uint256 said,) = live.predict(_sample());
        uint256 price = incentive.priceWei();
        vm.prank(ALICE);
        uint256 id = trainer.contribute{value: price}(
            _sample(), 1 - said, release, price, block.timestamp
        );
        return IIncentive.Contribution(id, ALICE, 1 - said, said, price, block.timestamp);
    }

    function _sample() private pure returns (bytes memory features) {
        features = new bytes(16);
        for (uint256 i = 0; i < 16; ++i) {
            features[i] = bytes1(uint8(i * 17));
        }
    }

    function _int16(uint256 word, uint256 at) private pure returns (int256) {
        return int16(uint16(word >> at));
    }

    /// @dev What this contract creates with a nonce of one byte.
    function _created(uint64 nonce) private view returns (address) {
        return address(
            uint160(uint256(keccak256(abi.encodePacked(hex"d694", address(this), uint8(nonce)))))
        );
    }
}
