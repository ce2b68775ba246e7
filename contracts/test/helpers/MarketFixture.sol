// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Headers} from "./Headers.sol";
import {CollaborativeTrainer} from "../../src/CollaborativeTrainer.sol";
import {PredictionMarket} from "../../src/incentives/PredictionMarket.sol";
import {IIncentive} from "../../src/interfaces/IIncentive.sol";
import {IPredictionMarket} from "../../src/interfaces/IPredictionMarket.sol";
import {PieceDigests} from "../../src/lib/PieceDigests.sol";
import {PlainPerceptron} from "./PlainPerceptron.sol";
import {TrainerFixture} from "./TrainerFixture.sol";

/// @title A prediction market with a small real model, and the steps that tests take with it.
/// @notice Test set, three pieces of features and true classes: (1:1, 2:2), (0:0, 3:1, 1:1),
/// (2:2, 3:1, 3:1). The model says 0 to everything: 7 errors of 8. Teaching feature 1 its class
/// takes off 2, feature 2 takes off 2, feature 3 takes off 3.
abstract contract MarketFixture is TrainerFixture {
    uint256 internal constant BOUNTY = 8_000_003; // wei: shares leave remainders
    uint256 internal constant STAKE = 1_500_000; // pays for one error, not for two
    uint32 internal constant DELAY = 100;
    uint64 internal constant SHOW_BY = uint64(START) + 1 days;
    uint64 internal constant CONTRIBUTE_UNTIL = uint64(START) + 2 days;
    uint64 internal constant REVEAL_BY = uint64(START) + 3 days;
    uint64 internal constant EVALUATE_BY = uint64(START) + 4 days;
    address internal constant SPONSOR = address(0x5405);

    PredictionMarket internal market;
    PlainPerceptron internal replica;
    bytes[] internal pieces;

    function marketRules() internal pure returns (IPredictionMarket.Rules memory) {
        return IPredictionMarket.Rules({
            sponsor: SPONSOR,
            stakeWei: STAKE,
            maxContributions: 20,
            drawDelayBlocks: DELAY,
            showBy: SHOW_BY,
            contributeUntil: CONTRIBUTE_UNTIL,
            revealBy: REVEAL_BY,
            evaluateBy: EVALUATE_BY
        });
    }

    function testSample(uint256 feature, uint256 class) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(class), uint16(4), sample(feature));
    }

    function defaultPieces() internal pure returns (bytes[] memory pieces_) {
        pieces_ = new bytes[](3);
        pieces_[0] = bytes.concat(testSample(1, 1), testSample(2, 2));
        pieces_[1] = bytes.concat(testSample(0, 0), testSample(3, 1), testSample(1, 1));
        pieces_[2] = bytes.concat(testSample(2, 2), testSample(3, 1), testSample(3, 1));
    }

    function salt(uint256 index) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", index));
    }

    function digestsOf(bytes[] memory pieces_) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](pieces_.length);
        for (uint256 i = 0; i < pieces_.length; ++i) {
            digests[i] = PieceDigests.pieceDigest(i, salt(i), pieces_[i]);
        }
    }

    function deployMarket(IPredictionMarket.Rules memory rules, bytes[] memory pieces_) internal {
        deployMarket(rules, pieces_, BOUNTY);
    }

    function deployMarket(
        IPredictionMarket.Rules memory rules,
        bytes[] memory pieces_,
        uint256 bountyWei
    ) internal {
        vm.warp(START);
        model = new PlainPerceptron(4, 3);
        replica = new PlainPerceptron(4, 3);
        pieces = pieces_;
        address trainer_ = _createAddress(vm.getNonce(address(this)) + 1);
        vm.deal(address(this), bountyWei);
        market = new PredictionMarket{value: bountyWei}(
            trainer_, replica, rules, digestsOf(pieces_)
        );
        incentive = market;
        _deployTrainer();
        replica.transferOwnership(address(market));
    }

    /// @dev The header of the draw's block with this randomness, known to the chain.
    function header(bytes32 prevRandao) internal returns (bytes memory header_) {
        header_ = _header(market.drawBlock(), prevRandao);
        vm.setBlockhash(market.drawBlock(), keccak256(header_));
    }

    function _header(uint256 number, bytes32 prevRandao) internal pure returns (bytes memory) {
        return Headers.header(number, prevRandao);
    }

    /// @dev A randomness that picks a piece.
    function randomnessFor(uint256 index) internal view returns (bytes32 prevRandao) {
        uint256 i = 0;
        do {
            prevRandao = keccak256(abi.encode(i++));
        } while (PieceDigests.drawnPiece(address(market), prevRandao, pieces.length) != index);
    }

    function drawPiece(uint256 index) internal {
        vm.roll(market.drawBlock() + 1);
        market.draw(header(randomnessFor(index)));
    }

    function matchAll() internal {
        market.matchModels(replica.wordCount());
    }

    function reveal(uint256 index) internal {
        market.reveal(index, salt(index), pieces[index]);
    }

    /// @dev Contributions are open; piece `index` is shown.
    function open(uint256 index) internal {
        drawPiece(index);
        matchAll();
        reveal(index);
    }

    function revealOthers(uint256 shown) internal {
        vm.warp(CONTRIBUTE_UNTIL + 1);
        for (uint256 i = 0; i < pieces.length; ++i) {
            if (i != shown) reveal(i);
        }
    }

    function evaluateOne(IIncentive.Contribution memory one, uint256 feature, uint256 maxSamples)
        internal
    {
        (bool ok, bytes memory answer) =
            address(market).call(evaluation(one, feature, maxSamples));
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }

    function evaluation(IIncentive.Contribution memory one, uint256 feature, uint256 maxSamples)
        internal
        view
        returns (bytes memory)
    {
        IIncentive.Contribution[] memory ones = new IIncentive.Contribution[](1);
        bytes[] memory features = new bytes[](1);
        ones[0] = one;
        features[0] = sample(feature);
        return abi.encodeCall(market.evaluate, (ones, features, maxSamples));
    }

    /// @dev V(errors) of 8 samples.
    function lossWei(uint256 errors) internal pure returns (uint256) {
        return BOUNTY * errors / 8;
    }

    function refuseMarket(bytes memory call_, bytes memory expected) internal {
        refuseMarketAs(ALICE, call_, expected);
    }

    function refuseMarketAs(address from, bytes memory call_, bytes memory expected) internal {
        bytes32 before = marketState();
        _refuseAt(address(market), from, 0, call_, expected);
        vm.assertEq(marketState(), before, "a refused call changed the market");
    }

    function marketState() internal view returns (bytes32) {
        (bool isDrawn, uint256 index) = market.drawn();
        return keccak256(
            abi.encode(
                market.progress(), isDrawn, index, market.matchedWords(),
                replica.words(0, replica.wordCount()), replica.owner(),
                market.owedWei(SPONSOR), uint256(market.phase()), market.isClosed()
            )
        );
    }
}
