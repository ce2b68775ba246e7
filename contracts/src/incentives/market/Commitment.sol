// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Blockhash} from "@openzeppelin/contracts/utils/Blockhash.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IClassifier} from "../../interfaces/IClassifier.sol";
import {IIncentive} from "../../interfaces/IIncentive.sol";
import {IPredictionMarket} from "../../interfaces/IPredictionMarket.sol";
import {ITrainer} from "../../interfaces/ITrainer.sol";
import {CodePage} from "../../lib/CodePage.sol";
import {PieceDigests} from "../../lib/PieceDigests.sol";
import {TestSamples} from "../../lib/TestSamples.sol";
import {Ledger} from "../Ledger.sol";

/// @title What the sponsor is bound to: the test set, the draw, the model, the deadlines.
/// @dev Digests and pieces are kept as contract code: 200 gas a byte once, and next to nothing to
/// read; as calldata again with each evaluated contribution they were dearer from the 13th on.
abstract contract Commitment is Ledger, IPredictionMarket {
    struct State {
        uint16 drawnPlusOne; // 0: not drawn
        uint16 revealed; // pieces
        uint32 matched; // words
        uint32 samples; // of revealed pieces
        uint32 errors; // of the replica as it stands, on them
        uint32 evaluated; // contributions
        uint16 trialPiece;
        uint16 trialOffset;
        uint32 trialErrors;
        bool replaced; // the trainer's model was: no more contributions
        bool collected;
    }

    uint256 private constant MIN_PIECES = 2;
    uint256 private constant MAX_PIECES = 256;
    /// @dev The chain remembers as many blocks (EIP-2935).
    uint256 private constant MAX_DELAY_BLOCKS = 8191;

    IClassifier internal immutable _replica;
    address internal immutable _sponsor;
    uint256 internal immutable _stakeWei;
    uint256 internal immutable _maxContributions;
    uint256 private immutable _drawDelayBlocks;
    uint256 private immutable _showBy;
    uint256 private immutable _contributeUntil;
    uint256 private immutable _revealBy;
    uint256 private immutable _evaluateBy;
    address private immutable _digests;

    /// @inheritdoc IPredictionMarket
    uint256 public immutable bountyWei;
    /// @inheritdoc IPredictionMarket
    uint256 public immutable pieceCount;
    /// @inheritdoc IPredictionMarket
    uint256 public immutable drawBlock;

    State internal _state;
    mapping(uint256 index => address) internal _pages;

    constructor(
        address trainer_,
        IClassifier replica_,
        Rules memory rules_,
        bytes32[] memory pieceDigests
    ) payable Ledger(trainer_) {
        require(rules_.sponsor != address(0), InvalidRules("sponsor"));
        require(msg.value > 0 && msg.value <= MAX_PRICE_WEI, InvalidRules("bounty"));
        require(
            rules_.stakeWei > 0 && rules_.stakeWei <= MAX_PRICE_WEI, InvalidRules("stakeWei")
        );
        require(rules_.maxContributions > 0, InvalidRules("maxContributions"));
        require(
            rules_.drawDelayBlocks > 0 && rules_.drawDelayBlocks <= MAX_DELAY_BLOCKS,
            InvalidRules("drawDelayBlocks")
        );
        require(rules_.showBy > block.timestamp, InvalidRules("showBy"));
        require(rules_.contributeUntil > rules_.showBy, InvalidRules("contributeUntil"));
        require(rules_.revealBy > rules_.contributeUntil, InvalidRules("revealBy"));
        require(rules_.evaluateBy > rules_.revealBy, InvalidRules("evaluateBy"));
        require(
            pieceDigests.length >= MIN_PIECES && pieceDigests.length <= MAX_PIECES,
            InvalidRules("pieces")
        );
        _replica = replica_;
        _sponsor = rules_.sponsor;
        _stakeWei = rules_.stakeWei;
        _maxContributions = rules_.maxContributions;
        _drawDelayBlocks = rules_.drawDelayBlocks;
        _showBy = rules_.showBy;
        _contributeUntil = rules_.contributeUntil;
        _revealBy = rules_.revealBy;
        _evaluateBy = rules_.evaluateBy;
        bountyWei = msg.value;
        pieceCount = pieceDigests.length;
        drawBlock = block.number + rules_.drawDelayBlocks;
        _digests = CodePage.write(abi.encodePacked(pieceDigests));
        emit MarketCommitted(rules_.sponsor, msg.value, pieceDigests, drawBlock);
    }

    /// @inheritdoc IPredictionMarket
    function draw(bytes calldata header) external {
        _requirePhase(Phase.Committed);
        require(block.number > drawBlock, DrawTooEarly(drawBlock));
        bytes32 blockHash = Blockhash.blockHash(drawBlock);
        require(blockHash != 0, DrawLapsed(drawBlock));
        require(keccak256(header) == blockHash, WrongHeader(drawBlock));
        bytes32 prevRandao = BlockHeader.getPrevRandao(header);
        uint256 index = PieceDigests.drawnPiece(address(this), prevRandao, pieceCount);
        // At most MAX_PIECES.
        _state.drawnPlusOne = uint16(index + 1);
        emit PieceDrawn(index, prevRandao);
    }

    /// @inheritdoc IPredictionMarket
    function matchModels(uint256 count) external {
        Phase now_ = phase();
        require(now_ == Phase.Committed || now_ == Phase.Drawn, WrongPhase(now_));
        // Nothing can change them from here on: this contract updates the replica only when
        // contributions have ended, and the trainer its model only while they are open.
        IClassifier model = IClassifier(ITrainer(trainer).model());
        require(
            Ownable(address(_replica)).owner() == address(this)
                && Ownable(address(model)).owner() == trainer && _replica.isSealed()
                && model.isSealed() && address(model).codehash == address(_replica).codehash,
            ModelsDiffer()
        );
        uint256 from = _state.matched;
        require(
            keccak256(abi.encode(_replica.words(from, count)))
                == keccak256(abi.encode(model.words(from, count))),
            ModelsDiffer()
        );
        // `words` refuses what is beyond the end, which is 2^16 at most.
        _state.matched = uint32(from + count);
        emit ModelsMatched(from + count);
    }

    /// @inheritdoc IPredictionMarket
    function reveal(uint256 index, bytes32 salt, bytes calldata data) external {
        State memory state = _state;
        Phase now_ = phase();
        if (now_ == Phase.Drawn) {
            require(index + 1 == state.drawnPlusOne, WrongPiece(index));
            uint256 words = _replica.wordCount();
            require(state.matched == words, NotMatched(state.matched, words));
        } else {
            require(now_ == Phase.Revealing, WrongPhase(now_));
            require(index < pieceCount && _pages[index] == address(0), WrongPiece(index));
        }
        bytes memory piece = data;
        require(
            PieceDigests.pieceDigest(index, salt, piece) == pieceDigest(index),
            WrongPieceData(index)
        );
        require(piece.length > 0, WrongSample(0));
        // Every sample is asked now, so that none can stop the evaluation; the replica is still
        // what the trainer's model was when contributions opened.
        (, uint256 samples, uint256 errors) =
            TestSamples.countErrors(_replica, piece, 0, type(uint256).max);
        _pages[index] = CodePage.write(piece);
        // A page has less than 2^15 bytes, and there are 2^8 of them.
        _state.revealed = state.revealed + 1;
        _state.samples = state.samples + uint32(samples);
        _state.errors = state.errors + uint32(errors);
        emit PieceRevealed(index, salt, samples, errors, data);
    }

    /// @inheritdoc IPredictionMarket
    function rules() external view returns (Rules memory) {
        return Rules({
            sponsor: _sponsor,
            stakeWei: _stakeWei,
            maxContributions: uint32(_maxContributions),
            drawDelayBlocks: uint32(_drawDelayBlocks),
            showBy: uint64(_showBy),
            contributeUntil: uint64(_contributeUntil),
            revealBy: uint64(_revealBy),
            evaluateBy: uint64(_evaluateBy)
        });
    }

    /// @inheritdoc IPredictionMarket
    function replica() external view returns (address) {
        return address(_replica);
    }

    /// @inheritdoc IPredictionMarket
    function pieceData(uint256 index) external view returns (bytes memory) {
        return CodePage.read(_pages[index]);
    }

    /// @inheritdoc IPredictionMarket
    function drawn() external view returns (bool isDrawn, uint256 index) {
        uint256 plusOne = _state.drawnPlusOne;
        return plusOne == 0 ? (false, 0) : (true, plusOne - 1);
    }

    /// @inheritdoc IPredictionMarket
    function matchedWords() external view returns (uint256) {
        return _state.matched;
    }

    /// @inheritdoc IPredictionMarket
    function pieceDigest(uint256 index) public view returns (bytes32 digest) {
        require(index < pieceCount, WrongPiece(index));
        address page = _digests;
        assembly ("memory-safe") {
            // The first byte of a page is not data.
            extcodecopy(page, 0, add(mul(index, 32), 1), 32)
            digest := mload(0)
        }
    }

    /// @inheritdoc IPredictionMarket
    /// @dev Follows from time and what was done in time: nobody needs to call anything for a
    /// deadline to pass.
    function phase() public view returns (Phase) {
        State memory state = _state;
        if (state.revealed == pieceCount) {
            return state.evaluated == _totals.lastId || block.timestamp > _evaluateBy
                ? Phase.Finished
                : Phase.Evaluating;
        }
        if (state.revealed == 0) {
            if (block.timestamp > _showBy) return Phase.Forfeited;
            return state.drawnPlusOne == 0 ? Phase.Committed : Phase.Drawn;
        }
        if (block.timestamp <= _contributeUntil) return Phase.Open;
        return block.timestamp <= _revealBy ? Phase.Revealing : Phase.Forfeited;
    }

    function _requirePhase(Phase expected) internal view {
        Phase now_ = phase();
        require(now_ == expected, WrongPhase(now_));
    }
}
