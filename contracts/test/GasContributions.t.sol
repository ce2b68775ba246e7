// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CollaborativeTrainer} from "../src/CollaborativeTrainer.sol";
import {Classifier} from "../src/classifiers/Classifier.sol";
import {DensePerceptron} from "../src/classifiers/DensePerceptron.sol";
import {NaiveBayes} from "../src/classifiers/NaiveBayes.sol";
import {NearestCentroid} from "../src/classifiers/NearestCentroid.sol";
import {SparseNearestCentroid} from "../src/classifiers/SparseNearestCentroid.sol";
import {SparsePerceptron} from "../src/classifiers/SparsePerceptron.sol";
import {SelfAssessment} from "../src/incentives/SelfAssessment.sol";
import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {TrainerFixture} from "./helpers/TrainerFixture.sol";

/// @notice Gas of whole transactions of contributions with deposits, two classes, a model for each
/// row of the first system's table. Every number of a model was loaded as other than 0; no byte of
/// the dense features is 0; the price is sent to the wei.
/// forge-config: default.isolate = true
contract GasSnapshotOfContributions is TrainerFixture {
    string private constant GROUP = "Contributions";
    uint256 private constant CREATE_GAS = 32_000; // and 2 a word of code: EIP-3860
    uint256 private constant CHUNK = 300; // words a transaction: below 2^24 gas
    Classifier private _classifier;
    string private _name;
    uint256 private _deployGas;
    uint256 private _contributeGas;

    function test_gas_of_dense_Perceptron_64() public {
        _create(type(DensePerceptron).creationCode, abi.encode(64, 2, 100));
        _run("dense Perceptron 64", _weights(8, 1), _dense(64, 0), _dense(64, 7));
    }

    function test_gas_of_dense_Perceptron_384() public {
        _create(type(DensePerceptron).creationCode, abi.encode(384, 2, 100));
        _run("dense Perceptron 384", _weights(48, 1), _dense(384, 0), _dense(384, 7));
    }

    function test_gas_of_sparse_Perceptron() public {
        _create(type(SparsePerceptron).creationCode, abi.encode(1000, 2, 100));
        uint256[] memory words = _weights(63, 0);
        words[62] >>= 16 * 7; // 1001 weights
        _run("sparse Perceptron 1000/20", words, _sparse(0), _sparse(1));
    }

    function test_gas_of_naive_Bayes() public {
        _create(type(NaiveBayes).creationCode, abi.encode(1000, 2, 256));
        _run("naive Bayes 1000/20", _counts(250), _sparse(0), _sparse(1));
    }

    function test_gas_of_dense_nearest_centroid() public {
        _create(type(NearestCentroid).creationCode, abi.encode(384, 2));
        _run("nearest centroid 384", _counts(96), _dense(384, 0), _dense(384, 7));
    }

    function test_gas_of_sparse_nearest_centroid() public {
        _create(type(SparseNearestCentroid).creationCode, abi.encode(1000, 2));
        _run("nearest centroid 1000/20", _counts(250), _sparse(0), _sparse(1));
    }

    /// @notice What a sample costs at worst: each feature in a word of its own, which was 0.
    function test_gas_of_a_sparse_model_that_was_all_zero() public {
        _create(type(SparsePerceptron).creationCode, abi.encode(1000, 2, 1));
        bytes memory features;
        for (uint256 i = 0; i < 20; ++i) {
            features = bytes.concat(features, bytes2(uint16(48 * i + 15)));
        }
        _name = "sparse Perceptron 1000/20, all zero";
        _load(new uint256[](63));
        _makeTrainer();
        _teach(ALICE, features, 1);
        _snap("contribute");
    }

    function _run(
        string memory name,
        uint256[] memory words,
        bytes memory first,
        bytes memory second
    ) private {
        _name = name;
        _load(words);
        vm.snapshotValue(GROUP, string.concat(name, ", deploy (create, load, seal)"), _deployGas);
        _makeTrainer();
        (bool ok,) = address(_classifier).call(abi.encodeCall(_classifier.predict, (first)));
        vm.assertTrue(ok);
        _snap("predict");

        IIncentive.Contribution memory one = _turn(ALICE, first);
        vm.snapshotValue(GROUP, string.concat(name, ", contribute"), _contributeGas);
        vm.warp(block.timestamp + R);
        vm.prank(ALICE);
        trainer.refund(one, first);
        _snap("refund, the account's first");
        one = _turn(CAROL, first);
        vm.warp(block.timestamp + R);
        vm.prank(CAROL);
        trainer.refund(one, first);
        one = _turn(ALICE, first);
        vm.warp(block.timestamp + R);
        vm.prank(ALICE);
        trainer.refund(one, first);
        _snap("refund");
        vm.assertEq(_points(ALICE) * 10 + _points(CAROL), 21);

        one = _turn(BOB, second);
        IIncentive.Contribution memory other = _turn(BOB, first);
        // Teaching one may turn the other.
        for (uint256 i = 0; i < 5; ++i) {
            _teachUntil(CAROL, second, 1 - one.class);
            _teachUntil(CAROL, first, 1 - other.class);
        }
        vm.warp(block.timestamp + R);
        _report(one, second);
        _snap("report, the account's first of 256 ids");
        _report(other, first);
        _snap("report");
        (, uint256 left) = incentive.recordOf(one.id);
        vm.assertTrue(left > 0 && left < one.priceWei);
        vm.warp(block.timestamp + A);
        _report(one, second);
        _snap("report, what is left");
    }

    function _report(IIncentive.Contribution memory one, bytes memory features) private {
        vm.prank(ALICE);
        trainer.report(one, features);
    }

    /// @dev Contributes the label that the model does not give, until it gives it.
    function _turn(address from, bytes memory features)
        private
        returns (IIncentive.Contribution memory last)
    {
        (uint256 before,) = _classifier.predict(features);
        return _teachUntil(from, features, 1 - before);
    }

    function _teachUntil(address from, bytes memory features, uint256 class)
        private
        returns (IIncentive.Contribution memory last)
    {
        for (uint256 i = 0; i < 20; ++i) {
            (uint256 predicted_,) = _classifier.predict(features);
            if (predicted_ == class) return last;
            vm.warp(block.timestamp + 1);
            last = _teach(from, features, class);
        }
        revert("the model does not learn this");
    }

    function _teach(address from, bytes memory features, uint256 class)
        private
        returns (IIncentive.Contribution memory one)
    {
        uint256 price = incentive.priceWei();
        (uint256 before,) = _classifier.predict(features);
        vm.assertTrue(before != class);
        vm.prank(from);
        uint256 id =
            trainer.contribute{value: price}(features, class, 0, price, block.timestamp);
        _contributeGas = vm.lastCallGas().gasTotalUsed;
        return IIncentive.Contribution(id, from, class, before, price, block.timestamp);
    }

    /// @dev As a transaction that creates, to within 200 gas: isolation charges this creation by a
    /// contract as one, and CREATE itself once more.
    function _create(bytes memory code, bytes memory arguments) private {
        bytes memory initcode = bytes.concat(code, arguments);
        address created;
        uint256 before = gasleft();
        assembly ("memory-safe") {
            created := create(0, add(initcode, 32), mload(initcode))
        }
        _deployGas = before - gasleft() - CREATE_GAS - 2 * ((initcode.length + 31) / 32);
        vm.assertTrue(created != address(0));
        _classifier = Classifier(created);
    }

    function _load(uint256[] memory words) private {
        for (uint256 from = 0; from < words.length; from += CHUNK) {
            uint256 size = words.length - from < CHUNK ? words.length - from : CHUNK;
            uint256[] memory chunk = new uint256[](size);
            for (uint256 i = 0; i < size; ++i) {
                chunk[i] = words[from + i];
            }
            _classifier.load(from, chunk);
            uint256 used = vm.lastCallGas().gasTotalUsed;
            vm.assertLe(used, 2 ** 24);
            _deployGas += used;
        }
        _classifier.seal();
        _deployGas += vm.lastCallGas().gasTotalUsed;
    }

    function _makeTrainer() private {
        vm.warp(START);
        model = _classifier;
        uint256 nonce = vm.getNonce(address(this));
        incentive = new SelfAssessment(_createAddress(nonce + 1), defaultRules());
        trainer = new CollaborativeTrainer(model, incentive);
        _classifier.transferOwnership(address(trainer));
        address[3] memory rich = [ALICE, BOB, CAROL];
        for (uint256 i = 0; i < rich.length; ++i) {
            vm.deal(rich[i], 1000 ether);
        }
        vm.warp(START + 1000);
    }

    function _points(address account) private view returns (uint256 own) {
        (own,) = incentive.points(account);
    }

    /// @dev Words of weights from -128 to 127, none of them 0, and a word of two biases.
    function _weights(uint256 count, uint256 biasWords)
        private
        pure
        returns (uint256[] memory words)
    {
        words = new uint256[](count + biasWords);
        for (uint256 i = 0; i < count; ++i) {
            for (uint256 lane = 0; lane < 16; ++lane) {
                int16 weight = int8(uint8(uint256(keccak256(abi.encode(i, lane)))) | 1);
                words[i] |= uint256(uint16(weight)) << (16 * lane);
            }
        }
        if (biasWords > 0) words[count] = 0x0000000100000001;
    }

    /// @dev A word of two numbers of examples, 4; then words of counts from 1 to 4.
    function _counts(uint256 count) private pure returns (uint256[] memory words) {
        words = new uint256[](count + 1);
        words[0] = 0x0000000400000004;
        for (uint256 i = 1; i <= count; ++i) {
            for (uint256 lane = 0; lane < 8; ++lane) {
                words[i] |= (1 + uint256(keccak256(abi.encode(i, lane))) % 4) << (32 * lane);
            }
        }
    }

    function _dense(uint256 count, uint256 shift) private pure returns (bytes memory features) {
        features = new bytes(count);
        for (uint256 j = 0; j < count; ++j) {
            features[j] = bytes1(uint8(1 + (j * (3 + shift)) % 255));
        }
    }

    /// @dev Twenty of 1000 features, at random: each is in its own fifty.
    function _sparse(uint256 seed) private pure returns (bytes memory features) {
        for (uint256 i = 0; i < 20; ++i) {
            uint256 index = 50 * i + uint256(keccak256(abi.encode(seed, i))) % 50;
            features = bytes.concat(features, bytes2(uint16(index)));
        }
    }

    function _snap(string memory step) private {
        vm.snapshotGasLastCall(GROUP, string.concat(_name, ", ", step));
    }
}
