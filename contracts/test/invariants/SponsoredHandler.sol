// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bounty} from "../../src/incentives/Bounty.sol";
import {IBounty} from "../../src/interfaces/IBounty.sol";
import {IIncentive} from "../../src/interfaces/IIncentive.sol";
import {ISponsored} from "../../src/interfaces/ISponsored.sol";
import {PlainPerceptron} from "../helpers/PlainPerceptron.sol";
import {PointsFixture} from "../helpers/PointsFixture.sol";
import {FeeToken} from "../helpers/Tokens.sol";

/// @title Random walks of four accounts, one of them the sponsor, through a trainer with a bounty.
/// @notice What went in and out, and what should have been earned, is counted here.
abstract contract SponsoredHandler is PointsFixture {
    uint128 public constant RATE = 1_000_003;

    Bounty[] public bounties;
    uint256 public fundedAmount;
    uint256 public paidAmount; // claims, as they left
    uint256 public reclaimedAmount;
    /// @dev Refunds that should bring a point, and what they should bring of a bounty.
    uint256 public judged;
    mapping(address account => uint256) public judgedOf;
    mapping(address account => uint256) public earnedBy;
    mapping(address account => uint256) public claimedBy;

    IIncentive.Contribution[] private _contributions;
    uint256[] private _features;
    uint256[] private _releases;
    mapping(uint256 id => bool) private _settled;

    function theIncentive() external view returns (IIncentive) {
        return incentive;
    }

    function accounts() public pure returns (address[4] memory) {
        return [OWNER, ALICE, BOB, CAROL];
    }

    function bountyCount() external view returns (uint256) {
        return bounties.length;
    }

    function asset() public view virtual returns (address);

    function balanceOf(address account) public view virtual returns (uint256);

    /// @dev Funds from the sponsor; returns what arrived.
    function _fund(Bounty bounty, uint256 amount) internal virtual returns (uint256 arrived);

    function fund(uint256 amount) external {
        Bounty bounty = _last();
        if (block.timestamp > bounty.until()) return;
        fundedAmount += _fund(bounty, _bound(amount, RATE / 2, 3 * RATE));
    }

    /// @dev The next bounty, when the last one is over.
    function attach() external {
        if (block.timestamp > _last().until()) _attach();
    }

    function contribute(uint256 from, uint256 feature, uint256 class) external {
        address account = accounts()[from % 4];
        (feature, class) = (feature % 2, class % 3); // few, so that they meet
        uint256 price = incentive.priceWei();
        (uint256 before, uint256 release) = (predicted(feature), model.release());
        vm.prank(account);
        (bool ok, bytes memory answer) = address(trainer).call{value: price}(
            abi.encodeCall(
                trainer.contribute, (sample(feature), class, release, price, block.timestamp)
            )
        );
        if (!ok) return; // the daily limit
        _contributions.push(
            IIncentive.Contribution(
                abi.decode(answer, (uint256)), account, class, before, price, block.timestamp
            )
        );
        _features.push(feature);
        _releases.push(release);
    }

    function tryRefund(uint256 choice) public {
        if (_contributions.length == 0) return;
        uint256 index = choice % _contributions.length;
        IIncentive.Contribution memory one = _contributions[index];
        bool earns = !_settled[one.id] && one.predicted != one.class
            && _releases[index] == model.release() && block.timestamp >= one.time + R
            && predicted(_features[index]) == one.class;
        Bounty bounty = _last();
        (uint256 left,) = bounty.budget();
        vm.prank(one.contributor);
        (bool ok,) = address(trainer).call(
            abi.encodeCall(trainer.refund, (one, sample(_features[index])))
        );
        vm.assertTrue(ok || !earns);
        if (!ok) return;
        _settled[one.id] = true;
        if (!earns) return;
        ++judged;
        ++judgedOf[one.contributor];
        if (block.timestamp <= bounty.until() && left >= RATE) earnedBy[one.contributor] += RATE;
    }

    function tryRefunds() external {
        for (uint256 i = 0; i < _contributions.length; ++i) {
            tryRefund(i);
        }
    }

    function tryClaim(uint256 which, uint256 from) external {
        Bounty bounty = bounties[which % bounties.length];
        address account = accounts()[from % 4];
        uint256 owed = bounty.owedTo(account);
        uint256 before = balanceOf(address(bounty));
        (bool ok,) = address(bounty).call(abi.encodeCall(bounty.claim, (account)));
        vm.assertEq(ok, owed > 0);
        paidAmount += before - balanceOf(address(bounty));
        claimedBy[account] += before - balanceOf(address(bounty));
    }

    function tryReclaim(uint256 which) external {
        Bounty bounty = bounties[which % bounties.length];
        (uint256 left,) = bounty.budget();
        uint256 before = balanceOf(address(bounty));
        (bool ok,) = address(bounty).call(abi.encodeCall(bounty.reclaim, ()));
        vm.assertEq(ok, block.timestamp > bounty.until() && left > 0);
        reclaimedAmount += before - balanceOf(address(bounty));
    }

    /// @dev A bounty can be told of points by nobody else, nor exchanged while it runs.
    function tryToDisturb(uint256 from) external {
        address account = accounts()[from % 4];
        Bounty bounty = _last();
        vm.prank(account);
        (bool ok,) = address(bounty).call(abi.encodeCall(bounty.onPoints, (account, 1)));
        vm.assertFalse(ok);
        if (block.timestamp > bounty.until()) return;
        Bounty other = new Bounty(address(incentive), _terms());
        (ok,) = address(incentive).call(abi.encodeCall(ISponsored.attachBounty, (other)));
        vm.assertFalse(ok);
    }

    function replaceModel(uint256 choice) external {
        if (choice % 16 == 0) PlainPerceptron(address(model)).replace();
    }

    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + seconds_ % (R + 1));
    }

    function _begin() internal {
        vm.deal(OWNER, 1e30);
        _attach();
    }

    function _attach() private {
        bounties.push(new Bounty(address(incentive), _terms()));
        ISponsored(address(incentive)).attachBounty(_last());
    }

    function _last() internal view returns (Bounty) {
        return bounties[bounties.length - 1];
    }

    function _terms() private view returns (IBounty.Terms memory) {
        return IBounty.Terms(OWNER, asset(), RATE, uint40(block.timestamp + 5 * R));
    }
}

/// @title Deposits, and a bounty in ether.
contract EtherHandler is SponsoredHandler {
    constructor() {
        deploy(defaultRules());
        _begin();
    }

    function asset() public pure override returns (address) {
        return address(0);
    }

    function balanceOf(address account) public view override returns (uint256) {
        return account.balance;
    }

    function _fund(Bounty bounty, uint256 amount) internal override returns (uint256) {
        vm.prank(OWNER);
        bounty.fund{value: amount}(amount);
        return amount;
    }
}

/// @title Points and badges, and a bounty in a token that keeps a fee.
contract TokenHandler is SponsoredHandler {
    FeeToken private immutable _token;
    bool public aBadgeMoved;

    constructor() {
        deployPoints(pointsRules());
        _token = new FeeToken();
        _begin();
    }

    function asset() public view override returns (address) {
        return address(_token);
    }

    function balanceOf(address account) public view override returns (uint256) {
        return _token.balanceOf(account);
    }

    function tryToMoveBadge(uint256 from, uint256 to, uint256 which, uint256 by) external {
        address[4] memory all = accounts();
        uint32 threshold = pointsRules().badgeThresholds[which % 3];
        uint256 tokenId = points().badgeId(all[from % 4], threshold);
        vm.prank(all[from % 4]);
        points().setApprovalForAll(all[by % 4], true);
        vm.prank(all[by % 4]);
        (bool ok,) = address(points()).call(
            abi.encodeCall(points().transferFrom, (all[from % 4], all[to % 4], tokenId))
        );
        if (ok) aBadgeMoved = true;
    }

    function _fund(Bounty bounty, uint256 amount) internal override returns (uint256) {
        uint256 before = _token.balanceOf(address(bounty));
        _token.mint(OWNER, amount);
        vm.prank(OWNER);
        _token.approve(address(bounty), amount);
        vm.prank(OWNER);
        bounty.fund(amount);
        return _token.balanceOf(address(bounty)) - before;
    }
}
