// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IQuorum} from "./interfaces/IQuorum.sol";
import {Bits} from "./lib/Bits.sol";
import {Bls12381} from "./lib/Bls12381.sol";

/// @title A quorum of BLS keys: one aggregate signature for all signers.
/// @notice Suite BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_ of draft-irtf-cfrg-bls-signature, as
/// py_ecc's G2ProofOfPossession. Keys are admitted with a proof of possession only, which is what
/// makes one signature under the sum of keys as good as one each.
/// @dev Needs the precompiles of EIP-2537 (Prague). Keys take three slots each: a point's two
/// coordinates of 48 bytes, without EIP-2537's zero padding.
contract BlsQuorum is IQuorum, Ownable {
    bytes private constant SIGNATURE_DST = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
    bytes private constant POSSESSION_DST = "BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

    bytes32[3][] private _keys;
    mapping(bytes32 keyHash => bool) private _used;

    constructor() Ownable(msg.sender) {}

    /// @inheritdoc IQuorum
    function register(uint256 index, bytes calldata key, bytes calldata proof) external onlyOwner {
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
        _keys.push(_pack(key));
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
        uint256 keyCount = _keys.length;
        sum = new bytes(2 * Bls12381.G1_BYTES);
        for (uint256 i = 0; i < signers.length; ++i) {
            uint256 word = signers[i];
            while (word != 0) {
                uint256 index = 256 * i + Bits.lowest(word);
                if (index >= keyCount) return (false, "");
                bytes32[3] storage key = _keys[index];
                Bls12381.addG1(sum, key[0], key[1], key[2]);
                word &= word - 1; // clears the lowest set bit
            }
        }
        return (true, Bls12381.firstPoint(sum));
    }

    /// @dev 128 bytes of EIP-2537 to three words: x (48 bytes), then y (48 bytes).
    function _pack(bytes calldata key) private pure returns (bytes32[3] memory) {
        return [
            bytes32(key[16:48]),
            bytes32(bytes.concat(bytes16(key[48:64]), bytes16(key[80:96]))),
            bytes32(key[96:128])
        ];
    }
}
