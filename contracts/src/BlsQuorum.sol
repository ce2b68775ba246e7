// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IQuorum} from "./interfaces/IQuorum.sol";
import {Bits} from "./lib/Bits.sol";
import {Bls12381} from "./lib/Bls12381.sol";
import {CodePage} from "./lib/CodePage.sol";

/// @title A quorum of BLS keys: one aggregate signature for all signers.
/// @notice Suite BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_ of draft-irtf-cfrg-bls-signature, as
/// py_ecc's G2ProofOfPossession. Keys are admitted with a proof of possession only, which is what
/// makes one signature under the sum of keys as good as one each.
/// @dev Needs the precompiles of EIP-2537 (Prague). Keys take three slots each: a point's two
/// coordinates of 48 bytes, without EIP-2537's zero padding. A page of code has the sum of its
/// keys first, then the keys, 96 bytes each: where most of a page signed, `verify` takes the sum
/// and subtracts the keys of those that did not.
contract BlsQuorum is IQuorum, Ownable {
    bytes private constant SIGNATURE_DST = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
    bytes private constant POSSESSION_DST = "BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
    uint256 private constant KEYS_PER_PAGE = 128; // half a word of a bitmap
    uint256 private constant KEY_BYTES = 96;

    bytes32[3][] private _keys;
    mapping(bytes32 keyHash => bool) private _used;
    mapping(uint256 page => address) private _pages;

    constructor() Ownable(msg.sender) {}

    /// @inheritdoc IQuorum
    function register(uint256 index, address, bytes calldata key, bytes calldata proof)
        external
        onlyOwner
    {
        require(index == _keys.length, UnexpectedIndex(index, _keys.length));
        require(
            key.length == Bls12381.G1_BYTES && !Bls12381.isInfinity(key), InvalidKey(key.length)
        );
        bytes32 keyHash = keccak256(key);
        require(!_used[keyHash], KeyInUse(keyHash));
        if (proof.length != Bls12381.G2_BYTES || !_possesses(key, proof)) {
            // Both are refused; which of the two was wrong is found out on this path only.
            require(Bls12381.isInG1(key), InvalidKey(key.length));
            revert InvalidProofOfPossession(index);
        }
        _used[keyHash] = true;
        _keys.push(_words(key));
    }

    /// @inheritdoc IQuorum
    function pack(uint256 page) external {
        uint256 first = page * KEYS_PER_PAGE;
        uint256 keys = Math.saturatingSub(Math.min(_keys.length, first + KEYS_PER_PAGE), first);
        address old = _pages[page];
        uint256 packed = _packedIn(old);
        require(keys > packed, NothingToPack(page, keys));

        bytes memory sum = Bls12381.newSum();
        if (packed > 0) Bls12381.addG1(sum, old, 0, 1);
        bytes memory data = new bytes(KEY_BYTES * (keys + 1));
        CodePage.copy(old, data);
        for (uint256 i = packed; i < keys; ++i) {
            bytes32[3] storage key = _keys[first + i];
            (bytes32 a, bytes32 b, bytes32 c) = (key[0], key[1], key[2]);
            Bls12381.addG1(sum, a, b, c);
            _put(data, i + 1, a, b, c);
        }
        (bytes32 x, bytes32 xy, bytes32 y) = Bls12381.words(sum);
        _put(data, 0, x, xy, y);
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
        if (signature.length != Bls12381.G2_BYTES) return false;
        (bool known, bytes memory key) = _sumOfKeys(signers);
        // Keys that cancel each other out would make the signature at infinity valid.
        if (!known || Bls12381.isInfinity(key)) return false;
        bytes memory hash = Bls12381.hashToG2(bytes.concat(message), SIGNATURE_DST);
        return Bls12381.pairs(key, hash, signature);
    }

    /// @inheritdoc IQuorum
    function keyOf(uint256 index) external view returns (bytes memory) {
        bytes32[3] memory key = _keys[index];
        bytes16 zero = 0;
        return bytes.concat(zero, key[0], bytes16(key[1]), zero, bytes16(key[1] << 128), key[2]);
    }

    /// @inheritdoc IQuorum
    function keyCount() external view returns (uint256) {
        return _keys.length;
    }

    /// @inheritdoc IQuorum
    function packedCount(uint256 page) external view returns (uint256) {
        return _packedIn(_pages[page]);
    }

    /// @inheritdoc IQuorum
    function scheme() external pure returns (string memory) {
        return "bls";
    }

    /// @dev PopVerify: a signature under the pubkey's compressed form, with a suite of its own.
    function _possesses(bytes calldata key, bytes calldata proof) private view returns (bool) {
        bytes memory hash = Bls12381.hashToG2(Bls12381.compress(key), POSSESSION_DST);
        return Bls12381.pairs(key, hash, proof);
    }

    /// @dev Sum of the keys in `signers`; infinity for none. `known` is false if one has no key.
    function _sumOfKeys(uint256[] calldata signers)
        private
        view
        returns (bool known, bytes memory sum)
    {
        sum = Bls12381.newSum();
        bytes memory absent = Bls12381.newSum();
        for (uint256 i = 0; i < signers.length; ++i) {
            uint256 word = signers[i];
            if (!_addPage(2 * i, word & type(uint128).max, sum, absent)) return (false, "");
            if (!_addPage(2 * i + 1, word >> 128, sum, absent)) return (false, "");
        }
        Bls12381.subtractG1(sum, absent);
        return (true, Bls12381.firstPoint(sum));
    }

    /// @dev Adds the keys of a page's signers to `sum`; or, where that is less work, the page's sum
    /// to `sum` and the keys of those absent to `absent`. False if a signer has no key.
    function _addPage(uint256 page, uint256 signers, bytes memory sum, bytes memory absent)
        private
        view
        returns (bool known)
    {
        if (signers == 0) return true;
        address code = _pages[page];
        uint256 packed = _packedIn(code);
        uint256 all = (1 << packed) - 1; // at most 128 bits
        uint256 present = signers & all;
        if (2 * Bits.count(present) > packed + 1) {
            Bls12381.addG1(sum, code, 0, 1);
            Bls12381.addG1(absent, code, KEY_BYTES, all ^ present);
        } else {
            Bls12381.addG1(sum, code, KEY_BYTES, present);
        }
        return _addStored(page * KEYS_PER_PAGE + packed, signers >> packed, sum);
    }

    /// @dev Adds keys from storage; bit 0 is member `index`. False if a member has no key.
    function _addStored(uint256 index, uint256 members, bytes memory sum)
        private
        view
        returns (bool known)
    {
        if (members == 0) return true;
        if (index + Math.log2(members) >= _keys.length) return false;
        for (; members != 0; ++index) {
            if (members & 1 == 1) {
                bytes32[3] storage key = _keys[index];
                Bls12381.addG1(sum, key[0], key[1], key[2]);
            }
            members >>= 1;
        }
        return true;
    }

    /// @dev How many keys a page has; its first place is its sum's.
    function _packedIn(address code) private view returns (uint256) {
        uint256 bytes_ = CodePage.length(code);
        return bytes_ == 0 ? 0 : bytes_ / KEY_BYTES - 1;
    }

    /// @dev 128 bytes of EIP-2537 to three words: x (48 bytes), then y (48 bytes).
    function _words(bytes calldata key) private pure returns (bytes32[3] memory) {
        return [
            bytes32(key[16:48]),
            bytes32(bytes.concat(bytes16(key[48:64]), bytes16(key[80:96]))),
            bytes32(key[96:128])
        ];
    }

    /// @dev Writes three words to a page's place `i`.
    function _put(bytes memory data, uint256 i, bytes32 a, bytes32 b, bytes32 c) private pure {
        require(data.length >= KEY_BYTES * (i + 1));
        assembly ("memory-safe") {
            let at := add(data, add(32, mul(i, 96)))
            mstore(at, a)
            mstore(add(at, 32), b)
            mstore(add(at, 64), c)
        }
    }
}
