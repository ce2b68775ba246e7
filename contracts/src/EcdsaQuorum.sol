// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IQuorum} from "./interfaces/IQuorum.sol";
import {CodePage} from "./lib/CodePage.sol";

/// @title A quorum of Ethereum keys: one signature a signer.
/// @notice For chains without EIP-2537, and cheaper than BLS for few signers. All that is signed
/// is typed data (EIP-712) of this contract on this chain: a signature serves no other quorum, no
/// transaction, and a proof of possession is no attestation. Of the two values of s that verify,
/// the lower one alone is taken (EIP-2), and v is 27 or 28: a signature has one form.
/// @dev A key takes one slot, and 20 bytes of a page of code.
contract EcdsaQuorum is IQuorum, Ownable, EIP712 {
    bytes32 private constant POSSESSION_TYPEHASH = keccak256("Possession(address member)");
    bytes32 private constant ATTESTATION_TYPEHASH = keccak256("Attestation(bytes32 message)");
    uint256 private constant KEYS_PER_PAGE = 128; // half a word of a bitmap
    uint256 private constant KEY_BYTES = 20;
    uint256 private constant SIGNATURE_BYTES = 65;

    address[] private _keys;
    mapping(address key => bool) private _used;
    mapping(uint256 page => address) private _pages;

    constructor() Ownable(msg.sender) EIP712("ddcai quorum", "1") {}

    /// @inheritdoc IQuorum
    function register(uint256 index, address member, bytes calldata key, bytes calldata proof)
        external
        onlyOwner
    {
        require(index == _keys.length, UnexpectedIndex(index, _keys.length));
        address signer = key.length == KEY_BYTES ? address(bytes20(key)) : address(0);
        require(signer != address(0), InvalidKey(key.length));
        require(!_used[signer], KeyInUse(keccak256(key)));
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(POSSESSION_TYPEHASH, member)));
        (address recovered,,) = ECDSA.tryRecoverCalldata(digest, proof);
        require(recovered == signer, InvalidProofOfPossession(index));
        _used[signer] = true;
        _keys.push(signer);
    }

    /// @inheritdoc IQuorum
    function pack(uint256 page) external {
        uint256 first = page * KEYS_PER_PAGE;
        uint256 keys = Math.saturatingSub(Math.min(_keys.length, first + KEYS_PER_PAGE), first);
        address old = _pages[page];
        uint256 packed = CodePage.length(old) / KEY_BYTES;
        require(keys > packed, NothingToPack(page, keys));

        bytes memory data = new bytes(KEY_BYTES * keys + 12); // each key is written as a whole word
        CodePage.copy(old, data);
        for (uint256 i = packed; i < keys; ++i) {
            address key = _keys[first + i];
            assembly ("memory-safe") {
                mstore(add(data, add(32, mul(i, 20))), shl(96, key))
            }
        }
        assembly ("memory-safe") {
            mstore(data, sub(mload(data), 12))
        }
        address code = CodePage.write(data);
        _pages[page] = code;
        emit KeysPacked(page, keys, code);
    }

    /// @inheritdoc IQuorum
    function verify(bytes32 message, uint256[] calldata signers, bytes calldata signature)
        external
        view
        returns (bool)
    {
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(ATTESTATION_TYPEHASH, message)));
        uint256 at = 0;
        for (uint256 page = 0; page < 2 * signers.length; ++page) {
            uint256 members = (signers[page / 2] >> (KEYS_PER_PAGE * (page % 2))) & type(uint128).max;
            if (members == 0) continue;
            uint256 first = page * KEYS_PER_PAGE;
            bytes memory packed = CodePage.read(_pages[page]);
            for (uint256 i = 0; members != 0; members >>= 1) {
                if (members & 1 == 1) {
                    if (at + SIGNATURE_BYTES > signature.length) return false;
                    address key = _key(packed, first, i);
                    if (key == address(0) || _recover(digest, signature, at) != key) return false;
                    at += SIGNATURE_BYTES;
                }
                // At most 128 steps.
                unchecked {
                    ++i;
                }
            }
        }
        return at != 0 && at == signature.length;
    }

    /// @inheritdoc IQuorum
    function keyOf(uint256 index) external view returns (bytes memory) {
        return abi.encodePacked(_keys[index]);
    }

    /// @inheritdoc IQuorum
    function keyCount() external view returns (uint256) {
        return _keys.length;
    }

    /// @inheritdoc IQuorum
    function packedCount(uint256 page) external view returns (uint256) {
        return CodePage.length(_pages[page]) / KEY_BYTES;
    }

    /// @inheritdoc IQuorum
    function scheme() external pure returns (string memory) {
        return "ecdsa";
    }

    /// @dev Who made the signature at `at`; zero if it is none. The caller looked at the length.
    function _recover(bytes32 digest, bytes calldata signature, uint256 at)
        private
        pure
        returns (address signer)
    {
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly ("memory-safe") {
            let from := add(signature.offset, at)
            r := calldataload(from)
            s := calldataload(add(from, 0x20))
            v := byte(0, calldataload(add(from, 0x40)))
        }
        (signer,,) = ECDSA.tryRecover(digest, v, r, s);
    }

    /// @dev The key of a page's member `i`; zero if it has none.
    function _key(bytes memory packed, uint256 first, uint256 i) private view returns (address key) {
        if (packed.length > KEY_BYTES * i) {
            assembly ("memory-safe") {
                key := shr(96, mload(add(packed, add(32, mul(i, 20)))))
            }
            return key;
        }
        uint256 index = first + i;
        return index < _keys.length ? _keys[index] : address(0);
    }
}
