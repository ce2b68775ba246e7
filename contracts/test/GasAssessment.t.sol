// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAssessment} from "../src/interfaces/IAssessment.sol";
import {AssessmentFixture} from "./helpers/AssessmentFixture.sol";

/// @notice Gas of whole transactions of a window: 20 members, each with an update in each of its
/// rounds; 15 agreed. What a contributor's settlement takes is its part of the verdict and its claim.
/// forge-config: default.isolate = true
contract GasSnapshotOfAssessment is AssessmentFixture {
    string private constant GROUP = "WindowAssessment";
    uint256 private constant MEMBERS = 20;
    uint256 private constant AGREED = 15;

    function test_gas_of_a_window() public {
        deployAssessed();
        address[] memory more = new address[](MEMBERS - 5);
        for (uint256 i = 5; i < MEMBERS; ++i) {
            more[i - 5] = account(i);
        }
        federation.invite(more);
        for (uint256 i = 5; i < MEMBERS; ++i) {
            register(i);
        }
        quorum.pack(0);
        assessment.fund{value: 100 ether}();
        _window(true);
        uint256 all = (1 << MEMBERS) - 1;
        bytes memory data = posting(1, (1 << AGREED) - 1, _points(), all);
        vm.prank(POSTER);
        (bool ok,) = address(assessment).call{value: BOND}(data);
        vm.assertTrue(ok);
        uint256 verdict = vm.lastCallGas().gasTotalUsed;
        vm.snapshotGasLastCall(GROUP, "postVerdict, 20 members, 15 agreed");
        wait(DISPUTE_S + TAKE_S + 1);
        vm.prank(account(0));
        assessment.claim(one(1));
        vm.snapshotGasLastCall(GROUP, "claim, the first of 128 members");
        vm.prank(account(1));
        assessment.claim(one(1));
        uint256 claim = vm.lastCallGas().gasTotalUsed;
        vm.snapshotGasLastCall(GROUP, "claim");
        vm.snapshotValue(GROUP, "settlement a contributor", claim + verdict / MEMBERS);
        _four(verdict);
        assessment.releaseBond(1);
        vm.snapshotGasLastCall(GROUP, "releaseBond");
        vm.snapshotValue(GROUP, "bytes of code", address(assessment).code.length);
        vm.assertLe(address(assessment).code.length, 24_576); // EIP-170
    }

    /// @dev Who claims windows four at a time.
    function _four(uint256 verdict) private {
        uint64[] memory windows = new uint64[](4);
        for (uint256 i = 0; i < 4; ++i) {
            _window(false);
            windows[i] = assessment.windowCount();
            call_(POSTER, BOND, posting(windows[i], (1 << AGREED) - 1, _points(), (1 << MEMBERS) - 1));
        }
        wait(DISPUTE_S + TAKE_S + 1);
        vm.prank(account(0)); // the first of 128 members pays more
        assessment.claim(windows);
        vm.prank(account(1));
        assessment.claim(windows);
        uint256 claim = vm.lastCallGas().gasTotalUsed / 4;
        vm.snapshotValue(GROUP, "claim, a window of four at once", claim);
        vm.snapshotValue(
            GROUP, "settlement a contributor, four windows at once", claim + verdict / MEMBERS
        );
    }

    function _window(bool measured) private {
        uint256 all = (1 << MEMBERS) - 1;
        for (uint256 i = 0; i < 2; ++i) {
            uint64 round = open();
            submitMany(round, MEMBERS);
            afterSubmitting(round);
            commit(round, all);
            draw(round);
            sealAssessed(round, all);
            finalize(round, all);
            if (!measured) continue;
            vm.snapshotGasLastCall(
                GROUP,
                i == 0 ? "finalizeRound, 20 updates, the window's first" : "finalizeRound, 20 updates"
            );
        }
    }

    function _points() private pure returns (uint32[] memory points) {
        points = new uint32[](AGREED);
        for (uint256 i = 0; i < AGREED; ++i) {
            points[i] = uint32(1000 + i);
        }
    }
}
