// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {KeyHolders} from "../src/KeyHolders.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";
import {HolderSigner} from "./helpers/HolderSigner.sol";
import {NodeSigner} from "./helpers/NodeSigner.sol";

/// @notice Accounts with known keys bind their nodes' keys.
contract NodeRegistryTest is FederationFixture {
    using HolderSigner for uint256[];

    uint256 private constant ORDER =
        0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    uint256 private constant MEMBER_KEY = uint256(keccak256("member"));
    uint256 private constant OTHER_KEY = uint256(keccak256("other member"));
    uint256 private constant STRANGER_KEY = uint256(keccak256("stranger"));

    NodeRegistry private registry;
    address private member;
    address private other;

    function setUp() public {
        deploy(defaultRules());
        registry = new NodeRegistry(federation);
        member = _join(MEMBER_KEY, 0);
        other = _join(OTHER_KEY, 1);
    }

    function test_binds_what_a_member_signed_whoever_sends_it() public {
        vm.assertEq(registry.keyOf(member), "");
        vm.assertEq(registry.bindings(member), 0);
        bytes memory signature = _sign(MEMBER_KEY, 1, _key(1));
        vm.expectEmit(address(registry));
        emit INodeRegistry.NodeKeyBound(member, 1, _key(1));
        vm.prank(STRANGER);
        registry.bind(member, _key(1), signature);
        _check(member, 1, _key(1));
        _check(other, 0, "");
        vm.assertEq(address(registry.federation()), address(federation));
    }

    function test_a_key_is_replaced_and_the_old_signature_is_spent() public {
        bytes memory first = _sign(MEMBER_KEY, 1, _key(1));
        registry.bind(member, _key(1), first);
        bytes memory second = _sign(MEMBER_KEY, 2, _key(2));
        registry.bind(member, _key(2), second);
        _check(member, 2, _key(2));
        // Replayed: by it somebody who stole the first key would be let in again.
        _refuse(member, _key(1), first, _unsigned(member, 3));
        _refuse(member, _key(2), second, _unsigned(member, 3));
    }

    function test_two_accounts_may_name_one_key() public {
        // Else a member that saw another's key could take it, and keep the other one out.
        registry.bind(other, _key(1), _sign(OTHER_KEY, 1, _key(1)));
        registry.bind(member, _key(1), _sign(MEMBER_KEY, 1, _key(1)));
        _check(member, 1, _key(1));
        _check(other, 1, _key(1));
    }

    function test_refuses_what_the_account_did_not_sign() public {
        bytes memory error_ = _unsigned(member, 1);
        bytes memory good = _sign(MEMBER_KEY, 1, _key(1));
        _refuse(member, _key(2), good, error_); // another key
        _refuse(member, _key(1), _sign(MEMBER_KEY, 2, _key(1)), error_); // another binding
        _refuse(member, _key(1), _sign(MEMBER_KEY, 0, _key(1)), error_);
        _refuse(member, _key(1), _sign(OTHER_KEY, 1, _key(1)), error_); // another member
        _refuse(other, _key(1), good, _unsigned(other, 1)); // as another member
        _refuse(member, _key(1), "", error_);
        _refuse(member, _key(1), new bytes(65), error_);
        _refuse(member, _key(1), bytes.concat(good, hex"00"), error_);
        _refuse(member, _key(1), _malleable(good), error_);
    }

    function test_refuses_what_was_signed_for_elsewhere() public {
        bytes memory error_ = _unsigned(member, 1);
        NodeRegistry second = new NodeRegistry(federation);
        bytes32 digest = NodeSigner.digest(second, member, address(federation), 1, _key(1));
        _refuse(member, _key(1), NodeSigner.one(MEMBER_KEY, digest), error_); // another registry
        digest = NodeSigner.digest(registry, member, address(second), 1, _key(1));
        _refuse(member, _key(1), NodeSigner.one(MEMBER_KEY, digest), error_); // another federation
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        bytes memory elsewhere = _sign(MEMBER_KEY, 1, _key(1));
        vm.chainId(chain);
        _refuse(member, _key(1), elsewhere, error_); // another chain
    }

    function test_refuses_strangers_and_those_who_left() public {
        address stranger = vm.addr(STRANGER_KEY);
        bytes memory error_ = _outside(stranger);
        _refuse(stranger, _key(1), _sign(STRANGER_KEY, 1, _key(1)), error_);
        _refuse(address(0), _key(1), new bytes(65), _outside(address(0)));
        vm.prank(member);
        federation.leave();
        _refuse(member, _key(1), _sign(MEMBER_KEY, 1, _key(1)), _outside(member));
    }

    function test_refuses_other_forms_of_keys() public {
        bytes[5] memory keys = [
            bytes(""),
            new bytes(49),
            bytes.concat(hex"04", new bytes(96)), // the uncompressed form
            bytes.concat(_key(1), hex"00"),
            bytes.concat(hex"04", new bytes(48))
        ];
        for (uint256 i = 0; i < keys.length; ++i) {
            bytes memory error_ =
                abi.encodeWithSelector(INodeRegistry.InvalidNodeKey.selector, keys[i]);
            _refuse(member, keys[i], _sign(MEMBER_KEY, 1, keys[i]), error_);
        }
    }

    function test_the_key_holder_binds_a_key() public {
        address holder = vm.addr(KEY_HOLDER_KEY);
        registry.bind(holder, _key(3), _sign(KEY_HOLDER_KEY, 1, _key(3)));
        _check(holder, 1, _key(3));
    }

    function test_current_key_holders_bind_keys() public {
        uint256[] memory first = HolderSigner.keys("first", 3);
        uint256[] memory next = HolderSigner.keys("next", 2);
        KeyHolders parties =
            new KeyHolders(first.accounts(), 2, keccak256("key"), keccak256("ceremony"), 0);
        IFederation.Rules memory rules = defaultRules();
        rules.keyHolder = address(parties);
        deploy(rules);
        registry = new NodeRegistry(federation);
        for (uint256 i = 0; i < 3; ++i) {
            registry.bind(vm.addr(first[i]), _key(i), _sign(first[i], 1, _key(i)));
            _check(vm.addr(first[i]), 1, _key(i));
        }
        address newcomer = vm.addr(next[0]);
        _refuse(newcomer, _key(1), _sign(next[0], 1, _key(1)), _outside(newcomer));
        _refuse(address(parties), _key(1), new bytes(65), _unsigned(address(parties), 1));
        bytes32 rekey = HolderSigner.rekeyDigest(
            parties, 2, keccak256("key 2"), keccak256("ceremony"), next.accounts(), 2
        );
        parties.rekey(
            keccak256("key 2"), keccak256("ceremony"), next.accounts(), 2, first.sign(0x3, rekey)
        );
        registry.bind(newcomer, _key(1), _sign(next[0], 1, _key(1)));
        _check(newcomer, 1, _key(1));
        address old = vm.addr(first[0]);
        _refuse(old, _key(1), _sign(first[0], 2, _key(1)), _outside(old));
    }

    function testFuzz_keeps_every_byte_of_a_key(bytes32 first, bytes16 rest, bool odd) public {
        bytes memory key = abi.encodePacked(odd ? bytes1(0x03) : bytes1(0x02), first, rest);
        registry.bind(member, key, _sign(MEMBER_KEY, 1, key));
        _check(member, 1, key);
    }

    function _join(uint256 secret, uint256 index) private returns (address account_) {
        account_ = vm.addr(secret);
        address[] memory invited = new address[](1);
        invited[0] = account_;
        federation.invite(invited);
        vm.deal(account_, STAKE);
        (bytes memory key, bytes memory proof) = keyAndProof(index);
        vm.prank(account_);
        federation.register{value: STAKE}(key, proof);
    }

    function _key(uint256 seed) private pure returns (bytes memory) {
        return NodeSigner.key(seed);
    }

    function _check(address account_, uint256 number, bytes memory key) private view {
        vm.assertEq(registry.keyOf(account_), key);
        vm.assertEq(registry.bindings(account_), number);
    }

    function _refuse(
        address account_,
        bytes memory key,
        bytes memory signature,
        bytes memory error_
    ) private {
        bytes memory before = registry.keyOf(account_);
        uint256 number = registry.bindings(account_);
        vm.expectRevert(error_);
        registry.bind(account_, key, signature);
        _check(account_, number, before);
    }

    function _unsigned(address account_, uint256 number) private pure returns (bytes memory) {
        return
            abi.encodeWithSelector(INodeRegistry.AccountDidNotSign.selector, account_, number);
    }

    function _outside(address account_) private pure returns (bytes memory) {
        return abi.encodeWithSelector(INodeRegistry.NotInFederation.selector, account_);
    }

    function _sign(uint256 secret, uint256 number, bytes memory key)
        private
        view
        returns (bytes memory)
    {
        return NodeSigner.one(
            secret, NodeSigner.digest(registry, vm.addr(secret), address(federation), number, key)
        );
    }

    /// @dev The other s that verifies (EIP-2).
    function _malleable(bytes memory signature) private pure returns (bytes memory) {
        bytes32 r;
        bytes32 s;
        uint8 v = uint8(signature[64]);
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
        }
        return abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? 28 : 27);
    }
}
