// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {EcdsaQuorum} from "../src/EcdsaQuorum.sol";
import {IQuorum} from "../src/interfaces/IQuorum.sol";
import {Test} from "./helpers/Vm.sol";
import {EcdsaSigner} from "./helpers/EcdsaSigner.sol";

contract EcdsaQuorumTest is Test {
    uint256 private constant ORDER =
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    bytes32 private constant MESSAGE = keccak256("message");
    address private constant MEMBER = address(0xA000);

    EcdsaQuorum private quorum;

    function setUp() public {
        quorum = new EcdsaQuorum();
    }

    function test_register_keeps_the_key() public {
        _register(quorum, 0, 3);
        vm.assertEq(quorum.keyCount(), 3);
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertEq(quorum.keyOf(i), _key(i));
        }
        vm.assertEq(bytes(quorum.scheme()), "ecdsa");
    }

    function test_register_is_the_owners() public {
        address stranger = address(0xbad);
        bytes memory proof = _proof(quorum, 0, MEMBER);
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger)
        );
        quorum.register(0, MEMBER, _key(0), proof);
        vm.assertEq(quorum.keyCount(), 0);
    }

    function test_register_refuses_another_index() public {
        _refuse(1, MEMBER, _key(0), _proof(quorum, 0, MEMBER), abi.encodeWithSelector(IQuorum.UnexpectedIndex.selector, 1, 0));
    }

    function test_register_refuses_a_key_twice() public {
        _register(quorum, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IQuorum.KeyInUse.selector, keccak256(_key(0))));
        quorum.register(1, MEMBER, _key(0), _proof(quorum, 0, MEMBER));
        vm.assertEq(quorum.keyCount(), 1);
    }

    function test_register_refuses_lengths_and_zero() public {
        bytes memory proof = _proof(quorum, 0, MEMBER);
        _refuse(0, MEMBER, "", proof, abi.encodeWithSelector(IQuorum.InvalidKey.selector, 0));
        _refuse(0, MEMBER, bytes.concat(_key(0), hex"00"), proof, abi.encodeWithSelector(IQuorum.InvalidKey.selector, 21));
        _refuse(0, MEMBER, new bytes(20), proof, abi.encodeWithSelector(IQuorum.InvalidKey.selector, 20));
        // A malformed signature recovers to zero: it proves nothing about key zero.
        _refuse(0, MEMBER, new bytes(20), new bytes(65), abi.encodeWithSelector(IQuorum.InvalidKey.selector, 20));
    }

    function test_register_refuses_false_proofs() public {
        bytes memory error_ = abi.encodeWithSelector(IQuorum.InvalidProofOfPossession.selector, 0);
        _refuse(0, MEMBER, _key(0), "", error_);
        _refuse(0, MEMBER, _key(0), new bytes(65), error_);
        _refuse(0, MEMBER, _key(0), bytes.concat(_proof(quorum, 0, MEMBER), hex"00"), error_);
        _refuse(0, MEMBER, _key(0), _proof(quorum, 1, MEMBER), error_); // another key's
        // Copied from somebody else's transaction.
        _refuse(0, address(0xbad), _key(0), _proof(quorum, 0, MEMBER), error_);
        // Another quorum's, another chain's, an attestation's.
        _refuse(0, MEMBER, _key(0), _proof(new EcdsaQuorum(), 0, MEMBER), error_);
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        bytes memory elsewhere = _proof(quorum, 0, MEMBER);
        vm.chainId(chain);
        _refuse(0, MEMBER, _key(0), elsewhere, error_);
        bytes32 asMessage = bytes32(uint256(uint160(MEMBER)));
        _refuse(0, MEMBER, _key(0), EcdsaSigner.sign(address(quorum), 0, asMessage), error_);
        _refuse(0, MEMBER, _key(0), _malleable(_proof(quorum, 0, MEMBER)), error_);
    }

    function test_verify_refuses_what_is_not_exact() public {
        _register(quorum, 0, 5);
        bytes memory signature = _sign(quorum, 0x15);
        vm.assertTrue(quorum.verify(MESSAGE, _bitmap(0x15), signature));
        vm.assertFalse(quorum.verify(keccak256("other"), _bitmap(0x15), signature));
        for (uint256 i = 0; i < 8; ++i) {
            vm.assertFalse(quorum.verify(MESSAGE, _bitmap(0x15 ^ (1 << i)), signature));
        }
        // Lengths, and signatures left over.
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(0x15), ""));
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(0x15), bytes.concat(signature, hex"00")));
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(0x15), bytes.concat(signature, _one(quorum, 3))));
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(0x5), signature));
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(0), ""));
        vm.assertFalse(quorum.verify(MESSAGE, new uint256[](0), ""));
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(1 << 5), new bytes(65))); // no such member
        uint256[] memory far = new uint256[](9);
        far[8] = 1;
        vm.assertFalse(quorum.verify(MESSAGE, far, new bytes(65)));
    }

    function test_verify_refuses_wrong_signers_and_orders() public {
        _register(quorum, 0, 5);
        uint256[] memory both = _bitmap(0x3);
        vm.assertTrue(quorum.verify(MESSAGE, both, bytes.concat(_one(quorum, 0), _one(quorum, 1))));
        vm.assertFalse(quorum.verify(MESSAGE, both, bytes.concat(_one(quorum, 1), _one(quorum, 0))));
        vm.assertFalse(quorum.verify(MESSAGE, both, bytes.concat(_one(quorum, 0), _one(quorum, 0))));
        vm.assertFalse(quorum.verify(MESSAGE, both, bytes.concat(_one(quorum, 0), _one(quorum, 9))));
    }

    function test_verify_refuses_replays_and_raw_hashes() public {
        _register(quorum, 0, 1);
        EcdsaQuorum other = new EcdsaQuorum();
        _register(other, 0, 1);
        vm.assertTrue(other.verify(MESSAGE, _bitmap(1), _one(other, 0)));
        vm.assertFalse(other.verify(MESSAGE, _bitmap(1), _one(quorum, 0)));
        bytes memory signature = _one(quorum, 0);
        uint256 chain = block.chainid;
        vm.chainId(chain + 1); // a fork of the chain
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(1), signature));
        vm.chainId(chain);
        vm.assertTrue(quorum.verify(MESSAGE, _bitmap(1), signature));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(EcdsaSigner.secretKey(0), MESSAGE);
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(1), abi.encodePacked(r, s, v)));
        bytes32 asMessage = bytes32(uint256(uint160(MEMBER)));
        vm.assertFalse(quorum.verify(asMessage, _bitmap(1), _proof(quorum, 0, MEMBER)));
    }

    function test_verify_refuses_a_second_form_of_a_signature() public {
        _register(quorum, 0, 1);
        bytes memory signature = _one(quorum, 0);
        bytes memory other = _malleable(signature);
        // ecrecover itself takes it.
        (bytes32 r, bytes32 s, uint8 v) = EcdsaSigner.split(other);
        vm.assertEq(
            ecrecover(EcdsaSigner.attestation(address(quorum), MESSAGE), v, r, s),
            address(bytes20(_key(0)))
        );
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(1), other));
        signature[64] = bytes1(uint8(signature[64]) - 27);
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(1), signature));
    }

    /// forge-config: default.fuzz.runs = 128
    function testFuzz_verify_refuses_a_flipped_bit(uint256 bit) public {
        _register(quorum, 0, 3);
        bytes memory signature = _sign(quorum, 0x7);
        bit = bit % (8 * signature.length);
        signature[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(0x7), signature));
    }

    /// forge-config: default.fuzz.runs = 64
    function testFuzz_verify_does_not_depend_on_packing(uint256 early, uint256 signers, uint256 flip)
        public
    {
        early = early % 13;
        signers = _bound(signers, 1, (1 << 12) - 1);
        for (uint256 i = 0; i < 12; ++i) {
            if (i > 0 && i == early) quorum.pack(0);
            _register(quorum, i, 1);
        }
        bytes memory signature = _sign(quorum, signers);
        vm.assertTrue(quorum.verify(MESSAGE, _bitmap(signers), signature));
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(signers ^ (1 << (flip % 12))), signature));
        vm.assertFalse(quorum.verify(MESSAGE, _bitmap(signers | (1 << 12)), signature));
    }

    function test_pack_writes_the_keys_of_each_page() public {
        _register(quorum, 0, 130);
        vm.prank(address(0xbad));
        quorum.pack(1);
        quorum.pack(0);
        vm.assertEq(quorum.packedCount(0), 128);
        vm.assertEq(quorum.packedCount(1), 2);
        _register(quorum, 130, 128);
        quorum.pack(1);
        vm.assertEq(quorum.packedCount(1), 128);
        uint256[] memory signers = new uint256[](2);
        signers[0] = (1 << 0) | (1 << 127) | (1 << 129) | (1 << 255);
        signers[1] = 2; // in storage still
        bytes memory signature = bytes.concat(
            _one(quorum, 0), _one(quorum, 127), _one(quorum, 129), _one(quorum, 255), _one(quorum, 257)
        );
        vm.assertTrue(quorum.verify(MESSAGE, signers, signature));
        signers[1] = 1;
        vm.assertFalse(quorum.verify(MESSAGE, signers, signature));
        signers[1] = 4; // nobody
        vm.assertFalse(quorum.verify(MESSAGE, signers, signature));
    }

    function test_pack_refuses_when_nothing_is_new() public {
        vm.expectRevert(abi.encodeWithSelector(IQuorum.NothingToPack.selector, 0, 0));
        quorum.pack(0);
        _register(quorum, 0, 3);
        vm.expectRevert(abi.encodeWithSelector(IQuorum.NothingToPack.selector, 1, 0));
        quorum.pack(1);
        quorum.pack(0);
        vm.expectRevert(abi.encodeWithSelector(IQuorum.NothingToPack.selector, 0, 3));
        quorum.pack(0);
    }

    function _register(EcdsaQuorum to, uint256 first, uint256 count) private {
        for (uint256 i = first; i < first + count; ++i) {
            to.register(i, MEMBER, _key(i), _proof(to, i, MEMBER));
        }
    }

    function _key(uint256 member) private pure returns (bytes memory) {
        return EcdsaSigner.publicKey(member);
    }

    function _proof(EcdsaQuorum of_, uint256 i, address member) private view returns (bytes memory) {
        return EcdsaSigner.prove(address(of_), i, member);
    }

    function _one(EcdsaQuorum of_, uint256 i) private view returns (bytes memory) {
        return EcdsaSigner.sign(address(of_), i, MESSAGE);
    }

    function _sign(EcdsaQuorum of_, uint256 signers) private view returns (bytes memory) {
        return EcdsaSigner.signAll(address(of_), signers, MESSAGE);
    }

    /// @dev The same signature with the other s and v: ecrecover takes both.
    function _malleable(bytes memory signature) private pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = EcdsaSigner.split(signature);
        return abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
    }

    /// @dev `register` reverts with exactly this error and stores nothing.
    function _refuse(uint256 i, address member, bytes memory key, bytes memory proof, bytes memory error_)
        private
    {
        (bool ok, bytes memory answer) =
            address(quorum).call(abi.encodeCall(quorum.register, (i, member, key, proof)));
        vm.assertFalse(ok);
        vm.assertEq(answer, error_);
        vm.assertEq(quorum.keyCount(), 0);
    }
}
