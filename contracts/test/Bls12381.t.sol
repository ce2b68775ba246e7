// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bits} from "../src/lib/Bits.sol";
import {Bls12381} from "../src/lib/Bls12381.sol";
import {CodePage} from "../src/lib/CodePage.sol";
import {BlsSigner} from "./helpers/BlsSigner.sol";
import {Test} from "./helpers/Vm.sol";

/// @notice Vectors are py_ecc's and RFC 9380's: test/vectors/make_vectors.py.
contract Bls12381Test is Test {
    function test_hashToG2_is_py_ecc_and_rfc9380() public view {
        string memory json = vm.readFile("test/vectors/hashing.json");
        bytes memory dst = vm.parseJsonBytes(json, ".dst");
        bytes[] memory messages = vm.parseJsonBytesArray(json, ".messages");
        bytes[] memory expanded = vm.parseJsonBytesArray(json, ".expanded");
        bytes[] memory points = vm.parseJsonBytesArray(json, ".points");
        vm.assertEq(messages.length, 4);
        for (uint256 i = 0; i < messages.length; ++i) {
            vm.assertEq(Bls12381.expandMessage(messages[i], dst), expanded[i]);
            vm.assertEq(Bls12381.hashToG2(messages[i], dst), points[i]);
        }
    }

    function test_compress_is_py_ecc() public view {
        string memory json = vm.readFile("test/vectors/bls.json");
        bytes[] memory keys = vm.parseJsonBytesArray(json, ".keys");
        bytes[] memory compressed = vm.parseJsonBytesArray(json, ".compressedKeys");
        uint256 larger = 0;
        for (uint256 i = 0; i < keys.length; ++i) {
            vm.assertEq(Bls12381.compress(keys[i]), compressed[i]);
            if (uint8(compressed[i][0]) & 0x20 != 0) ++larger;
        }
        // Both roots occur among the vectors, so that the flag is tested both ways.
        vm.assertTrue(larger > 0 && larger < keys.length);
    }

    function test_signer_of_the_tests_is_py_ecc() public view {
        string memory json = vm.readFile("test/vectors/bls.json");
        uint256[] memory secrets = vm.parseJsonUintArray(json, ".secretKeys");
        bytes[] memory keys = vm.parseJsonBytesArray(json, ".keys");
        bytes[] memory proofs = vm.parseJsonBytesArray(json, ".proofs");
        bytes[] memory signatures = vm.parseJsonBytesArray(json, ".signatures");
        bytes32 message = vm.parseJsonBytes32(json, ".message");
        for (uint256 i = 0; i < secrets.length; ++i) {
            vm.assertEq(BlsSigner.publicKey(secrets[i]), keys[i]);
            vm.assertEq(BlsSigner.prove(secrets[i]), proofs[i]);
            vm.assertEq(BlsSigner.sign(secrets[i], message), signatures[i]);
        }
    }

    function addStored(bytes32 a, bytes32 b, bytes32 c) external view {
        Bls12381.addG1(Bls12381.newSum(), a, b, c);
    }

    function addPacked(bytes calldata data) external {
        Bls12381.addG1(Bls12381.newSum(), CodePage.write(data), 0, 1);
    }

    function test_bad_points_are_not_added() public {
        bytes memory error_ =
            abi.encodeWithSelector(Bls12381.PrecompileFailed.selector, address(0x0b));
        vm.expectRevert(error_);
        this.addStored(bytes32(uint256(1)), 0, 0); // off the curve
        vm.expectRevert(error_);
        this.addStored(bytes32(type(uint256).max), 0, 0); // beyond p
        bytes memory off = new bytes(96);
        off[95] = 0x01;
        vm.expectRevert(error_);
        this.addPacked(off);
    }

    /// forge-config: default.fuzz.runs = 128
    function testFuzz_sums_are_those_of_the_scalars(uint256 a, uint256 b, uint256 c) public view {
        (a, b, c) = (a % 50, b % 50, c % 50); // equal and opposite points occur
        bytes memory sum = _sumOf(a);
        _add(sum, b);
        uint256 scalar = addmod(a, b, BlsSigner.ORDER);
        bytes memory other = _sumOf(c);
        Bls12381.subtractG1(sum, other);
        scalar = addmod(scalar, BlsSigner.ORDER - c, BlsSigner.ORDER);
        bytes memory expected = scalar == 0 ? new bytes(128) : BlsSigner.publicKey(scalar);
        vm.assertEq(Bls12381.firstPoint(sum), expected);
    }

    function _sumOf(uint256 scalar) private view returns (bytes memory sum) {
        sum = Bls12381.newSum();
        _add(sum, scalar);
    }

    function _add(bytes memory sum, uint256 scalar) private view {
        if (scalar == 0) return;
        bytes memory other = bytes.concat(BlsSigner.publicKey(scalar), new bytes(128));
        (bytes32 a, bytes32 b, bytes32 c) = Bls12381.words(other);
        Bls12381.addG1(sum, a, b, c);
    }

    function testFuzz_bits_are_counted_one_by_one(uint256 word) public pure {
        _checkBits(word);
        _checkBits(word & (word >> 128)); // sparse
        _checkBits(word | (word << 128)); // dense
    }

    function test_bits_at_the_ends() public pure {
        vm.assertEq(Bits.count(0), 0);
        _checkBits(type(uint256).max);
        _checkBits(1);
        _checkBits(1 << 255);
    }

    function _checkBits(uint256 word) private pure {
        uint256 count = 0;
        uint256 lowest = 256;
        for (uint256 i = 256; i > 0; --i) {
            if ((word >> (i - 1)) & 1 == 1) {
                ++count;
                lowest = i - 1;
            }
        }
        vm.assertEq(Bits.count(word), count);
        if (word != 0) vm.assertEq(Bits.lowest(word), lowest);
    }
}
