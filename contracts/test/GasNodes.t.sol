// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {NodeRegistry} from "../src/NodeRegistry.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";
import {NodeSigner} from "./helpers/NodeSigner.sol";

/// @notice Gas of node keys; as in Gas.t.sol.
/// forge-config: default.isolate = true
contract GasSnapshotOfNodes is FederationFixture {
    function test_gas_of_node_keys() public {
        deploy(defaultRules());
        NodeRegistry registry = new NodeRegistry(federation);
        vm.snapshotValue("sizes", "NodeRegistry", address(registry).code.length);
        _bind(registry, 1);
        vm.snapshotGasLastCall("NodeRegistry", "bind, first key of an account");
        _bind(registry, 2);
        vm.snapshotGasLastCall("NodeRegistry", "bind, another key of an account");
    }

    function _bind(NodeRegistry registry, uint256 number) private {
        address holder = vm.addr(KEY_HOLDER_KEY);
        bytes memory key = NodeSigner.key(number);
        bytes32 digest = NodeSigner.digest(registry, holder, address(federation), number, key);
        registry.bind(holder, key, NodeSigner.one(KEY_HOLDER_KEY, digest));
    }
}
