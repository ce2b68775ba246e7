// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {FixedLog} from "../src/lib/FixedLog.sol";
import {Test} from "./helpers/Vm.sol";

contract FixedLogTest is Test {
    /// @notice floor(2^40 log2(x)), computed with integers of 400 fractional bits in Python:
    /// the mantissa is squared forty times, and each squaring gives a digit.
    function test_known_values() public pure {
        vm.assertEq(FixedLog.log2(3), 1742684699131);
        vm.assertEq(FixedLog.log2(5), 2552986939188);
        vm.assertEq(FixedLog.log2(7), 3086719380096);
        vm.assertEq(FixedLog.log2(10), 3652498566964);
        vm.assertEq(FixedLog.log2(1000), 10957495700893);
        vm.assertEq(FixedLog.log2(65537), 17592210248637);
        vm.assertEq(FixedLog.log2(2 ** 31 - 1), 34084860460317);
        vm.assertEq(FixedLog.log2(2 ** 64 - 1), 70368744177663);
        vm.assertEq(FixedLog.log2(2 ** 64 + 1), 70368744177664);
        vm.assertEq(FixedLog.log2(3 ** 100), 174268469913183);
        vm.assertEq(FixedLog.log2(2 ** 255 - 1), 280375465082879);
        vm.assertEq(FixedLog.log2(2 ** 256 - 1), 281474976710655);
    }

    function test_powers_of_two_are_exact() public pure {
        for (uint256 k = 0; k < 256; ++k) {
            vm.assertEq(FixedLog.log2(1 << k), k << 40);
            if (k > 0) vm.assertTrue(FixedLog.log2((1 << k) - 1) < k << 40);
        }
    }

    /// @notice log2(x y) = log2(x) + log2(y), each cut by less than one unit.
    function testFuzz_of_a_product_is_the_sum(uint128 x, uint128 y) public pure {
        uint256 a = uint256(x) + 1;
        uint256 b = uint256(y) + 1;
        vm.assume(b <= type(uint256).max / a);
        uint256 sum = FixedLog.log2(a) + FixedLog.log2(b);
        uint256 product = FixedLog.log2(a * b);
        vm.assertTrue(product >= sum && product <= sum + 2);
    }

    function testFuzz_never_falls(uint256 x) public pure {
        vm.assume(x > 0 && x < type(uint256).max);
        vm.assertTrue(FixedLog.log2(x) <= FixedLog.log2(x + 1));
    }
}
