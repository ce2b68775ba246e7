// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {IKeyHolders} from "./interfaces/IKeyHolders.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";

/// @title The node keys of one federation's accounts.
/// @dev A key and the number of its binding take two slots.
contract NodeRegistry is INodeRegistry, EIP712 {
    bytes32 private constant NODE_KEY_TYPEHASH = keccak256(
        "NodeKey(address account,address federation,uint256 binding,bytes publicKey)"
    );
    uint256 private constant KEY_BYTES = 49;

    struct Binding {
        bytes32 first; // the key's first 32 bytes
        bytes17 rest;
        uint64 number; // 0: none was bound
    }

    /// @inheritdoc INodeRegistry
    IFederation public immutable federation;
    mapping(address account => Binding) private _bindings;

    constructor(IFederation federation_) EIP712("ddcai nodes", "1") {
        federation = federation_;
    }

    /// @inheritdoc INodeRegistry
    function bind(address account, bytes calldata publicKey, bytes calldata signature) external {
        require(
            publicKey.length == KEY_BYTES && (publicKey[0] == 0x02 || publicKey[0] == 0x03),
            InvalidNodeKey(publicKey)
        );
        require(_isMember(account) || _isKeyHolder(account), NotInFederation(account));
        Binding storage binding = _bindings[account];
        uint64 number = binding.number + 1;
        bytes32 struct_ = keccak256(
            abi.encode(NODE_KEY_TYPEHASH, account, federation, number, keccak256(publicKey))
        );
        (address signer,,) = ECDSA.tryRecoverCalldata(_hashTypedDataV4(struct_), signature);
        // A malformed signature recovers to zero.
        require(signer == account && signer != address(0), AccountDidNotSign(account, number));
        binding.first = bytes32(publicKey[:32]);
        binding.rest = bytes17(publicKey[32:]);
        binding.number = number;
        emit NodeKeyBound(account, number, publicKey);
    }

    /// @inheritdoc INodeRegistry
    function keyOf(address account) external view returns (bytes memory) {
        Binding storage binding = _bindings[account];
        return binding.number == 0 ? bytes("") : abi.encodePacked(binding.first, binding.rest);
    }

    /// @inheritdoc INodeRegistry
    function bindings(address account) external view returns (uint256) {
        return _bindings[account].number;
    }

    function _isMember(address account) private view returns (bool active) {
        (active,) = federation.memberOf(account);
    }

    /// @dev The federation's key holder is an account, or the contract of those who share the key.
    function _isKeyHolder(address account) private view returns (bool) {
        address holder = federation.rules().keyHolder;
        if (holder == account) return true;
        if (holder.code.length == 0) return false;
        IKeyHolders shared = IKeyHolders(holder);
        (,,,,, address[] memory holders) = shared.epoch(shared.epochCount());
        for (uint256 i = 0; i < holders.length; ++i) {
            if (holders[i] == account) return true;
        }
        return false;
    }
}
