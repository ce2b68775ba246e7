// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CollaborativeTrainer} from "../src/CollaborativeTrainer.sol";
import {SparsePerceptron} from "../src/classifiers/SparsePerceptron.sol";
import {Bounty} from "../src/incentives/Bounty.sol";
import {Points} from "../src/incentives/Points.sol";
import {SelfAssessment} from "../src/incentives/SelfAssessment.sol";
import {IBounty} from "../src/interfaces/IBounty.sol";
import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {PointsFixture} from "./helpers/PointsFixture.sol";
import {PlainToken} from "./helpers/Tokens.sol";

/// @notice Gas of whole transactions with points and bounties: a sparse Perceptron with 1000
/// features, none of its weights 0, 20 of them present; each contribution turns its answer.
/// forge-config: default.isolate = true
contract GasSnapshotOfPoints is PointsFixture {
    string private constant GROUP = "Points";
    bytes private _features;
    Bounty private bounty;

    function setUp() public {
        vm.warp(START);
        SparsePerceptron sparse = new SparsePerceptron(1000, 2, 2);
        uint256[] memory words = new uint256[](63);
        for (uint256 i = 0; i < 63; ++i) {
            words[i] = type(uint256).max / type(uint16).max; // each weight 1
        }
        words[62] >>= 16 * 7; // 1001 weights
        sparse.load(0, words);
        sparse.seal();
        for (uint256 i = 0; i < 20; ++i) {
            _features = bytes.concat(_features, bytes2(uint16(1 + 49 * i)));
        }
        model = sparse;
        // Isolated, each call counts as a transaction of this contract.
        uint256 nonce = vm.getNonce(address(this));
        incentive = new Points(_createAddress(nonce + 1), pointsRules());
        trainer = new CollaborativeTrainer(model, incentive);
        sparse.transferOwnership(address(trainer));
        vm.deal(OWNER, 1 ether);
    }

    function test_gas_of_points() public {
        IIncentive.Contribution memory one = _teach();
        _snap("contribute, the account's first");
        _claim(one);
        _snap("refund, the account's first, with a badge"); // 1 point
        one = _teach();
        _snap("contribute");
        _claim(one);
        _snap("refund"); // 2 points
        one = _teach();
        _claim(one);
        _snap("refund, with a badge"); // 3 points
        (uint256 class,) = model.predict(_features);
        vm.prank(ALICE);
        trainer.contribute(_features, class, 0, 0, block.timestamp);
        _snap("contribute, what the model says");
    }

    function test_gas_of_a_bounty_in_ether() public {
        _sponsor(address(0));
        vm.prank(ALICE);
        bounty.claim(ALICE);
        _snap("Bounty, claim, ether");
        vm.warp(uint256(bounty.until()) + 1);
        bounty.reclaim();
        _snap("Bounty, reclaim, ether");
    }

    function test_gas_of_a_bounty_in_tokens() public {
        PlainToken token = new PlainToken();
        token.mint(OWNER, 1 ether);
        _sponsor(address(token));
        vm.prank(ALICE);
        bounty.claim(ALICE);
        _snap("Bounty, claim, tokens, the account's first");
    }

    function test_code_sizes() public {
        _sponsor(address(0));
        vm.snapshotValue(GROUP, "Points, bytes of code", address(incentive).code.length);
        vm.snapshotValue(GROUP, "Bounty, bytes of code", address(bounty).code.length);
        vm.assertLe(address(incentive).code.length, 24_576); // EIP-170
    }

    function _sponsor(address asset) private {
        for (uint256 i = 0; i < 4; ++i) {
            _claim(_teach()); // beyond the last badge
        }
        bounty = new Bounty(
            address(incentive), IBounty.Terms(OWNER, asset, 1000, uint40(START + 100 days))
        );
        points().attachBounty(bounty);
        if (asset == address(0)) _snap("attachBounty");
        if (asset != address(0)) {
            vm.prank(OWNER);
            PlainToken(asset).approve(address(bounty), 10_000);
        }
        vm.prank(OWNER);
        bounty.fund{value: asset == address(0) ? 10_000 : 0}(10_000);
        _snap(string.concat("Bounty, first fund, ", asset == address(0) ? "ether" : "tokens"));
        _claim(_teach());
        if (asset == address(0)) _snap("refund, with a bounty, the account's first");
        _claim(_teach());
        if (asset == address(0)) _snap("refund, with a bounty");
    }

    function _teach() private returns (IIncentive.Contribution memory) {
        (uint256 before,) = model.predict(_features);
        vm.prank(ALICE);
        uint256 id = trainer.contribute(_features, 1 - before, 0, 0, block.timestamp);
        return IIncentive.Contribution(id, ALICE, 1 - before, before, 0, block.timestamp);
    }

    function _claim(IIncentive.Contribution memory one) private {
        vm.warp(block.timestamp + R);
        vm.prank(ALICE);
        trainer.refund(one, _features);
    }

    function _snap(string memory name) private {
        vm.snapshotGasLastCall(GROUP, name);
    }
}

/// @notice The least that a point costs whoever farms them: batches of the smallest samples, each
/// of a feature that nobody else sends, so that the model learns it and agrees. Both transactions,
/// for an account that has points already, by 32.
/// forge-config: default.isolate = true
contract GasSnapshotOfFarming is PointsFixture {
    uint256 private constant BATCH = 32;
    bytes[] private _features;
    uint256[] private _classes;
    uint256 private _time; // of the batch

    function test_gas_of_farming_points() public {
        Points.Rules memory rules = pointsRules();
        rules.dailyLimit = 64;
        _start();
        incentive = new Points(_createAddress(vm.getNonce(address(this)) + 1), rules);
        _farm("Points");
    }

    function test_gas_of_farming_points_with_deposits() public {
        SelfAssessment.Rules memory rules = defaultRules();
        _start();
        incentive = new SelfAssessment(_createAddress(vm.getNonce(address(this)) + 1), rules);
        _farm("SelfAssessment");
    }

    function _start() private {
        vm.warp(START);
        SparsePerceptron sparse = new SparsePerceptron(64, 2, 1);
        sparse.load(0, new uint256[](sparse.wordCount()));
        sparse.seal();
        model = sparse;
        for (uint256 i = 0; i < BATCH; ++i) {
            _features.push(bytes.concat(bytes2(uint16(i))));
            _classes.push(i % 2); // the bias goes up and down: each is what it does not say
        }
    }

    function _farm(string memory name) private {
        trainer = new CollaborativeTrainer(model, incentive);
        SparsePerceptron(address(model)).transferOwnership(address(trainer));
        vm.deal(ALICE, 100 ether);
        // The account's first, and the model's first: not what a point costs.
        vm.prank(ALICE);
        uint256 price = incentive.priceWei();
        bytes memory first = bytes.concat(bytes2(uint16(63)));
        vm.prank(ALICE);
        trainer.contribute{value: price}(first, 1, 0, price, block.timestamp);
        uint256 time = block.timestamp;
        vm.warp(time + R);
        vm.prank(ALICE);
        trainer.refund(IIncentive.Contribution(1, ALICE, 1, 0, price, time), first);
        _batch(name);
    }

    function _batch(string memory name) private {
        (uint256 before,) = incentive.points(ALICE);
        uint256 price = incentive.priceWei();
        uint256 next = _nextPrice(name);
        _time = block.timestamp;
        vm.prank(ALICE);
        trainer.contributeMany{value: price + (BATCH - 1) * next}(
            _features, _classes, 0, type(uint128).max, block.timestamp
        );
        uint256 gas_ = vm.lastCallGas().gasTotalUsed;
        bytes[] memory calls = new bytes[](BATCH);
        for (uint256 i = 0; i < BATCH; ++i) {
            calls[i] = abi.encodeCall(
                trainer.refund,
                (
                    IIncentive.Contribution(
                        2 + i, ALICE, i % 2, 1 - i % 2, i == 0 ? price : next, _time
                    ),
                    _features[i]
                )
            );
        }
        vm.warp(_time + R);
        vm.prank(ALICE);
        trainer.multicall(calls);
        gas_ += vm.lastCallGas().gasTotalUsed;
        (uint256 own,) = incentive.points(ALICE);
        vm.assertEq(own - before, BATCH);
        vm.snapshotValue("Points", string.concat("farming a point, ", name), gas_ / BATCH);
    }

    function _nextPrice(string memory name) private pure returns (uint256) {
        if (keccak256(bytes(name)) == keccak256("Points")) return 0;
        return 3600 * defaultRules().costWeight;
    }
}
