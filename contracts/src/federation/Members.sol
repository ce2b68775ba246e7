// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "../interfaces/IFederation.sol";
import {Payments} from "./Payments.sol";
import {Rulebook} from "./Rulebook.sol";

/// @title Who takes part: invitations, registration with a key, leaving with the stake.
/// @dev A member's index is its place in the quorum's list of keys and in every bitmap. Indices
/// are never used again, so that a round's record keeps its meaning; an account joins once.
abstract contract Members is Rulebook, Payments {
    struct Standing {
        bool invited;
        bool joined; // stays true after leaving
        bool active;
        uint16 index; // below MAX_MEMBERS
    }

    address[] private _members;
    mapping(address account => Standing) private _standing;

    constructor(address[] memory invited_) {
        _invite(invited_);
    }

    /// @inheritdoc IFederation
    function invite(address[] calldata members) external onlySponsor {
        _invite(members);
    }

    /// @inheritdoc IFederation
    function register(bytes calldata key, bytes calldata proof) external payable {
        Standing storage standing = _standing[msg.sender];
        require(!standing.joined, AlreadyMember(msg.sender));
        require(_openMembership || standing.invited, NotInvited(msg.sender));
        require(
            msg.value == _registrationStakeWei, WrongStake(msg.value, _registrationStakeWei)
        );
        uint256 index = _members.length;
        require(index < MAX_MEMBERS, TooManyMembers(MAX_MEMBERS));

        standing.joined = true;
        standing.active = true;
        standing.index = uint16(index); // below MAX_MEMBERS
        _members.push(msg.sender);
        emit MemberRegistered(msg.sender, index, key);
        _quorum.register(index, msg.sender, key, proof);
    }

    /// @inheritdoc IFederation
    function leave() external nonReentrant {
        uint256 index = _activeIndex(msg.sender);
        (bool busy, uint64 round) = _isBusy(index);
        require(!busy, MemberBusy(msg.sender, round));

        _standing[msg.sender].active = false;
        emit MemberLeft(msg.sender, index, _registrationStakeWei);
        _pay(msg.sender, _registrationStakeWei);
    }

    /// @inheritdoc IFederation
    function memberCount() public view returns (uint256) {
        return _members.length;
    }

    /// @inheritdoc IFederation
    function memberAt(uint256 index) external view returns (address) {
        return _members[index];
    }

    /// @inheritdoc IFederation
    function memberOf(address account) external view returns (bool active, uint256 index) {
        return (_standing[account].active, _standing[account].index);
    }

    /// @inheritdoc IFederation
    function invited(address account) external view returns (bool) {
        return _standing[account].invited;
    }

    /// @dev Whether the member has an update in a round that is neither finalised nor cancelled.
    function _isBusy(uint256 index) internal view virtual returns (bool busy, uint64 round);

    /// @dev Index of a member that takes part now; reverts for others.
    function _activeIndex(address account) internal view returns (uint256) {
        Standing storage standing = _standing[account];
        require(standing.active, NotMember(account));
        return standing.index;
    }

    /// @dev Index of a member that takes part now or did; `known` is false for strangers.
    function _indexOf(address account) internal view returns (bool known, uint256 index) {
        Standing storage standing = _standing[account];
        return (standing.joined, standing.index);
    }

    function _invite(address[] memory members) private {
        for (uint256 i = 0; i < members.length; ++i) {
            Standing storage standing = _standing[members[i]];
            if (standing.invited) continue; // inviting twice is inviting once
            standing.invited = true;
            emit MemberInvited(members[i]);
        }
    }
}
