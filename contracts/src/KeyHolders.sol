// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {ERC165} from "@openzeppelin/contracts/utils/introspection/ERC165.sol";
import {IKeyHolders} from "./interfaces/IKeyHolders.sol";
import {CodePage} from "./lib/CodePage.sol";

/// @title T of N accounts as one key holder.
/// @dev An epoch's holders are a page of code, 20 bytes each in ascending order: a check reads all
/// of them at once, and walks them beside the signers, who come in the same order.
contract KeyHolders is IKeyHolders, EIP712, ERC165 {
    struct Epoch {
        bytes32 keyDigest;
        bytes32 ceremonyDigest;
        // One slot.
        address page;
        uint8 threshold;
        uint40 registeredAt;
        uint40 registeredBlock;
    }

    bytes32 private constant REKEY_TYPEHASH = keccak256(
        "Rekey(uint64 epoch,bytes32 keyDigest,bytes32 ceremonyDigest,address[] holders,uint256 threshold)"
    );
    bytes4 private constant INVALID = 0xffffffff;
    uint256 private constant MIN_HOLDERS = 2;
    uint256 private constant MAX_HOLDERS = 64;
    uint256 private constant MIN_THRESHOLD = 2; // one holder alone must open nothing
    uint256 private constant HOLDER_BYTES = 20;
    uint256 private constant EPOCH_BYTES = 8;
    uint256 private constant SIGNATURE_BYTES = 65;

    /// @inheritdoc IKeyHolders
    uint64 public immutable graceSeconds;
    /// @inheritdoc IKeyHolders
    uint64 public epochCount;
    mapping(uint64 number => Epoch) private _epochs;
    mapping(bytes32 keyDigest => uint64) private _epochOf;

    constructor(
        address[] memory holders,
        uint256 threshold,
        bytes32 keyDigest,
        bytes32 ceremonyDigest,
        uint64 graceSeconds_
    ) EIP712("ddcai key holders", "1") {
        graceSeconds = graceSeconds_;
        _register(keyDigest, ceremonyDigest, holders, threshold);
    }

    /// @inheritdoc IKeyHolders
    function rekey(
        bytes32 keyDigest,
        bytes32 ceremonyDigest,
        address[] calldata holders,
        uint256 threshold,
        bytes calldata signatures
    ) external {
        uint64 current = epochCount;
        bytes32 struct_ = keccak256(
            abi.encode(
                REKEY_TYPEHASH,
                current + 1,
                keyDigest,
                ceremonyDigest,
                keccak256(abi.encodePacked(holders)),
                threshold
            )
        );
        Epoch storage signing = _epochs[current];
        uint256 needed = signing.threshold;
        require(
            signatures.length >= needed * SIGNATURE_BYTES
                && _signed(signing.page, _hashTypedDataV4(struct_), signatures),
            HoldersDidNotSign(current, needed)
        );
        _register(keyDigest, ceremonyDigest, holders, threshold);
    }

    /// @inheritdoc IKeyHolders
    function isValidSignature(bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        if (signature.length < EPOCH_BYTES) return INVALID;
        uint64 number = uint64(bytes8(signature));
        uint64 current = epochCount;
        if (number == 0 || number > current) return INVALID;
        if (number < current) {
            // Two numbers of 64 bits, in 256.
            unchecked {
                uint256 last = uint256(_epochs[number + 1].registeredAt) + graceSeconds;
                if (block.timestamp > last) return INVALID;
            }
        }
        Epoch storage signing = _epochs[number];
        bytes calldata signatures = signature[EPOCH_BYTES:];
        if (signatures.length != signing.threshold * SIGNATURE_BYTES) return INVALID;
        bool valid = _signed(signing.page, hash, signatures);
        return valid ? IERC1271.isValidSignature.selector : INVALID;
    }

    /// @inheritdoc IKeyHolders
    function epoch(uint64 number)
        external
        view
        returns (
            bytes32 keyDigest,
            bytes32 ceremonyDigest,
            uint256 threshold,
            uint64 registeredAt,
            uint64 registeredBlock,
            address[] memory holders
        )
    {
        require(number != 0 && number <= epochCount, UnknownEpoch(number, epochCount));
        Epoch storage found = _epochs[number];
        bytes memory packed = CodePage.read(found.page);
        holders = new address[](packed.length / HOLDER_BYTES);
        for (uint256 i = 0; i < holders.length; ++i) {
            holders[i] = _holder(packed, i);
        }
        return (
            found.keyDigest,
            found.ceremonyDigest,
            found.threshold,
            found.registeredAt,
            found.registeredBlock,
            holders
        );
    }

    /// @inheritdoc ERC165
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IKeyHolders).interfaceId
            || interfaceId == type(IERC1271).interfaceId || super.supportsInterface(interfaceId);
    }

    function _register(
        bytes32 keyDigest,
        bytes32 ceremonyDigest,
        address[] memory holders,
        uint256 threshold
    ) private {
        uint256 count = holders.length;
        require(count >= MIN_HOLDERS && count <= MAX_HOLDERS, WrongHolderCount(count));
        require(
            threshold >= MIN_THRESHOLD && threshold <= count && 2 * threshold > count,
            InvalidThreshold(threshold, count)
        );
        require(keyDigest != 0 && ceremonyDigest != 0, ZeroDigest());
        require(_epochOf[keyDigest] == 0, KeyUsedBefore(keyDigest, _epochOf[keyDigest]));
        bytes memory packed = new bytes(HOLDER_BYTES * count + 12); // each is written as a word
        address previous = address(0);
        for (uint256 i = 0; i < count; ++i) {
            address holder = holders[i];
            require(holder > previous, HoldersNotAscending(i, holder));
            assembly ("memory-safe") {
                mstore(add(packed, add(32, mul(i, 20))), shl(96, holder))
            }
            previous = holder;
        }
        assembly ("memory-safe") {
            mstore(packed, sub(mload(packed), 12))
        }

        uint64 number = epochCount + 1;
        epochCount = number;
        _epochOf[keyDigest] = number;
        _epochs[number] = Epoch({
            keyDigest: keyDigest,
            ceremonyDigest: ceremonyDigest,
            page: CodePage.write(packed),
            threshold: uint8(threshold),
            registeredAt: uint40(block.timestamp),
            registeredBlock: uint40(block.number)
        });
        emit KeyRegistered(number, keyDigest, ceremonyDigest, threshold, holders);
    }

    /// @dev Whether all signatures are of holders on the page, in ascending order.
    function _signed(address page, bytes32 digest, bytes calldata signatures)
        private
        view
        returns (bool)
    {
        if (signatures.length % SIGNATURE_BYTES != 0) return false;
        bytes memory packed = CodePage.read(page);
        uint256 count = packed.length / HOLDER_BYTES;
        uint256 next = 0; // holders before this one have signed, or were passed over
        for (uint256 at = 0; at < signatures.length; at += SIGNATURE_BYTES) {
            // Zero for what is no signature; no holder is zero.
            (address signer,,) =
                ECDSA.tryRecoverCalldata(digest, signatures[at:at + SIGNATURE_BYTES]);
            while (next < count && _holder(packed, next) < signer) {
                ++next;
            }
            if (next == count || _holder(packed, next) != signer) return false;
            ++next;
        }
        return true;
    }

    /// @dev The caller looked at the length.
    function _holder(bytes memory packed, uint256 i) private pure returns (address holder) {
        assembly ("memory-safe") {
            holder := shr(96, mload(add(packed, add(32, mul(i, 20)))))
        }
    }
}
