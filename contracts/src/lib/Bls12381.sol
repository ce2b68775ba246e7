// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title BLS signatures on BLS12-381 by the EIP-2537 precompiles.
/// @notice Pubkeys in G1, signatures in G2, points uncompressed in EIP-2537 form: each base field
/// element is 64 bytes, big-endian, its first 16 bytes zero; a G1 point is 128 bytes, a G2 point
/// 256, infinity all zero.
/// @dev Hashing to the curve as in RFC 9380, suite BLS12381G2_XMD:SHA-256_SSWU_RO_. A precompile
/// that gets bad input burns all the gas it was given, so each call gets a cap: four times
/// EIP-2537's price.
library Bls12381 {
    uint256 internal constant G1_BYTES = 128;
    uint256 internal constant G2_BYTES = 256;

    address private constant SHA256 = address(0x02);
    address private constant MODEXP = address(0x05);
    address private constant G1ADD = address(0x0b);
    address private constant G1MSM = address(0x0c);
    address private constant G2ADD = address(0x0d);
    address private constant PAIRING = address(0x0f);
    address private constant MAP_FP2_TO_G2 = address(0x11);

    uint256 private constant G1ADD_GAS_CAP = 4 * 375;
    uint256 private constant G1MSM_GAS_CAP = 4 * 12_000;
    uint256 private constant G2ADD_GAS_CAP = 4 * 600;
    uint256 private constant PAIRING_GAS_CAP = 4 * (2 * 32_600 + 37_700);
    uint256 private constant MAP_FP2_TO_G2_GAS_CAP = 4 * 23_800;

    /// @dev The field's modulus p.
    bytes private constant P =
        hex"1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";
    /// @dev p as its upper 128 and lower 256 bits.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW =
        0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    /// @dev (p - 1) / 2 as its upper 128 and lower 256 bits: above it, y is the larger root.
    uint256 private constant HALF_P_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_P_LOW =
        0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;
    /// @dev The negated generator of G1.
    bytes private constant NEGATED_G1 =
        hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
        hex"00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f267816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca";

    /// @dev Length of what `expandMessage` gives: two Fp2 elements, four times 64 bytes.
    uint256 private constant UNIFORM_BYTES = 256;

    /// @dev Whether `point` is the point at infinity (all zero); its length is a multiple of 32.
    function isInfinity(bytes memory point) internal pure returns (bool) {
        uint256 any = 0;
        assembly ("memory-safe") {
            let end := add(add(point, 32), mload(point))
            for { let at := add(point, 32) } lt(at, end) { at := add(at, 32) } {
                any := or(any, mload(at))
            }
        }
        return any == 0;
    }

    /// @dev Whether `point` is canonical, on the curve and in the subgroup of prime order.
    function isInG1(bytes memory point) internal view returns (bool) {
        (bool ok,) = G1MSM.staticcall{gas: G1MSM_GAS_CAP}(abi.encodePacked(point, uint256(1)));
        return ok;
    }

    /// @dev Infinity, with room for a second point behind it: what `addG1` adds to. With this
    /// scratch space a long list of points needs no more memory than a short one.
    function newSum() internal pure returns (bytes memory) {
        return new bytes(2 * G1_BYTES);
    }

    /// @dev sum += point in G1. The point comes as three words: x (48 bytes), then y (48 bytes).
    /// Reverts on bad points. 375 gas by G1ADD; G1MSM would take 7,000 and more a point.
    function addG1(bytes memory sum, bytes32 first, bytes32 middle, bytes32 last) internal view {
        require(sum.length == 2 * G1_BYTES);
        assembly ("memory-safe") {
            let at := add(sum, 32)
            mstore(add(at, 0x80), 0) // x: 16 zero bytes, then 48
            mstore(add(at, 0x90), first)
            mstore(add(at, 0xb0), middle) // its second half is overwritten by y's zeros
            mstore(add(at, 0xc0), shr(128, shl(128, middle))) // y: 16 zero bytes, then 48
            mstore(add(at, 0xe0), last)
        }
        _addSecond(sum);
    }

    /// @dev Adds points of a page of code (`CodePage`) that has 96 bytes for each: those of the set
    /// bits in `places`, bit 0 being the point at byte `offset`. Reverts on bad points.
    function addG1(bytes memory sum, address page, uint256 offset, uint256 places) internal view {
        require(sum.length == 2 * G1_BYTES);
        address precompile = G1ADD;
        uint256 gasCap = G1ADD_GAS_CAP;
        bool ok = true;
        assembly ("memory-safe") {
            let at := add(sum, 32)
            mstore(add(at, 0x80), 0) // x: 16 zero bytes, then 48
            offset := add(offset, 1) // a page starts with STOP
            // Bit by bit costs less than looking for the next one set.
            for {} places { places := shr(1, places) } {
                if and(places, 1) {
                    // x lies 16 bytes too far, so that y lies where it belongs.
                    extcodecopy(page, add(at, 0xa0), offset, 96)
                    mcopy(add(at, 0x90), add(at, 0xa0), 48)
                    mstore(add(at, 0xc0), shr(128, shl(128, mload(add(at, 0xc0)))))
                    ok := and(ok, staticcall(gasCap, precompile, at, 0x100, at, 0x80))
                    ok := and(ok, eq(returndatasize(), 0x80))
                }
                offset := add(offset, 96)
            }
        }
        require(ok, PrecompileFailed(G1ADD));
    }

    /// @dev sum -= other in G1; both are sums as `newSum` makes them. Reverts on bad points.
    function subtractG1(bytes memory sum, bytes memory other) internal view {
        require(sum.length == 2 * G1_BYTES && other.length == 2 * G1_BYTES);
        uint256 high;
        uint256 low;
        assembly ("memory-safe") {
            high := mload(add(other, 0x60))
            low := mload(add(other, 0x80))
        }
        // Only infinity has y = 0: a point with y = 0 would have order 2. Its negative is itself.
        if (high == 0 && low == 0) return;
        // -(x, y) = (x, p - y). The precompile gave y below p; only `low` wraps, with its borrow.
        unchecked {
            high = P_HIGH - high - (low > P_LOW ? 1 : 0);
            low = P_LOW - low;
        }
        assembly ("memory-safe") {
            let at := add(sum, 32)
            mcopy(add(at, 0x80), add(other, 32), 0x40)
            mstore(add(at, 0xc0), high)
            mstore(add(at, 0xe0), low)
        }
        _addSecond(sum);
    }

    /// @dev A sum as three words: x (48 bytes), then y (48 bytes); zeros for infinity.
    function words(bytes memory sum)
        internal
        pure
        returns (bytes32 first, bytes32 middle, bytes32 last)
    {
        assembly ("memory-safe") {
            first := mload(add(sum, 0x30))
            // Of x the last 16 bytes, of y the first 16; they lie 16 zero bytes apart.
            middle := or(shl(128, mload(add(sum, 0x40))), mload(add(sum, 0x60)))
            last := mload(add(sum, 0x80))
        }
    }

    /// @dev Cuts a sum's scratch space off.
    function firstPoint(bytes memory sum) internal pure returns (bytes memory) {
        require(sum.length == 2 * G1_BYTES);
        assembly ("memory-safe") {
            mstore(sum, 0x80)
        }
        return sum;
    }

    /// @dev Whether e(key, hash) = e(G1, signature): the signature verifies. The precompile checks
    /// that points are canonical, on their curves and in the subgroups; false if one is not.
    /// Warning: infinity as key with infinity as signature passes; look for it first.
    function pairs(bytes memory key, bytes memory hash, bytes memory signature)
        internal
        view
        returns (bool)
    {
        (bool ok, bytes memory output) = PAIRING.staticcall{gas: PAIRING_GAS_CAP}(
            bytes.concat(key, hash, NEGATED_G1, signature)
        );
        return ok && output.length == 32 && abi.decode(output, (uint256)) == 1;
    }

    /// @dev The 48 bytes of a pubkey's compressed form (ZCash's flags; `point` is not infinity and
    /// is canonical).
    function compress(bytes memory point) internal pure returns (bytes memory out) {
        bytes32 xHigh;
        bytes32 xLow;
        uint256 yHigh;
        uint256 yLow;
        assembly ("memory-safe") {
            xHigh := mload(add(point, 0x20))
            xLow := mload(add(point, 0x40))
            yHigh := mload(add(point, 0x60))
            yLow := mload(add(point, 0x80))
        }
        bool larger = yHigh > HALF_P_HIGH || (yHigh == HALF_P_HIGH && yLow > HALF_P_LOW);
        bytes16 high = bytes16(uint128(uint256(xHigh))) | (larger ? bytes16(bytes1(0xa0)) : bytes16(bytes1(0x80)));
        return abi.encodePacked(high, xLow);
    }

    /// @dev hash_to_curve of RFC 9380, section 3; MAP_FP2_TO_G2 clears the cofactor itself.
    function hashToG2(bytes memory message, bytes memory dst)
        internal
        view
        returns (bytes memory point)
    {
        bytes memory elements = expandMessage(message, dst);
        _reduce(elements);
        point = new bytes(2 * G2_BYTES);
        address map = MAP_FP2_TO_G2;
        address add_ = G2ADD;
        uint256 mapGasCap = MAP_FP2_TO_G2_GAS_CAP;
        uint256 addGasCap = G2ADD_GAS_CAP;
        bool ok;
        // A chain without EIP-2537 answers with success and nothing: hence the lengths.
        assembly ("memory-safe") {
            let at := add(point, 32)
            let from := add(elements, 32)
            ok := staticcall(mapGasCap, map, from, 0x80, at, 0x100)
            ok := and(ok, eq(returndatasize(), 0x100))
            let second := staticcall(mapGasCap, map, add(from, 0x80), 0x80, add(at, 0x100), 0x100)
            ok := and(ok, and(second, eq(returndatasize(), 0x100)))
        }
        require(ok, PrecompileFailed(MAP_FP2_TO_G2));
        assembly ("memory-safe") {
            let at := add(point, 32)
            ok := staticcall(addGasCap, add_, at, 0x200, at, 0x100)
            ok := and(ok, eq(returndatasize(), 0x100))
            mstore(point, 0x100) // cuts the second point off
        }
        require(ok, PrecompileFailed(G2ADD));
    }

    /// @dev expand_message_xmd of RFC 9380, section 5.3.1, with SHA-256, to 256 bytes. `dst` has
    /// at most 255 bytes.
    function expandMessage(bytes memory message, bytes memory dst)
        internal
        view
        returns (bytes memory uniform)
    {
        bytes memory dstPrime = abi.encodePacked(dst, uint8(dst.length));
        bytes32 first = sha256(
            abi.encodePacked(bytes32(0), bytes32(0), message, uint16(UNIFORM_BYTES), uint8(0), dstPrime)
        );
        // The input of each block: b_0 ^ the block before (zero for the first), its number.
        bytes memory input = abi.encodePacked(first, uint8(0), dstPrime);
        uniform = new bytes(UNIFORM_BYTES);
        address hasher = SHA256;
        bool ok = true;
        assembly ("memory-safe") {
            let from := add(input, 32)
            let at := add(uniform, 32)
            for { let i := 1 } lt(i, 9) { i := add(i, 1) } {
                mstore8(add(from, 32), i)
                ok := and(ok, staticcall(gas(), hasher, from, mload(input), at, 32))
                mstore(from, xor(first, mload(at)))
                at := add(at, 32)
            }
        }
        require(ok, PrecompileFailed(SHA256));
    }

    /// @dev Replaces each 64 bytes of four by the 64-byte field element that they are modulo p, by
    /// MODEXP with exponent 1.
    function _reduce(bytes memory elements) private view {
        bytes memory input = abi.encodePacked(
            uint256(64), uint256(1), uint256(48), bytes32(0), bytes32(0), uint8(1), P
        );
        address modexp = MODEXP;
        bool ok = true;
        // All gas: MODEXP's price has changed twice, and it does not fail on such input.
        assembly ("memory-safe") {
            let base := add(input, 0x80)
            for { let i := 0 } lt(i, 4) { i := add(i, 1) } {
                let at := add(elements, add(32, shl(6, i)))
                mcopy(base, at, 64)
                ok := and(ok, staticcall(gas(), modexp, add(input, 32), mload(input), add(at, 16), 48))
                ok := and(ok, eq(returndatasize(), 48))
                mstore(at, shr(128, shl(128, mload(at)))) // 16 zero bytes, then 48
            }
        }
        require(ok, PrecompileFailed(MODEXP));
    }

    /// @dev Adds the second point of `sum` to the first; reverts if one is bad.
    function _addSecond(bytes memory sum) private view {
        bool ok;
        address precompile = G1ADD;
        uint256 gasCap = G1ADD_GAS_CAP;
        assembly ("memory-safe") {
            let at := add(sum, 32)
            ok := staticcall(gasCap, precompile, at, 0x100, at, 0x80)
            ok := and(ok, eq(returndatasize(), 0x80))
        }
        require(ok, PrecompileFailed(G1ADD));
    }

    /// @notice A precompile refused its input or does not exist on this chain.
    error PrecompileFailed(address precompile);
}
