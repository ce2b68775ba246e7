// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CollaborativeTrainer} from "../src/CollaborativeTrainer.sol";
import {SparsePerceptron} from "../src/classifiers/SparsePerceptron.sol";
import {PredictionMarket} from "../src/incentives/PredictionMarket.sol";
import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {MarketFixture} from "./helpers/MarketFixture.sol";

/// @notice Gas of a market with a test set that no transaction could hold: 1000 samples of a
/// sparse Perceptron with 1000 features, 20 of them present, in 5 pieces.
/// forge-config: default.isolate = true
contract GasSnapshotOfMarket is MarketFixture {
    uint256 private constant TX_GAS = 2 ** 24; // EIP-7825
    string private constant GROUP = "PredictionMarket";
    uint256 private _seed = 1;

    function test_gas_of_a_market_with_1000_samples() public {
        bytes[] memory pieces_ = new bytes[](5);
        for (uint256 i = 0; i < 5; ++i) {
            for (uint256 j = 0; j < 200; ++j) {
                bytes memory features = _features();
                pieces_[i] = bytes.concat(pieces_[i], hex"01", bytes2(uint16(40)), features);
            }
        }
        _deployMarket(pieces_);
        vm.snapshotGasLastCall(GROUP, "hand the replica over");
        vm.roll(market.drawBlock() + 1);
        bytes memory header_ = header(randomnessFor(2));
        market.draw(header_);
        vm.snapshotGasLastCall(GROUP, "draw");
        market.matchModels(63);
        vm.snapshotGasLastCall(GROUP, "matchModels, 63 words");
        market.reveal(2, salt(2), pieces_[2]);
        _within(vm.snapshotGasLastCall(GROUP, "reveal, 200 samples of 20 features"));

        IIncentive.Contribution[] memory ones = new IIncentive.Contribution[](3);
        bytes[] memory data = new bytes[](3);
        for (uint256 i = 0; i < 3; ++i) {
            data[i] = _features();
            // The second has nothing to learn: the model says class 0.
            uint256 class = i == 1 ? 0 : 1;
            (uint256 before,) = model.predict(data[i]);
            vm.prank(ALICE);
            trainer.contribute{value: STAKE}(data[i], class, 0, STAKE, block.timestamp);
            if (i == 0) vm.snapshotGasLastCall(GROUP, "contribute, 20 features");
            ones[i] = IIncentive.Contribution(i + 1, ALICE, class, before, STAKE, block.timestamp);
        }
        vm.warp(CONTRIBUTE_UNTIL + 1);
        for (uint256 i = 0; i < 5; ++i) {
            if (i != 2) market.reveal(i, salt(i), pieces_[i]);
        }
        vm.assertEq(market.progress().samples, 1000);
        _evaluate(ones[0], data[0], 1);
        uint256 one = vm.snapshotGasLastCall(GROUP, "evaluate, the trial's first sample");
        _evaluate(ones[0], data[0], 500);
        uint256 many = vm.snapshotGasLastCall(GROUP, "evaluate, 500 samples");
        vm.snapshotValue(GROUP, "evaluate, a sample more", (many - one) / 499);
        _within(many);
        _evaluate(ones[0], data[0], 1000);
        _within(vm.snapshotGasLastCall(GROUP, "evaluate, the last 499 samples, and settle"));
        vm.assertEq(market.progress().evaluated, 1);
        (uint256 said,) = _replica.predict(data[1]);
        _evaluate(ones[1], data[1], said == 0 ? 1 : 1000);
        _evaluate(ones[2], data[2], 1000);
        vm.warp(EVALUATE_BY + 1);
        market.collect();
        vm.snapshotGasLastCall(GROUP, "collect");
    }

    function _within(uint256 gas_) private pure {
        vm.assertTrue(gas_ < TX_GAS, "more than a transaction may use");
    }

    function _evaluate(IIncentive.Contribution memory one, bytes memory features, uint256 most)
        private
    {
        IIncentive.Contribution[] memory ones = new IIncentive.Contribution[](1);
        bytes[] memory data = new bytes[](1);
        ones[0] = one;
        data[0] = features;
        market.evaluate(ones, data, most);
    }

    /// @dev 20 ascending indices below 1000.
    function _features() private returns (bytes memory features) {
        for (uint256 k = 0; k < 20; ++k) {
            _seed = uint256(keccak256(abi.encode(_seed)));
            features = bytes.concat(features, bytes2(uint16(50 * k + _seed % 50)));
        }
    }

    function _deployMarket(bytes[] memory pieces_) private {
        vm.warp(START);
        SparsePerceptron[2] memory both;
        for (uint256 i = 0; i < 2; ++i) {
            both[i] = new SparsePerceptron(1000, 2, 1);
            both[i].load(0, new uint256[](63));
            both[i].seal();
        }
        model = both[0];
        pieces = pieces_;
        vm.deal(address(this), BOUNTY);
        market = new PredictionMarket{value: BOUNTY}(
            _createAddress(vm.getNonce(address(this)) + 1), both[1], marketRules(),
            digestsOf(pieces_)
        );
        trainer = new CollaborativeTrainer(model, market);
        incentive = market;
        both[0].transferOwnership(address(trainer));
        vm.deal(ALICE, 1 ether);
        _replica = both[1];
        _replica.transferOwnership(address(market));
    }

    SparsePerceptron private _replica;
}
