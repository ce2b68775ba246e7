// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {Vm} from "./Vm.sol";

/// @title Node keys, and what accounts sign to bind them; EIP-712 written out a second time.
library NodeSigner {
    Vm private constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    /// @dev 49 bytes; of no point that anybody knows.
    function key(uint256 seed) internal pure returns (bytes memory) {
        bytes32 first = keccak256(abi.encode("node key", seed));
        return abi.encodePacked(bytes1(0x02), first, bytes16(keccak256(abi.encode(first))));
    }

    function one(uint256 secret, bytes32 digest_) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest_);
        return abi.encodePacked(r, s, v);
    }

    function digest(
        NodeRegistry of_,
        address account_,
        address federation_,
        uint256 number,
        bytes memory key_
    ) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("ddcai nodes"),
                keccak256("1"),
                block.chainid,
                address(of_)
            )
        );
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256(
                    "NodeKey(address account,address federation,uint256 binding,bytes publicKey)"
                ),
                account_,
                federation_,
                number,
                keccak256(key_)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, struct_));
    }
}
