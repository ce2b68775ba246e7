// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bls12381} from "../../src/lib/Bls12381.sol";

/// @title Signs with BLS inside a test, by the multiplication precompiles of EIP-2537.
/// @notice Bls12381.t.sol shows that its keys, proofs and signatures are py_ecc's.
library BlsSigner {
    bytes internal constant G1 =
        hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
        hex"0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1";
    uint256 internal constant ORDER =
        0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    function secretKey(uint256 member) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("ddcai test signer", member))) % ORDER;
    }

    function publicKey(uint256 secret) internal view returns (bytes memory) {
        return _multiply(address(0x0c), G1, secret);
    }

    function prove(uint256 secret) internal view returns (bytes memory) {
        bytes memory message = Bls12381.compress(publicKey(secret));
        return _sign(secret, message, "BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_");
    }

    function sign(uint256 secret, bytes32 message) internal view returns (bytes memory) {
        return signBytes(secret, bytes.concat(message));
    }

    function signBytes(uint256 secret, bytes memory message) internal view returns (bytes memory) {
        return _sign(secret, message, "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_");
    }

    /// @dev The aggregate of several signatures under one message is the signature under the sum
    /// of the secret keys.
    function signAll(uint256[] memory members, bytes32 message) internal view returns (bytes memory) {
        uint256 sum = 0;
        for (uint256 i = 0; i < members.length; ++i) {
            sum = addmod(sum, secretKey(members[i]), ORDER);
        }
        return sign(sum, message);
    }

    /// @dev As above, for the set bits of a bitmap of one word.
    function signAll(uint256 bitmap, bytes32 message) internal view returns (bytes memory) {
        uint256 sum = 0;
        for (uint256 i = 0; i < 256; ++i) {
            if ((bitmap >> i) & 1 == 1) sum = addmod(sum, secretKey(i), ORDER);
        }
        return sign(sum, message);
    }

    function _sign(uint256 secret, bytes memory message, bytes memory dst)
        private
        view
        returns (bytes memory)
    {
        return _multiply(address(0x0e), Bls12381.hashToG2(message, dst), secret);
    }

    function _multiply(address precompile, bytes memory point, uint256 scalar)
        private
        view
        returns (bytes memory)
    {
        (bool ok, bytes memory output) = precompile.staticcall(bytes.concat(point, bytes32(scalar)));
        require(ok && output.length > 0, "no EIP-2537");
        return output;
    }
}
