// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KeyHolders} from "../../src/KeyHolders.sol";
import {Vm} from "./Vm.sol";

/// @title Accounts that share a key, and what they sign.
/// @dev Holder i of a group is the account of the i-th lowest address of it.
library HolderSigner {
    Vm private constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    /// @dev Secret keys of a group, ascending by their accounts.
    function keys(string memory group, uint256 count) internal pure returns (uint256[] memory all) {
        all = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 key = uint256(keccak256(abi.encode(group, i))) >> 1;
            uint256 at = i;
            for (; at > 0 && vm.addr(all[at - 1]) > vm.addr(key); --at) {
                all[at] = all[at - 1];
            }
            all[at] = key;
        }
    }

    function accounts(uint256[] memory all) internal pure returns (address[] memory found) {
        found = new address[](all.length);
        for (uint256 i = 0; i < all.length; ++i) {
            found[i] = vm.addr(all[i]);
        }
    }

    /// @dev Signatures of the set bits of `who`, ascending.
    function sign(uint256[] memory all, uint256 who, bytes32 digest)
        internal
        pure
        returns (bytes memory signatures)
    {
        for (uint256 i = 0; i < all.length; ++i) {
            if ((who >> i) & 1 == 1) signatures = bytes.concat(signatures, one(all[i], digest));
        }
    }

    function one(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function rekeyDigest(
        KeyHolders of_,
        uint64 epoch,
        bytes32 keyDigest,
        bytes32 ceremonyDigest,
        address[] memory holders,
        uint256 threshold
    ) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("ddcai key holders"),
                keccak256("1"),
                block.chainid,
                address(of_)
            )
        );
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256(
                    "Rekey(uint64 epoch,bytes32 keyDigest,bytes32 ceremonyDigest,address[] holders,uint256 threshold)"
                ),
                epoch,
                keyDigest,
                ceremonyDigest,
                keccak256(abi.encodePacked(holders)),
                threshold
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, struct_));
    }
}
