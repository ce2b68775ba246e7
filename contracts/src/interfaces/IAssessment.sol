// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAssessor} from "./IAssessor.sol";

/// @title Windows of rounds: whose deposits come back, with how many points, and who gets the rest.
/// @notice Finalised rounds, in order, fill windows. A quorum of the sealed contributors of a
/// window's last round signs a verdict on every member with an update in it. A verdict can be
/// disputed once, with a bond; then a fresh quorum decides, or the disputers' deposits come back.
/// Everybody pulls what is its own.
///
/// Trust: a quorum decides who agreed; no number that it signs can make this contract pay more than
/// was paid in. How often a member took part comes from the federation.
interface IAssessment is IAssessor {
    struct Rules {
        uint16 windowRounds; // rounds of a full window, 1 to 255
        uint32 verdictPeriodS; // from a window's last round to the last moment of a verdict
        uint32 disputePeriodS; // from a verdict to the last moment of a dispute
        uint32 resolvePeriodS; // from there to the last moment of a resolution
        uint32 takeWaitS; // from when a verdict stands until forfeited deposits are shared out
        uint32 anyoneWaitS; // until anyone may have what was not taken; at least takeWaitS
        uint96 depositWei; // the federation's
        uint96 bondWei; // of whoever posts a verdict, and of whoever disputes one
        uint96 bountyPerUpdateWei; // from the pool, for each update that was agreed
    }

    enum State {
        None,
        Filling, // rounds are still added
        Full, // it waits for a verdict
        Lapsed, // no verdict came: every deposit goes back
        Judged, // it can be disputed
        Disputed, // it waits for a resolution
        Fallen, // no resolution came: `closeDispute`
        Standing
    }

    struct Window {
        // A claim reads the first two words; of a disputed window, the third.
        uint64 lastRound;
        uint64 lastAt; // when its last round was finalised
        uint64 judgedAt; // 0 before a verdict
        uint16 rounds;
        uint16 disputes;
        bool resolved; // a resolution came, or the dispute was closed without one
        bool swept;
        bool bondReleased;
        uint128 potWei; // forfeited deposits and bounty
        uint128 points; // of all together
        uint32 updates; // deposits in it
        uint64 standsAt; // of a disputed one, once it was resolved or closed
        address poster;
        uint128 bountyWei; // of the pot
        bytes32 scoresDigest;
    }

    event RoundTaken(uint64 indexed round, uint64 indexed window, uint256 updates);
    event VerdictPosted(
        uint64 indexed window,
        bytes32 indexed scoresDigest,
        address indexed poster,
        uint256[] agreed,
        uint32[] points,
        uint256 potWei
    );
    event VerdictDisputed(uint64 indexed window, address indexed by);
    event DisputeResolved(
        uint64 indexed window, bytes32 indexed scoresDigest, uint256[] right, uint256 potWei
    );
    event DisputeClosed(uint64 indexed window, uint256 potWei);
    event Refunded(uint64 indexed window, address indexed contributor, uint256 amountWei);
    event Taken(uint64 indexed window, address indexed contributor, uint256 amountWei);
    event Swept(uint64 indexed window, address indexed by, uint256 amountWei);
    event BondReleased(uint64 indexed window, address indexed to, uint256 amountWei);
    event Funded(address indexed from, uint256 amountWei);
    event Reclaimed(address indexed sponsor, uint256 amountWei);
    event Withdrawn(address indexed account, uint256 amountWei);

    error InvalidRules(string field);
    error NotFederation(address caller);
    error WrongDeposits(uint256 sentWei, uint256 expectedWei);
    error WrongWindowState(uint64 window, State state);
    error WrongBond(uint256 sentWei, uint256 bondWei);
    error NotInWindow(uint64 window, uint256 index);
    error NotAMember(address caller);
    error WrongPointsLength(uint256 given, uint256 expected);
    error NotOfTheQuorum(uint256 index);
    error TooFewSigners(uint256 signers, uint256 needed);
    error InvalidVerdictSignature();
    error AlreadyDisputed(uint64 window, address caller);
    error NothingDue(uint64 window, address caller);
    error TooSoon(uint64 window, uint256 earliest);
    error NothingToWithdraw(address account);
    error NotTheSponsor(address caller);
    error PoolInUse(uint256 until);
    error PoolEmpty();
    error PaymentFailed(address to, uint256 amountWei);

    /// @notice Posts a verdict on a full window; or on one that is not, once half of
    /// `verdictPeriodS` has passed without another round. Whoever posts pays the bond.
    /// @param agreed bitmap of the members whose updates the model agrees with; each has one in the
    /// window.
    /// @param points one a member of `agreed`, in ascending order of index: its weight in what
    /// others forfeit.
    /// @param scoresDigest of what the verdict follows from.
    /// @param signers bitmap: a quorum of the sealed contributors of the window's last round.
    /// @param signature of the federation's quorum under `verdictMessage(.., attempt 0, ..)`.
    function postVerdict(
        uint64 window,
        uint256[] calldata agreed,
        uint32[] calldata points,
        bytes32 scoresDigest,
        uint256[] calldata signers,
        bytes calldata signature
    ) external payable;
    /// @notice Disputes a verdict; a member with an update in the window, with the bond.
    function dispute(uint64 window) external payable;
    /// @notice Replaces a disputed verdict by the one of a fresh quorum (attempt 1), after the last
    /// moment to dispute. Disputers whose bit or points it changes were right: they get their bonds
    /// back and share the poster's; else the bonds of those that were wrong are the poster's, or,
    /// where somebody was right, the window's.
    function resolve(
        uint64 window,
        uint256[] calldata agreed,
        uint32[] calldata points,
        bytes32 scoresDigest,
        uint256[] calldata signers,
        bytes calldata signature
    ) external;
    /// @notice Ends a dispute that nobody resolved in time: the disputers' deposits come back,
    /// without points; for the others the verdict stands. Bonds go back.
    function closeDispute(uint64 window) external;

    /// @notice Pays the caller all that is its own of these windows now: deposits of a lapsed window,
    /// or agreed ones once the verdict stands; and from `takeWaitS` on its share of the pot.
    function claim(uint64[] calldata windows) external;
    /// @notice Pays the caller what nobody took by `anyoneWaitS`. Where nobody has points, the pot goes
    /// to the pool, as soon as the verdict stands.
    function sweep(uint64 window) external;
    /// @notice Pays the caller what bonds brought it.
    function withdraw() external;
    /// @notice Puts the bond of a verdict that stands, undisputed, on its poster's account.
    function releaseBond(uint64 window) external;
    /// @notice Adds to the bounty pool.
    function fund() external payable;
    /// @notice Pays the federation's sponsor what is left in the pool, once no round was finalised
    /// for all the periods together.
    function reclaim() external;

    function rules() external view returns (Rules memory);
    function windowCount() external view returns (uint64);
    function getWindow(uint64 window) external view returns (Window memory);
    function stateOf(uint64 window) external view returns (State);
    function roundsOf(uint64 window) external view returns (uint64[] memory);
    /// @notice How many updates a member has in a window.
    function updatesOf(uint64 window, uint256 index) external view returns (uint256);
    /// @notice Whether a member agreed by the verdict, and its points.
    function verdictOn(uint64 window, uint256 index)
        external
        view
        returns (bool agreed, uint32 points);
    /// @notice What `claim` would pay for a window now.
    function claimable(uint64 window, address account)
        external
        view
        returns (uint256 refundWei, uint256 takeWei);
    function owedWei(address account) external view returns (uint256);
    function poolWei() external view returns (uint256);
    /// @notice The 32 bytes that a quorum signs: keccak256(abi.encode(tag "verdict", chain id, this,
    /// window, attempt, scoresDigest, keccak256(abi.encode(agreed, points)))).
    function verdictMessage(
        uint64 window,
        uint256 attempt,
        bytes32 scoresDigest,
        uint256[] calldata agreed,
        uint32[] calldata points
    ) external view returns (bytes32);
}
