// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What a contribution of data costs, and what it brings. Chosen when a trainer is deployed.
/// @notice Called by its trainer, which holds no money: every wei is here, on accounts that their
/// owners pull from. A record holds little: what does not change of a contribution is in the
/// trainer's event, is given again with a claim, and is checked against the record.
interface IIncentive {
    /// @notice One contribution, as the event `Contributed` of the trainer tells it.
    struct Contribution {
        uint256 id; // from 1, consecutive
        address contributor;
        uint256 class; // the label that was given
        uint256 predicted; // what the model said before it learned from it
        uint256 priceWei; // what was paid
        uint256 time; // of its block, unix seconds
    }

    /// @notice The caller is not the trainer.
    error NotTrainer(address caller);
    /// @notice A rule that cannot work.
    error InvalidRules(string field);
    /// @notice The sender's own bound on the price.
    error PriceTooHigh(uint256 priceWei, uint256 maximumWei);
    /// @notice What was sent and what was on the account before are less than the price.
    error DepositTooSmall(uint256 availableWei, uint256 priceWei);
    /// @notice Money was sent where nothing costs money.
    error NoMoneyHere(uint256 sentWei);
    /// @notice There is no such contribution, or it is settled, or it was other data.
    error NoClaim(uint256 id);
    /// @notice Too early: `earliest` is the first second at which it may be done.
    error TooEarly(uint256 id, uint256 earliest);
    /// @notice The model does not agree (refund), or does not disagree (report).
    error WrongPrediction(uint256 id, uint256 predicted, uint256 class);
    /// @notice This account may not do that with this contribution.
    error NotAllowed(uint256 id, address caller);
    /// @notice This account has had its share of this contribution.
    error AlreadyReported(uint256 id, address caller);
    /// @notice Nothing is owed to this account.
    error NothingToWithdraw(address account);
    /// @notice It has ended: nothing is contributed any more.
    error ReleaseClosed();
    /// @notice The contribution's release has ended: its deposit is its contributor's.
    error ReleaseOver(uint256 id);
    error PaymentFailed(address to, uint256 amountWei);

    /// @notice A contributor got its deposit back, on its account here; `points` is what it
    /// earned besides.
    event Refunded(
        uint256 indexed id, address indexed contributor, uint256 amountWei, uint256 points
    );
    /// @notice A reporter got `amountWei` of somebody's deposit, on its account here.
    event Reported(uint256 indexed id, address indexed reporter, uint256 amountWei);
    event Withdrawn(address indexed account, uint256 amountWei);
    /// @notice The model was replaced; every open deposit up to `lastId` is its contributor's.
    event ReleaseEnded(uint256 lastId);
    /// @notice The end; every open deposit is its contributor's.
    event Closed();

    /// @notice The only caller of `onContribute`, `onRefund`, `onReport`, `endRelease`, `close`.
    function trainer() external view returns (address);
    /// @notice The price of one contribution in this block, in wei.
    function priceWei() external view returns (uint256);
    /// @notice Number of contributions so far; the last one's id.
    function lastId() external view returns (uint256);
    /// @notice Whether nothing is contributed any more.
    function isClosed() external view returns (bool);
    /// @notice The last contribution of releases that have ended; 0 while the first one runs.
    function endedId() external view returns (uint256);
    /// @notice Points of an account, and of all together.
    function points(address account) external view returns (uint256 own, uint256 total);
    /// @notice What a contribution's record says: `digest` is 0 if it is settled, or never was.
    function recordOf(uint256 id) external view returns (bytes32 digest, uint256 leftWei);
    /// @notice What `withdraw` would pay an account now.
    function owedWei(address account) external view returns (uint256);
    /// @notice Pays the caller everything that is owed to it.
    function withdraw() external;

    /// @notice Puts what was sent on the contributor's account, takes the price from there, and
    /// records the contribution, before the model learns from it; trainer only.
    /// @param dataDigest ContributionDigests.contributionDigest(class, features).
    /// @param predicted what the model says now.
    /// @param maximumWei the most that the contributor agreed to pay.
    function onContribute(
        address contributor,
        bytes32 dataDigest,
        uint256 class,
        uint256 predicted,
        uint256 maximumWei
    ) external payable returns (uint256 id, uint256 paidWei);

    /// @notice `caller` asks for its own deposit, the model predicting `predicted` now; trainer
    /// only.
    function onRefund(
        Contribution calldata contribution,
        bytes32 dataDigest,
        address caller,
        uint256 predicted
    ) external returns (uint256 amountWei);

    /// @notice `caller` claims a contribution that the model does not agree with now; trainer
    /// only.
    function onReport(
        Contribution calldata contribution,
        bytes32 dataDigest,
        address caller,
        uint256 predicted
    ) external returns (uint256 amountWei);

    /// @notice The model was replaced, so that nothing can be judged that was contributed before:
    /// every open deposit up to now can be refunded in full, at once; trainer only.
    function endRelease() external;

    /// @notice The same, and nothing is contributed any more; trainer only.
    function close() external;
}
