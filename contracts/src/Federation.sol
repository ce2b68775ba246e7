// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC165} from "@openzeppelin/contracts/utils/introspection/ERC165.sol";
import {Deposits} from "./federation/Deposits.sol";
import {Members} from "./federation/Members.sol";
import {RoundRecords} from "./federation/RoundRecords.sol";
import {Rulebook} from "./federation/Rulebook.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {IHead} from "./interfaces/IHead.sol";
import {IQuorum} from "./interfaces/IQuorum.sol";

/// @title One federation.
/// @dev Rulebook (rules), Members, RoundRecords (what is stored), Rounds (the state machine),
/// Deposits (payments): one file each.
/// The deployer is the sponsor. It deploys quorum and head before, writes the initial head, and
/// hands both over to this contract before the first round.
contract Federation is Deposits, ERC165 {
    constructor(
        Rules memory rules_,
        bytes32 initialModelDigest,
        IQuorum quorum_,
        IHead head_,
        address[] memory invited_
    ) Rulebook(rules_, quorum_, head_) Members(invited_) RoundRecords(initialModelDigest) {}

    /// @inheritdoc ERC165
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IFederation).interfaceId || super.supportsInterface(interfaceId);
    }
}
