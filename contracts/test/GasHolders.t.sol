// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {KeyHolders} from "../src/KeyHolders.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";
import {HolderSigner} from "./helpers/HolderSigner.sol";

/// @notice Gas of a key that several accounts hold; as in Gas.t.sol.
/// forge-config: default.isolate = true
contract GasSnapshotOfHolders is FederationFixture {
    using HolderSigner for uint256[];

    function test_gas_of_key_holders() public {
        _holders(3, 2, 0x5, "2 of 3");
        _holders(5, 3, 0x15, "3 of 5");
        _holders(9, 5, 0x155, "5 of 9");
        vm.snapshotValue("sizes", "KeyHolders", address(_new(2, 2)).code.length);
    }

    function _new(uint256 count, uint256 threshold) private returns (KeyHolders) {
        address[] memory holders = HolderSigner.keys("holders", count).accounts();
        return new KeyHolders(holders, threshold, keccak256("key"), keccak256("ceremony"), 3600);
    }

    function _holders(uint256 count, uint256 threshold, uint256 who, string memory name) private {
        uint256[] memory keys = HolderSigner.keys("holders", count);
        KeyHolders parties = _new(count, threshold);
        IFederation.Rules memory rules = defaultRules();
        rules.keyHolder = address(parties);
        deploy(rules);
        inviteAndRegister(5);
        _round(parties, keys, who); // the first round also pays for slots that later ones only change
        bytes memory opening = _round(parties, keys, who);
        vm.snapshotGasLastCall(
            "KeyHolders", string.concat("finalizeRound, 4 signers, head 16x2, key of ", name)
        );

        // As a transaction: a static call would not be isolated.
        bytes32 message = federation.openingMessage(federation.lastRound(), SUM, OPENED);
        (bool ok, bytes memory answer) =
            address(parties).call(abi.encodeCall(parties.isValidSignature, (message, opening)));
        vm.assertTrue(ok && abi.decode(answer, (bytes4)) == IERC1271.isValidSignature.selector);
        vm.snapshotGasLastCall("KeyHolders", string.concat("isValidSignature, ", name));

        _rekey(parties, keys, threshold, who);
        vm.snapshotGasLastCall("KeyHolders", string.concat("rekey, ", name));
    }

    function _rekey(KeyHolders parties, uint256[] memory keys, uint256 threshold, uint256 who)
        private
    {
        (bytes32 key, bytes32 ceremony) = (keccak256("key 2"), keccak256("ceremony 2"));
        address[] memory same = keys.accounts();
        bytes32 digest = HolderSigner.rekeyDigest(parties, 2, key, ceremony, same, threshold);
        parties.rekey(key, ceremony, same, threshold, keys.sign(who, digest));
    }

    /// @dev A round whose last call is `finalizeRound`; the holders' signature.
    function _round(KeyHolders parties, uint256[] memory keys, uint256 who)
        private
        returns (bytes memory opening)
    {
        uint64 round = open();
        submitMany(round, 5);
        afterSubmitting(round);
        seal(round, 15);
        bytes32 message = federation.openingMessage(round, SUM, OPENED);
        opening = abi.encodePacked(parties.epochCount(), keys.sign(who, message));
        bytes memory signature = quorumSignature(round, 15);
        (bool ok,) = address(federation).call(
            finalizingWith(round, resultOf(round), opening, headWords(round), 15, signature)
        );
        vm.assertTrue(ok);
    }
}
