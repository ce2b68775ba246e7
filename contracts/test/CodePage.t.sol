// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CodePage} from "../src/lib/CodePage.sol";
import {Test} from "./helpers/Vm.sol";

contract CodePageTest is Test {
    function write(bytes memory data) external returns (address) {
        return CodePage.write(data);
    }

    function testFuzz_a_page_is_read_as_it_was_written(bytes memory data) public {
        address page = CodePage.write(data);
        vm.assertEq(page.code, bytes.concat(hex"00", data));
        vm.assertEq(CodePage.length(page), data.length);
        vm.assertEq(CodePage.read(page), data);
    }

    function testFuzz_copy_fills_the_front_and_no_more(uint256 size, uint256 room) public {
        bytes memory data = _random(size % 300);
        bytes memory into = _random(room % 300);
        bytes memory before = bytes.concat(into);
        bytes memory behind = hex"c0ffee"; // allocated right behind
        CodePage.copy(CodePage.write(data), into);
        for (uint256 i = 0; i < into.length; ++i) {
            vm.assertTrue(into[i] == (i < data.length ? data[i] : before[i]));
        }
        vm.assertEq(behind, hex"c0ffee");
    }

    function test_the_zero_address_is_no_page() public view {
        vm.assertEq(CodePage.length(address(0)), 0);
        vm.assertEq(CodePage.read(address(0)), "");
    }

    function test_a_page_holds_what_eip_170_allows() public {
        bytes memory data = _random(CodePage.MAX_BYTES);
        vm.assertEq(CodePage.read(CodePage.write(data)), data);
        vm.expectRevert(abi.encodeWithSelector(CodePage.PageNotCreated.selector, 24_576));
        this.write(new bytes(24_576));
        // Its length would be 0 modulo 2^16.
        vm.expectRevert(abi.encodeWithSelector(CodePage.PageNotCreated.selector, 65_535));
        this.write(new bytes(65_535));
    }

    function test_too_little_gas_is_no_page() public {
        bytes memory call_ = abi.encodeCall(this.write, (_random(1000)));
        (bool ok, bytes memory answer) = address(this).call{gas: 150_000}(call_);
        vm.assertFalse(ok);
        vm.assertEq(answer, abi.encodeWithSelector(CodePage.PageNotCreated.selector, 1000));
    }

    function _random(uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            data[i] = bytes1(uint8(uint256(keccak256(abi.encode(length, i / 32))) >> (8 * (i % 32))));
        }
    }
}
