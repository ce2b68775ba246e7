// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title One federation: its members, rounds, deposits and current model.
/// @notice The coordinator orders rounds; it cannot finalise one without the key holder's
/// signature under the opened sum and a quorum of the sealed contributors under the result, and
/// it can touch no deposit. Members pull what is theirs. Rules never change.
/// Warning: the chain carries digests of randomised ciphertexts only; never submit anything else.
interface IFederation {
    enum RoundState {
        None,
        Open,
        Sealed,
        Finalized,
        Cancelled,
        Committed // assessed federations alone: between Open and Sealed
    }

    /// @notice Where one contributor's update of one round stands. A finalised round moves every
    /// sealed update to `Agreed` and every other submitted one to `Forfeited`; in an assessed
    /// federation every committed one to `Assessed`, its deposit being with the assessment, and
    /// those that were not delivered to `Forfeited`.
    enum UpdateState {
        None,
        Submitted,
        Sealed,
        Agreed,
        Forfeited,
        Returned,
        Assessed
    }

    struct Rules {
        address coordinator; // orders rounds
        address keyHolder; // signs opened sums; an account or an ERC-1271 contract
        uint16 minContributors; // at least 2: a sum of one is no sum
        uint8 quorumNumerator; // signers * denominator >= sealed * numerator
        uint8 quorumDenominator;
        bool openMembership; // anyone with the stake may register; otherwise by invitation
        uint32 submitPeriodS; // from opening to the last moment to submit
        uint32 finalizePeriodS; // from there to the last moment to finalise
        uint96 depositWei; // per contributor and round
        uint96 registrationStakeWei; // returned on leaving
        bytes32 configDigest; // the federation's configuration
        bytes32 encryptionKeyDigest; // the public encryption key
        address assessment; // an `IAssessor` that judges updates; zero: none does
    }

    struct Round {
        RoundState state;
        uint64 submitDeadline; // unix seconds
        uint64 finalizeDeadline; // unix seconds
        uint16 submittedCount;
        uint16 sealedCount;
        bytes32 baseModelDigest;
        bytes32 sumDigest;
    }

    /// @notice What an assessed round is judged by.
    struct Commitment {
        uint64 drawBlock; // whose RANDAO value draws; 0 before the list is committed
        uint16 count; // of committed updates
        bytes32 listDigest; // of the committed members and their updates
        bytes32 randomness; // 0 before the draw
        bytes32 scoresDigest; // of what was opened of the updates; 0 before sealing
    }

    struct Result {
        bytes32 openedDigest;
        bytes32 modelDigest;
    }

    event MemberInvited(address indexed member);
    event MemberRegistered(address indexed member, uint256 indexed index, bytes key);
    event MemberLeft(address indexed member, uint256 indexed index, uint256 stakeWei);
    event RoundOpened(
        uint64 indexed round,
        bytes32 indexed baseModelDigest,
        bytes32 configDigest,
        uint64 submitDeadline,
        uint64 finalizeDeadline
    );
    event UpdateSubmitted(
        uint64 indexed round,
        address indexed contributor,
        bytes32 indexed updateDigest,
        uint256 depositWei
    );
    event RoundCommitted(uint64 indexed round, uint256[] members, uint256 drawBlock);
    event RoundDrawn(uint64 indexed round, bytes32 randomness);
    event RoundAssessed(uint64 indexed round, bytes32 indexed scoresDigest);
    event RoundSealed(uint64 indexed round, bytes32 indexed sumDigest, uint256[] members);
    event RoundFinalized(
        uint64 indexed round,
        bytes32 indexed modelDigest,
        bytes32 openedDigest,
        bytes32 headDigest,
        uint256[] signers,
        bytes openingSignature,
        bytes signature
    );
    event RoundCancelled(uint64 indexed round, address indexed by);
    event Refunded(uint64 indexed round, address indexed contributor, uint256 amountWei);
    event Taken(uint64 indexed round, address indexed contributor, uint256 amountWei);

    error InvalidRules(string field);
    error NotCoordinator(address caller);
    error NotSponsor(address caller);
    error NotMember(address caller);
    error NotInvited(address caller);
    error AlreadyMember(address caller);
    error TooManyMembers(uint256 maximum);
    error MemberBusy(address member, uint64 round);
    error WrongStake(uint256 sentWei, uint256 stakeWei);
    error WrongDeposit(uint256 sentWei, uint256 depositWei);
    error WrongRound(uint64 given, uint64 expected);
    error WrongState(uint64 round, RoundState state);
    error WrongBaseModel(bytes32 given, bytes32 current);
    error ZeroDigest();
    error AlreadySubmitted(uint64 round, address contributor);
    error DeadlinePassed(uint64 round, uint64 deadline, uint256 now_);
    error DeadlineNotReached(uint64 round, uint64 deadline, uint256 now_);
    error NotSubmitted(uint256 index);
    error TooFewContributors(uint256 sealedCount, uint256 minimum);
    error NotSealedContributor(uint256 index);
    error QuorumNotReached(uint256 signers, uint256 needed);
    error InvalidOpeningSignature();
    error InvalidQuorumSignature();
    error NothingToPay(uint64 round, address contributor);
    error NotReady(address part);
    /// @notice `sealRound` is for federations without an assessment, `sealAssessedRound` for
    /// those with one.
    error WrongSealing(address assessment);
    /// @notice The member's update is not on the committed list.
    error NotCommitted(uint256 index);
    error DrawTooEarly(uint64 round, uint256 drawBlock);
    error DrawLapsed(uint64 round, uint256 drawBlock);
    error NotDrawn(uint64 round);
    error AlreadyDrawn(uint64 round);
    /// @notice The bytes are not the header of the block that draws.
    error WrongHeader(uint256 drawBlock);
    error PaymentFailed(address to, uint256 amountWei);

    /// @notice Invites members; sponsor only.
    function invite(address[] calldata members) external;
    /// @notice Registers the caller with its attestation key; pays the stake if there is one.
    function register(bytes calldata key, bytes calldata proof) external payable;
    /// @notice Leaves the federation and takes the stake back. Not while an update of the caller
    /// is in a round that is neither finalised nor cancelled.
    function leave() external;

    /// @notice Opens round `round`, which must be the next one, on the current model.
    function openRound(uint64 round, bytes32 baseModelDigest) external;
    /// @notice Commits the caller's encrypted update and pays the deposit, exactly `depositWei`.
    function submitUpdate(uint64 round, bytes32 updateDigest) external payable;
    /// @notice Fixes the list of contributors and the sum. Contributors that submitted and are
    /// left out forfeit if the round is finalised; the coordinator may therefore leave one out
    /// only after the submit deadline, the last moment to deliver.
    /// @param members bitmap of member indices: bit i of word i / 256.
    function sealRound(uint64 round, bytes32 sumDigest, uint256[] calldata members) external;
    /// @notice Assessed federations: fixes whose updates are judged; nothing is submitted after
    /// this. The coordinator may leave somebody out only after the submit deadline. The RANDAO
    /// value of the second block from here draws what is looked at: a proposer of that block can
    /// drop it, and so choose between two draws, and k proposers in a row between 2^k.
    function commitRound(uint64 round, uint256[] calldata members) external;
    /// @notice Draws a committed round's randomness. Anyone; the outcome is the same whoever
    /// calls, and when.
    /// @param header RLP of the header of `drawBlock`.
    function drawRound(uint64 round, bytes calldata header) external;
    /// @notice `sealRound` for assessed federations: the accepted updates, of the committed ones,
    /// and the digest of the scalars that they were judged by. Those left out do not forfeit
    /// here.
    function sealAssessedRound(
        uint64 round,
        bytes32 sumDigest,
        uint256[] calldata members,
        bytes32 scoresDigest
    ) external;
    /// @notice Makes the round's result the federation's model and writes the head.
    /// @param openingSignature the key holder's EIP-712 signature under
    /// Opening(uint64 round,bytes32 sumDigest,bytes32 openedDigest).
    /// @param head the new head's words.
    /// @param signers bitmap of the members whose signatures are in `signature`.
    function finalizeRound(
        uint64 round,
        Result calldata result,
        bytes calldata openingSignature,
        uint256[] calldata head,
        uint256[] calldata signers,
        bytes calldata signature
    ) external;
    /// @notice Ends a round without a result: the coordinator at any time, anyone once the
    /// finalise deadline has passed. Every deposit goes back to its owner.
    function cancelRound(uint64 round) external;

    /// @notice Pays the caller its own deposits of `rounds`: agreed ones, and those of cancelled
    /// rounds. Reverts if one of them owes the caller nothing.
    function refund(uint64[] calldata rounds) external;
    /// @notice Pays the caller its share of the deposits forfeited in `rounds`. Shares round
    /// down; the remainder goes, a wei each, to the sealed contributors of lowest index.
    function take(uint64[] calldata rounds) external;
    /// @notice What `refund` and `take` would pay `contributor` for `round` now.
    function claimable(uint64 round, address contributor)
        external
        view
        returns (uint256 refundWei, uint256 takeWei);

    function rules() external view returns (Rules memory);
    function sponsor() external view returns (address);
    function quorum() external view returns (address);
    function head() external view returns (address);
    /// @notice The current model's digest.
    function modelDigest() external view returns (bytes32);
    /// @notice The number of the last round opened; 0 before the first.
    function lastRound() external view returns (uint64);
    function getRound(uint64 round) external view returns (Round memory);
    function updateDigest(uint64 round, uint256 index) external view returns (bytes32);
    function updateState(uint64 round, uint256 index) external view returns (UpdateState);
    function sealedMembers(uint64 round) external view returns (uint256[] memory);
    function commitmentOf(uint64 round) external view returns (Commitment memory);
    function committedMembers(uint64 round) external view returns (uint256[] memory);
    function memberCount() external view returns (uint256);
    function memberAt(uint256 index) external view returns (address);
    /// @notice Index and standing of a member. `index` is 0 for strangers too: look at `active`.
    function memberOf(address account) external view returns (bool active, uint256 index);
    function invited(address account) external view returns (bool);
    /// @notice The digest that the key holder signs (EIP-712).
    function openingMessage(uint64 round, bytes32 sumDigest, bytes32 openedDigest)
        external
        view
        returns (bytes32);
    /// @notice The 32 bytes that contributors sign:
    /// keccak256(abi.encode(tag "result", chain id, this, round, sum, opened, model, head)).
    function resultMessage(
        uint64 round,
        bytes32 sumDigest,
        bytes32 openedDigest,
        bytes32 modelDigest_,
        bytes32 headDigest
    ) external view returns (bytes32);
}
