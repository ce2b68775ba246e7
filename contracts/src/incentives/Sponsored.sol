// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IBounty} from "../interfaces/IBounty.sol";
import {ISponsored} from "../interfaces/ISponsored.sol";

/// @title Tells a bounty of points.
/// @dev Telling it in the moment of judgement, and not letting it read totals later, is what makes
/// who earned what exact: whose point came first, and whether it came before the end.
abstract contract Sponsored is ISponsored {
    struct Attached {
        IBounty bounty;
        uint40 until;
    }

    /// @dev `Bounty.onPoints` needs 37,000 at most (two new slots, an event).
    uint256 internal constant BOUNTY_GAS = 60_000;
    /// @dev All but a 64th goes to a callee (EIP-150); and the call itself costs something.
    uint256 internal constant NEEDED_GAS = BOUNTY_GAS * 64 / 63 + 5_000;

    Attached private _attached;

    /// @inheritdoc ISponsored
    function bounty() external view returns (address bounty_, uint256 until) {
        return (address(_attached.bounty), _attached.until);
    }

    /// @inheritdoc ISponsored
    function attachBounty(IBounty bounty_) external {
        require(msg.sender == Ownable(_trainer()).owner(), NotTrainersOwner(msg.sender));
        Attached memory last = _attached;
        require(
            address(last.bounty) == address(0) || block.timestamp > last.until,
            BountyRuns(address(last.bounty), last.until)
        );
        uint40 until = bounty_.until();
        require(
            bounty_.incentive() == address(this) && block.timestamp <= until,
            WrongBounty(address(bounty_))
        );
        _attached = Attached(bounty_, until);
        _noteBounty();
        emit BountyAttached(address(bounty_), until);
    }

    function _trainer() internal view virtual returns (address);

    /// @dev A bounty was attached: from now on points are to be told (`_tellBounty`).
    function _noteBounty() internal virtual;

    /// @dev Last of all effects: this calls a contract that the trainer's owner chose.
    function _tellBounty(address account, uint256 points) internal {
        Attached memory attached = _attached;
        if (block.timestamp > attached.until) return; // or there is none
        // Gas estimators look for the least with which the transaction goes through. Without
        // this it would go through without the bounty.
        require(gasleft() >= NEEDED_GAS, TooLittleGas(gasleft(), NEEDED_GAS));
        bytes memory call_ = abi.encodeCall(IBounty.onPoints, (account, points));
        address to = address(attached.bounty);
        // Not `try`: it reverts where the code is gone. Nothing of the answer is copied.
        assembly ("memory-safe") {
            pop(call(BOUNTY_GAS, to, 0, add(call_, 32), mload(call_), 0, 0))
        }
    }
}
