// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IIncentive} from "./IIncentive.sol";

/// @title A prediction market in data: a contribution earns what it takes off the loss on a test
/// set that nobody but the sponsor knows until contributions have ended.
/// @notice Harris and Waggoner, "Decentralized and Collaborative AI on Blockchain" (2019), IV-B;
/// the reward is Abernethy and Frongillo's (2011), eq. 3, with the error rate as loss. In order:
/// 1. The sponsor deploys with the bounty and the digests of the test set's pieces.
/// 2. `draw`: the randomness of a block that was fixed before picks one piece.
/// 3. `matchModels`: the replica, which this contract owns, is the trainer's model, word by word.
/// 4. `reveal` of the drawn piece: everybody sees what is tested. Contributions open.
/// 5. After `contributeUntil`, `reveal` of all other pieces.
/// 6. `evaluate`, in steps, by anyone: the replica learns contribution after contribution, in
/// order; each is paid by the change of the number of errors on all pieces.
/// 7. `collect`: what is left of the bounty is the sponsor's. Everybody pulls by `withdraw`.
///
/// Warning: compare the replica's and the trainer's model's code with the artifacts before taking
/// part: the sponsor chose them.
/// Warning: the sponsor knows the test set. It may contribute too, by any account: it pays itself
/// from its own bounty, and what others' contributions then add to the loss stays in the pot, at
/// most their stakes. A contribution that adds no error loses nothing, whoever came before.
/// Warning: with a stake below the bounty a contribution's loss is limited and its gain is not,
/// so that gambling can pay. Only a stake of the bounty or more makes the rule proper.
interface IPredictionMarket {
    struct Rules {
        address sponsor; // gets what is left, and the replica
        uint256 stakeWei; // of each contribution; the most that it can lose
        uint32 maxContributions; // bounds the work of evaluation
        uint32 drawDelayBlocks; // from deployment to the block that picks the drawn piece
        uint64 showBy; // unix seconds, inclusive, as the next three: the drawn piece is revealed
        uint64 contributeUntil;
        uint64 revealBy; // all pieces are revealed
        uint64 evaluateBy; // afterwards the stakes of what is not evaluated go back
    }

    enum Phase {
        Committed, // waits for the draw
        Drawn, // waits for the drawn piece
        Open, // takes contributions
        Revealing, // waits for the other pieces
        Evaluating,
        Finished,
        Forfeited // a piece was not revealed in time
    }

    /// @notice How far revealing and evaluation are.
    struct Progress {
        uint256 revealed; // pieces
        uint256 samples; // in revealed pieces
        uint256 errors; // on them, of the replica as it stands
        uint256 evaluated; // contributions
        uint256 trialPiece; // where the trial of the next contribution goes on
        uint256 trialOffset; // in bytes
        uint256 trialErrors; // so far
    }

    /// @notice Not in this phase.
    error WrongPhase(Phase phase);
    /// @notice The block that picks the piece is not there yet.
    error DrawTooEarly(uint256 drawBlock);
    /// @notice The chain has forgotten that block: nothing can be drawn any more.
    error DrawLapsed(uint256 drawBlock);
    /// @notice The bytes are not the header of the block that picks the piece.
    error WrongHeader(uint256 drawBlock);
    /// @notice The replica is not this contract's, the model not the trainer's; one of them is not
    /// sealed; or they are not the same code with the same words.
    error ModelsDiffer();
    /// @notice The models are not matched to the end.
    error NotMatched(uint256 matched, uint256 words);
    /// @notice It is not this piece's turn, it is revealed already, or it does not exist.
    error WrongPiece(uint256 index);
    /// @notice Other data, or another salt, than what was committed.
    error WrongPieceData(uint256 index);
    /// @notice A piece is empty, ends within a sample, or has a class that does not exist.
    error WrongSample(uint256 offset);
    /// @notice Contributions are evaluated in order.
    error WrongStep(uint256 id, uint256 expected);
    /// @notice Not as many features as contributions, or none.
    error WrongStepLength(uint256 contributions, uint256 features);
    /// @notice As many contributions as there may be.
    error MarketFull(uint256 maxContributions);
    /// @notice Only this contract itself calls that.
    error OnlySelf(address caller);
    /// @notice What was left is collected already.
    error AlreadyCollected();
    /// @dev How a trial tells its result, and undoes itself.
    error Attempted(bool changed, uint256 piece, uint256 offset, uint256 samples, uint256 errors);

    event MarketCommitted(
        address indexed sponsor, uint256 bountyWei, bytes32[] pieceDigests, uint256 drawBlock
    );
    event PieceDrawn(uint256 indexed index, bytes32 prevRandao);
    event ModelsMatched(uint256 words);
    /// @notice A piece of the test set, and how many of its samples the first model gets wrong.
    event PieceRevealed(
        uint256 indexed index, bytes32 salt, uint256 samples, uint256 errors, bytes data
    );
    /// @notice A contribution's stake and reward are on its account. `errors` is what the replica
    /// gets wrong from here on; where `kept` is false the contribution cost more than its stake
    /// could pay: it lost the stake, and the replica has not learned from it.
    event Evaluated(
        uint256 indexed id,
        address indexed contributor,
        uint256 errors,
        int256 rewardWei,
        bool kept
    );
    /// @notice What was left of bounty and lost stakes; `burntWei` was destroyed.
    event Collected(address indexed sponsor, uint256 amountWei, uint256 burntWei);

    function rules() external view returns (Rules memory);
    function bountyWei() external view returns (uint256);
    /// @notice The model that is evaluated: this contract's until `collect`, then the sponsor's.
    function replica() external view returns (address);
    /// @notice The block whose randomness picks the drawn piece.
    function drawBlock() external view returns (uint256);
    function pieceCount() external view returns (uint256);
    /// @notice The committed digest of a piece: keccak256(abi.encode(keccak256("ddcai.v1.piece"),
    /// index, salt, keccak256(data))).
    function pieceDigest(uint256 index) external view returns (bytes32);
    /// @notice The data of a revealed piece; empty before. Its samples one after the other: class
    /// (a byte), length of the features (two bytes, big-endian), features.
    function pieceData(uint256 index) external view returns (bytes memory);
    /// @notice Whether a piece is drawn, and which.
    function drawn() external view returns (bool isDrawn, uint256 index);
    /// @notice Words of the models that are found to be the same.
    function matchedWords() external view returns (uint256);
    function phase() external view returns (Phase);
    function progress() external view returns (Progress memory);

    /// @notice Picks the piece that is shown before contributions open: keccak256(abi.encode(
    /// keccak256("ddcai.v1.draw"), this contract, prevRandao)) modulo the number of pieces. Anyone
    /// may, while the chain remembers the block: 8191 blocks (EIP-2935), 256 on older chains.
    /// @param header RLP of the header of `drawBlock`.
    function draw(bytes calldata header) external;

    /// @notice Compares the next `count` words of the replica and the trainer's model.
    function matchModels(uint256 count) external;

    /// @notice Shows a piece: the drawn one first, the others after `contributeUntil`. Refused if
    /// the model does not take one of its samples.
    /// Warning: for the sponsor, a piece that is not revealed in time forfeits the bounty.
    function reveal(uint256 index, bytes32 salt, bytes calldata data) external;

    /// @notice Evaluates the next contributions, in order, with at most `maxSamples` predictions;
    /// the trial of the last one may stop half way and go on with the next call.
    /// @param contributions as the trainer's events say.
    /// @param features the same bytes again.
    function evaluate(
        IIncentive.Contribution[] calldata contributions,
        bytes[] calldata features,
        uint256 maxSamples
    ) external;

    /// @notice Ends the market: the sponsor gets what is left of bounty and lost stakes, and the
    /// replica. Of a forfeited bounty half is the contributors', in equal parts, each with its
    /// stake (`ITrainer.refund`); the rest is destroyed, all of it where nobody contributed.
    /// @dev Destroyed, since the sponsor could send most of the contributions itself and get most
    /// of the bounty back: this way hiding a test set costs at least half of it.
    function collect() external;
}
