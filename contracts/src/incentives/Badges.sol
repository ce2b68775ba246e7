// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IERC5192} from "../interfaces/IERC5192.sol";
import {IIncentive} from "../interfaces/IIncentive.sol";

/// @title Badges for numbers of points: tokens that never move (EIP-5192 on ERC-721).
/// @notice A badge's id is points * 2^160 + account: it says what it is for and whose it is, and
/// there is one of each. It is minted without asking the account (no `onERC721Received`): an
/// account that is a contract must not be able to stop its own deposit from coming back, and has
/// nothing to lose, as it cannot send badges on anyway. Approvals are taken and allow nothing.
/// @dev ERC-721 and not ERC-1155, which asks every contract that is minted to.
abstract contract Badges is ERC721, IERC5192 {
    /// @notice Badges do not move.
    error BadgeLocked(uint256 tokenId);

    uint256 private constant MAX_BADGES = 8;
    uint256 private constant ACCOUNT_BITS = 160;
    bytes4 private constant ERC5192_ID = 0xb45a3c0e;

    /// @dev 32 bits each, lowest first; 0 where there are no more: read from code, not storage.
    uint256 private immutable _packed;

    /// @param thresholds_ numbers of points, each above the one before; at most eight.
    constructor(uint32[] memory thresholds_) ERC721("ddcai contributor badge", "BADGE") {
        require(thresholds_.length <= MAX_BADGES, IIncentive.InvalidRules("badgeThresholds"));
        uint256 packed = 0;
        uint256 last = 0;
        for (uint256 i = 0; i < thresholds_.length; ++i) {
            require(thresholds_[i] > last, IIncentive.InvalidRules("badgeThresholds"));
            last = thresholds_[i];
            packed |= last << (32 * i);
        }
        _packed = packed;
    }

    /// @notice Numbers of points that bring a badge, ascending; they never change.
    function badgeThresholds() public view returns (uint32[] memory thresholds_) {
        uint256 count = 0;
        while (count < MAX_BADGES && _threshold(count) != 0) ++count;
        thresholds_ = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            thresholds_[i] = uint32(_threshold(i));
        }
    }

    /// @notice The id of an account's badge for a number of points, whether it is there or not.
    function badgeId(address account, uint32 points_) public pure returns (uint256 tokenId) {
        return uint256(points_) << ACCOUNT_BITS | uint160(account);
    }

    /// @notice Whether an account has its badge for a number of points.
    function hasBadge(address account, uint32 points_) external view returns (bool) {
        return _ownerOf(badgeId(account, points_)) != address(0);
    }

    /// @inheritdoc IERC5192
    function locked(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return true;
    }

    /// @notice A badge's name and what it is for, as JSON within a data URI: no server is asked.
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        address account = _requireOwned(tokenId);
        string memory number = Strings.toString(tokenId >> ACCOUNT_BITS);
        return string.concat(
            "data:application/json;base64,",
            Base64.encode(
                abi.encodePacked(
                    '{"name":"',
                    number,
                    ' points","description":"',
                    Strings.toChecksumHexString(account),
                    " earned ",
                    number,
                    ' points by contributions that the model agreed with. It cannot be sent on."}'
                )
            )
        );
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == ERC5192_ID || super.supportsInterface(interfaceId);
    }

    /// @dev Mints the badge for exactly this number of points, if there is one. Calls nobody.
    function _award(address account, uint256 points_) internal {
        for (uint256 i = 0; i < MAX_BADGES; ++i) {
            uint256 threshold = _threshold(i);
            if (threshold == 0 || threshold > points_) return;
            if (threshold == points_) {
                uint256 tokenId = badgeId(account, uint32(threshold));
                _mint(account, tokenId);
                emit Locked(tokenId);
            }
        }
    }

    /// @dev Every change of a token's owner passes here.
    function _update(address to, uint256 tokenId, address auth)
        internal
        override
        returns (address from)
    {
        from = super._update(to, tokenId, auth);
        require(from == address(0), BadgeLocked(tokenId));
    }

    function _threshold(uint256 index) private view returns (uint256) {
        return uint32(_packed >> (32 * index));
    }
}
