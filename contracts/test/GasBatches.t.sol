// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {UpdateBatches} from "../src/UpdateBatches.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

/// @notice Gas of groups' lists; as in Gas.t.sol.
/// forge-config: default.isolate = true
contract GasSnapshotOfBatches is FederationFixture {
    function test_gas_of_lists() public {
        deploy(defaultRules());
        inviteAndRegister(1);
        UpdateBatches batches = new UpdateBatches();
        vm.snapshotValue("sizes", "UpdateBatches", address(batches).code.length);
        uint64 round = open();
        submit(round, 0);
        vm.prank(account(0));
        batches.post(
            federation, round, keccak256("root"), 1000, updateOf(round, 0), keccak256("list")
        );
        vm.snapshotGasLastCall("UpdateBatches", "post");
    }
}
