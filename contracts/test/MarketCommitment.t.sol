// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {PredictionMarket} from "../src/incentives/PredictionMarket.sol";
import {IClassifier} from "../src/interfaces/IClassifier.sol";
import {IIncentive} from "../src/interfaces/IIncentive.sol";
import {IPredictionMarket} from "../src/interfaces/IPredictionMarket.sol";
import {PieceDigests} from "../src/lib/PieceDigests.sol";
import {MarketFixture} from "./helpers/MarketFixture.sol";
import {PlainPerceptron} from "./helpers/PlainPerceptron.sol";

/// @notice What the sponsor is bound to: rules, draw, models, pieces.
contract MarketCommitmentTest is MarketFixture {
    address private constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;

    function setUp() public {
        deployMarket(marketRules(), defaultPieces());
    }

    function wrongPhase(IPredictionMarket.Phase phase) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPredictionMarket.WrongPhase.selector, phase);
    }

    function test_it_says_what_was_committed() public {
        vm.assertEq(keccak256(abi.encode(market.rules())), keccak256(abi.encode(marketRules())));
        vm.assertEq(market.bountyWei(), BOUNTY);
        vm.assertEq(market.replica(), address(replica));
        vm.assertEq(market.drawBlock(), block.number + DELAY);
        vm.assertEq(market.pieceCount(), 3);
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(market.pieceDigest(i), digestsOf(pieces)[i]);
            vm.assertEq(market.pieceData(i).length, 0);
        }
        vm.assertEq(market.priceWei(), STAKE);
        vm.assertEq(uint256(market.phase()), uint256(IPredictionMarket.Phase.Committed));
        vm.expectRevert(abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, 3));
        market.pieceDigest(3);
    }

    function test_constructor_refuses_nonsense() public {
        IPredictionMarket.Rules memory rules = marketRules();
        rules.sponsor = address(0);
        refuseRules(rules, 1, 3, "sponsor");
        rules = marketRules();
        refuseRules(rules, 0, 3, "bounty");
        refuseRules(rules, uint256(type(uint88).max) + 1, 3, "bounty");
        refuseRules(rules, 1, 1, "pieces");
        refuseRules(rules, 1, 257, "pieces");
        rules.stakeWei = 0;
        refuseRules(rules, 1, 3, "stakeWei");
        rules.stakeWei = uint256(type(uint88).max) + 1;
        refuseRules(rules, 1, 3, "stakeWei");
        rules = marketRules();
        rules.maxContributions = 0;
        refuseRules(rules, 1, 3, "maxContributions");
        rules = marketRules();
        rules.drawDelayBlocks = 0;
        refuseRules(rules, 1, 3, "drawDelayBlocks");
        rules.drawDelayBlocks = 8192;
        refuseRules(rules, 1, 3, "drawDelayBlocks");
        rules = marketRules();
        rules.showBy = uint64(START);
        refuseRules(rules, 1, 3, "showBy");
        rules = marketRules();
        rules.contributeUntil = SHOW_BY;
        refuseRules(rules, 1, 3, "contributeUntil");
        rules = marketRules();
        rules.revealBy = CONTRIBUTE_UNTIL;
        refuseRules(rules, 1, 3, "revealBy");
        rules = marketRules();
        rules.evaluateBy = REVEAL_BY;
        refuseRules(rules, 1, 3, "evaluateBy");
    }

    function refuseRules(
        IPredictionMarket.Rules memory rules,
        uint256 bounty,
        uint256 count,
        string memory field
    ) private {
        vm.deal(address(this), bounty);
        vm.expectRevert(abi.encodeWithSelector(IIncentive.InvalidRules.selector, field));
        new PredictionMarket{value: bounty}(ALICE, replica, rules, new bytes32[](count));
    }

    function test_constructor_takes_the_bounds() public {
        IPredictionMarket.Rules memory rules = marketRules();
        rules.stakeWei = type(uint88).max;
        rules.drawDelayBlocks = 8191;
        rules.showBy = uint64(START) + 1;
        rules.contributeUntil = uint64(START) + 2;
        rules.revealBy = uint64(START) + 3;
        rules.evaluateBy = uint64(START) + 4;
        vm.deal(address(this), type(uint88).max);
        new PredictionMarket{value: type(uint88).max}(ALICE, replica, rules, new bytes32[](256));
    }

    // The draw

    function test_the_randomness_of_the_fixed_block_draws() public {
        for (uint256 index = 0; index < 3; ++index) {
            deployMarket(marketRules(), defaultPieces());
            bytes32 prevRandao = randomnessFor(index);
            vm.roll(market.drawBlock() + 1);
            bytes memory header_ = header(prevRandao);
            vm.expectEmit(address(market));
            emit IPredictionMarket.PieceDrawn(index, prevRandao);
            vm.prank(BOB);
            market.draw(header_);
            (bool isDrawn, uint256 which) = market.drawn();
            vm.assertTrue(isDrawn);
            vm.assertEq(which, index);
            refuseMarket(
                abi.encodeCall(market.draw, (header_)), wrongPhase(IPredictionMarket.Phase.Drawn)
            );
        }
    }

    function test_the_sponsor_cannot_draw_early_or_from_another_block() public {
        bytes memory liked = _header(market.drawBlock(), randomnessFor(2));
        vm.roll(market.drawBlock());
        refuseMarketAs(
            SPONSOR, abi.encodeCall(market.draw, (liked)),
            abi.encodeWithSelector(IPredictionMarket.DrawTooEarly.selector, market.drawBlock())
        );
        vm.roll(market.drawBlock() + 2);
        header(randomnessFor(0));
        bytes memory next = _header(market.drawBlock() + 1, randomnessFor(2));
        vm.setBlockhash(market.drawBlock() + 1, keccak256(next));
        bytes memory expected =
            abi.encodeWithSelector(IPredictionMarket.WrongHeader.selector, market.drawBlock());
        refuseMarketAs(SPONSOR, abi.encodeCall(market.draw, (liked)), expected);
        refuseMarketAs(SPONSOR, abi.encodeCall(market.draw, (next)), expected);
    }

    function test_the_sponsor_cannot_wait_for_another_draw() public {
        vm.roll(market.drawBlock() + 8192);
        bytes memory header_ = _header(market.drawBlock(), randomnessFor(0));
        refuseMarketAs(
            SPONSOR, abi.encodeCall(market.draw, (header_)),
            abi.encodeWithSelector(IPredictionMarket.DrawLapsed.selector, market.drawBlock())
        );
        vm.warp(SHOW_BY + 1);
        vm.assertEq(uint256(market.phase()), uint256(IPredictionMarket.Phase.Forfeited));
        uint256 burntBefore = address(0).balance;
        vm.expectEmit(address(market));
        emit IPredictionMarket.Collected(SPONSOR, 0, BOUNTY);
        market.collect();
        vm.assertEq(market.owedWei(SPONSOR), 0);
        vm.assertEq(address(0).balance - burntBefore, BOUNTY);
    }

    function test_an_older_block_is_read_from_the_history_contract() public {
        // EIP-2935, in small: it answers the hash that it holds for any block.
        bytes memory header_ = _header(market.drawBlock(), randomnessFor(1));
        vm.etch(HISTORY, abi.encodePacked(hex"7f", keccak256(header_), hex"5f5260205ff3"));
        vm.roll(market.drawBlock() + 8191);
        market.draw(header_);
        (, uint256 index) = market.drawn();
        vm.assertEq(index, 1);
    }

    function testFuzz_every_piece_can_be_drawn_and_no_other(address who, bytes32 prevRandao, uint256 pieces_)
        public
        pure
    {
        pieces_ = _bound(pieces_, 2, 256);
        uint256 index = PieceDigests.drawnPiece(who, prevRandao, pieces_);
        vm.assertTrue(index < pieces_);
        bytes32 all = keccak256(abi.encode(keccak256("ddcai.v1.draw"), who, prevRandao));
        vm.assertEq(index, uint256(all) % pieces_);
    }

    // The models

    function test_matchModels_in_chunks() public {
        vm.expectEmit(address(market));
        emit IPredictionMarket.ModelsMatched(5);
        market.matchModels(5);
        market.matchModels(7);
        vm.assertEq(market.matchedWords(), 12);
        // The model's own refusal to read beyond its end.
        refuseMarket(
            abi.encodeCall(market.matchModels, (1)),
            abi.encodeWithSignature("Panic(uint256)", 0x32)
        );
    }

    function test_contributions_never_open_with_another_model() public {
        // The sponsor teaches the trainer's model something before it hands it over.
        model = new PlainPerceptron(4, 3);
        model.update(sample(1), 1);
        replica = new PlainPerceptron(4, 3);
        _replace(model, replica);
        refuseMatch(replica.wordCount());
        // Words before the difference are the same; without all of them nothing is shown.
        drawPiece(0);
        market.matchModels(1);
        refuseMarket(
            abi.encodeCall(market.reveal, (0, salt(0), pieces[0])),
            abi.encodeWithSelector(IPredictionMarket.NotMatched.selector, 1, 12)
        );
    }

    function test_matchModels_refuses_other_code_and_other_owners() public {
        replica = new PlainPerceptron(3, 4);
        _replace(new PlainPerceptron(4, 3), replica);
        refuseMatch(1);
        replica = new PlainPerceptron(4, 3);
        _deploy(new PlainPerceptron(4, 3), replica);
        refuseMatch(1); // the replica is still this contract's
        replica.transferOwnership(address(market));
        matchAll();
        PlainPerceptron mine = new PlainPerceptron(4, 3);
        replica = new PlainPerceptron(4, 3);
        _replace(mine, replica);
        vm.prank(address(trainer));
        mine.transferOwnership(SPONSOR);
        refuseMatch(1);
    }

    function refuseMatch(uint256 count) private {
        refuseMarket(
            abi.encodeCall(market.matchModels, (count)),
            abi.encodeWithSelector(IPredictionMarket.ModelsDiffer.selector)
        );
    }

    function _replace(IClassifier model_, PlainPerceptron replica_) private {
        _deploy(model_, replica_);
        replica_.transferOwnership(address(market));
    }

    function _deploy(IClassifier model_, PlainPerceptron replica_) private {
        model = model_;
        vm.deal(address(this), BOUNTY);
        market = new PredictionMarket{value: BOUNTY}(
            _createAddress(vm.getNonce(address(this)) + 1), replica_, marketRules(),
            digestsOf(pieces)
        );
        incentive = market;
        _deployTrainer();
    }

    function test_matching_ends_with_the_first_piece() public {
        open(0);
        refuseMarket(
            abi.encodeCall(market.matchModels, (0)), wrongPhase(IPredictionMarket.Phase.Open)
        );
    }

    // The pieces

    function test_reveal_shows_the_drawn_piece_first() public {
        refuseMarket(
            abi.encodeCall(market.reveal, (1, salt(1), pieces[1])),
            wrongPhase(IPredictionMarket.Phase.Committed)
        );
        drawPiece(1);
        matchAll();
        refuseMarketAs(
            SPONSOR, abi.encodeCall(market.reveal, (0, salt(0), pieces[0])),
            abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, 0)
        );
        vm.expectEmit(address(market));
        emit IPredictionMarket.PieceRevealed(1, salt(1), 3, 2, pieces[1]);
        reveal(1);
        vm.assertEq(market.pieceData(1), pieces[1]);
        vm.assertEq(uint256(market.phase()), uint256(IPredictionMarket.Phase.Open));
        refuseMarketAs(
            SPONSOR, abi.encodeCall(market.reveal, (0, salt(0), pieces[0])),
            wrongPhase(IPredictionMarket.Phase.Open)
        );
    }

    function test_the_sponsor_cannot_change_the_test_set() public {
        open(0);
        vm.warp(CONTRIBUTE_UNTIL + 1);
        bytes memory expected =
            abi.encodeWithSelector(IPredictionMarket.WrongPieceData.selector, 1);
        // Another label, another salt, another piece in its place.
        bytes memory other = bytes.concat(testSample(0, 0), testSample(3, 2), testSample(1, 1));
        refuseMarketAs(SPONSOR, abi.encodeCall(market.reveal, (1, salt(1), other)), expected);
        refuseMarketAs(SPONSOR, abi.encodeCall(market.reveal, (1, salt(2), pieces[1])), expected);
        refuseMarketAs(SPONSOR, abi.encodeCall(market.reveal, (1, salt(2), pieces[2])), expected);
        refuseMarketAs(
            SPONSOR, abi.encodeCall(market.reveal, (0, salt(0), pieces[0])),
            abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, 0)
        );
        refuseMarketAs(
            SPONSOR, abi.encodeCall(market.reveal, (3, salt(3), pieces[0])),
            abi.encodeWithSelector(IPredictionMarket.WrongPiece.selector, 3)
        );
    }

    function test_the_sponsor_cannot_commit_to_what_cannot_be_evaluated() public {
        bytes[] memory bad = defaultPieces();
        bad[0] = "";
        refusePiece(bad, abi.encodeWithSelector(IPredictionMarket.WrongSample.selector, 0));
        bad[0] = bytes.concat(testSample(1, 1), hex"0100"); // no room for a head
        refusePiece(bad, abi.encodeWithSelector(IPredictionMarket.WrongSample.selector, 7));
        bad[0] = bytes.concat(testSample(1, 1), hex"010004010000"); // features end early
        refusePiece(bad, abi.encodeWithSelector(IPredictionMarket.WrongSample.selector, 7));
        bad[0] = bytes.concat(testSample(1, 1), testSample(1, 3)); // no such class
        refusePiece(bad, abi.encodeWithSelector(IPredictionMarket.WrongSample.selector, 7));
        bad[0] = hex"010003010000"; // three features: the model's own words
        refusePiece(bad, abi.encodeWithSelector(IClassifier.WrongFeatureCount.selector, 3, 4));
    }

    function refusePiece(bytes[] memory pieces_, bytes memory expected) private {
        deployMarket(marketRules(), pieces_);
        drawPiece(0);
        matchAll();
        refuseMarketAs(
            SPONSOR, abi.encodeCall(market.reveal, (0, salt(0), pieces_[0])), expected
        );
    }

    function test_deadlines_are_inclusive() public {
        vm.warp(SHOW_BY);
        open(2);
        vm.warp(CONTRIBUTE_UNTIL);
        IIncentive.Contribution memory one = contribute(ALICE, 1, 1);
        revealOthersAt(REVEAL_BY);
        vm.warp(EVALUATE_BY);
        evaluateOne(one, 1, 100);
        vm.assertEq(uint256(market.phase()), uint256(IPredictionMarket.Phase.Finished));
    }

    function revealOthersAt(uint256 time) private {
        vm.warp(time);
        reveal(0);
        reveal(1);
    }

    function test_a_second_later_is_too_late() public {
        drawPiece(2);
        matchAll();
        vm.warp(SHOW_BY + 1);
        refuseMarket(
            abi.encodeCall(market.reveal, (2, salt(2), pieces[2])),
            wrongPhase(IPredictionMarket.Phase.Forfeited)
        );
        deployMarket(marketRules(), defaultPieces());
        open(2);
        vm.warp(CONTRIBUTE_UNTIL + 1);
        refuse(
            ALICE, STAKE,
            abi.encodeCall(trainer.contribute, (sample(1), 1, 0, STAKE, block.timestamp)),
            wrongPhase(IPredictionMarket.Phase.Revealing)
        );
        vm.warp(REVEAL_BY + 1);
        refuseMarket(
            abi.encodeCall(market.reveal, (0, salt(0), pieces[0])),
            wrongPhase(IPredictionMarket.Phase.Forfeited)
        );
    }

    function test_a_header_without_randomness_is_refused_by_its_parser() public {
        bytes memory short = hex"c0"; // an empty list
        vm.roll(market.drawBlock() + 1);
        vm.setBlockhash(market.drawBlock(), keccak256(short));
        refuseMarket(
            abi.encodeCall(market.draw, (short)),
            abi.encodeWithSelector(
                BlockHeader.FieldNotPresentInBlockHeader.selector,
                BlockHeader.HeaderField.PrevRandao
            )
        );
    }
}
