// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @title Signs for an `EcdsaQuorum` inside a test; EIP-712 written out a second time.
library EcdsaSigner {
    Vm private constant vm = Vm(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);

    function secretKey(uint256 member) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("ddcai test ECDSA signer", member))) >> 1;
    }

    function publicKey(uint256 member) internal pure returns (bytes memory) {
        return abi.encodePacked(vm.addr(secretKey(member)));
    }

    function prove(address quorum, uint256 member, address account)
        internal
        view
        returns (bytes memory)
    {
        bytes32 struct_ = keccak256(abi.encode(keccak256("Possession(address member)"), account));
        return _sign(member, _typed(quorum, struct_));
    }

    function sign(address quorum, uint256 member, bytes32 message)
        internal
        view
        returns (bytes memory)
    {
        return _sign(member, attestation(quorum, message));
    }

    /// @dev Of the set bits of a bitmap of one word, in ascending order.
    function signAll(address quorum, uint256 members, bytes32 message)
        internal
        view
        returns (bytes memory signature)
    {
        for (uint256 i = 0; i < 256; ++i) {
            if ((members >> i) & 1 == 1) {
                signature = bytes.concat(signature, sign(quorum, i, message));
            }
        }
    }

    function attestation(address quorum, bytes32 message) internal view returns (bytes32) {
        return _typed(
            quorum, keccak256(abi.encode(keccak256("Attestation(bytes32 message)"), message))
        );
    }

    function split(bytes memory signature)
        internal
        pure
        returns (bytes32 r, bytes32 s, uint8 v)
    {
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
    }

    function _sign(uint256 member, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secretKey(member), digest);
        return abi.encodePacked(r, s, v);
    }

    function _typed(address quorum, bytes32 struct_) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("ddcai quorum"),
                keccak256("1"),
                block.chainid,
                quorum
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, struct_));
    }
}
