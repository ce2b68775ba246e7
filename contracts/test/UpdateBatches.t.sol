// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {UpdateBatches} from "../src/UpdateBatches.sol";
import {IFederation} from "../src/interfaces/IFederation.sol";
import {IUpdateBatches} from "../src/interfaces/IUpdateBatches.sol";
import {BatchTree} from "./helpers/BatchTree.sol";
import {FederationFixture} from "./helpers/FederationFixture.sol";

/// @notice Members post the roots of their lists, and contributors show that they are on them.
contract UpdateBatchesTest is FederationFixture {
    bytes32 private constant ROOT = keccak256("root");
    bytes32 private constant LIST = keccak256("list");

    UpdateBatches private batches;
    uint64 private round;
    address private group;

    function setUp() public {
        deploy(defaultRules());
        inviteAndRegister(3);
        batches = new UpdateBatches();
        group = account(0);
        round = open();
    }

    function test_a_member_posts_after_it_submitted() public {
        submit(round, 0);
        vm.expectEmit(address(batches));
        emit IUpdateBatches.BatchPosted(
            address(federation), round, group, ROOT, 7, updateOf(round, 0), LIST
        );
        _post(0, ROOT, 7);
        _check(group, ROOT, 7);
        _check(account(1), 0, 0);
        (bytes32 root,) = batches.batchOf(federation, round + 1, group);
        vm.assertEq(root, 0);
    }

    function test_once_a_round_and_the_first_list_stays() public {
        submit(round, 0);
        _post(0, ROOT, 7);
        bytes memory error_ =
            abi.encodeWithSelector(IUpdateBatches.AlreadyPosted.selector, federation, round, group);
        _refuse(group, _posting(keccak256("another root"), 7, updateOf(round, 0), LIST), error_);
        _refuse(group, _posting(ROOT, 7, updateOf(round, 0), LIST), error_);
        _check(group, ROOT, 7);
    }

    function test_a_list_is_of_what_was_submitted() public {
        bytes32 sum = updateOf(round, 0);
        // Before anything was submitted; the sum of another; another sum.
        _refuse(group, _posting(ROOT, 7, sum, LIST), _notSubmitted(sum, 0));
        submit(round, 1);
        bytes32 other = updateOf(round, 1);
        _refuse(group, _posting(ROOT, 7, other, LIST), _notSubmitted(other, 0));
        submit(round, 0);
        _refuse(group, _posting(ROOT, 7, other, LIST), _notSubmitted(other, sum));
        _check(group, 0, 0);
    }

    function test_refuses_strangers_and_those_who_left() public {
        bytes memory call_ = _posting(ROOT, 7, updateOf(round, 0), LIST);
        _refuse(
            STRANGER, call_, abi.encodeWithSelector(IUpdateBatches.NotMember.selector, STRANGER)
        );
        vm.prank(account(2));
        federation.leave();
        _refuse(
            account(2),
            call_,
            abi.encodeWithSelector(IUpdateBatches.NotMember.selector, account(2))
        );
    }

    function test_refuses_rounds_that_are_not_open() public {
        submitMany(round, 3);
        afterSubmitting(round);
        seal(round, 7);
        bytes memory call_ = _posting(ROOT, 7, updateOf(round, 0), LIST);
        _refuse(group, call_, _notOpen(IFederation.RoundState.Sealed));
        finalize(round, 7);
        _refuse(group, call_, _notOpen(IFederation.RoundState.Finalized));
        round += 1;
        _refuse(group, _posting(ROOT, 7, LIST, LIST), _notOpen(IFederation.RoundState.None));
        open();
        submit(round, 0);
        vm.prank(COORDINATOR);
        federation.cancelRound(round);
        call_ = _posting(ROOT, 7, updateOf(round, 0), LIST);
        _refuse(group, call_, _notOpen(IFederation.RoundState.Cancelled));
    }

    function test_refuses_empty_lists_and_zeros() public {
        submit(round, 0);
        bytes32 sum = updateOf(round, 0);
        bytes memory zero = abi.encodeWithSelector(IUpdateBatches.ZeroDigest.selector);
        _refuse(
            group,
            _posting(ROOT, 0, sum, LIST),
            abi.encodeWithSelector(IUpdateBatches.EmptyBatch.selector)
        );
        _refuse(group, _posting(0, 7, sum, LIST), zero);
        _refuse(group, _posting(ROOT, 7, 0, LIST), zero);
        _refuse(group, _posting(ROOT, 7, sum, 0), zero);
    }

    function test_a_federation_keeps_to_itself() public {
        submit(round, 0);
        _post(0, ROOT, 7);
        IFederation first = federation;
        deploy(defaultRules());
        inviteAndRegister(1);
        open();
        submit(round, 0);
        _check(group, 0, 0); // the second federation's
        _post(0, keccak256("second"), 3);
        (bytes32 root, uint32 count) = batches.batchOf(first, round, group);
        vm.assertEq(root, ROOT);
        vm.assertEq(uint256(count), 7);
    }

    function testFuzz_every_leaf_is_included_and_nothing_else(uint256 size, uint256 seed) public {
        size = _bound(size, 1, 9);
        bytes32[] memory leaves = _leaves(size, seed);
        _postTree(leaves);
        for (uint256 i = 0; i < size; ++i) {
            bytes32[] memory proof = BatchTree.proof(leaves, i, 0, size);
            (address contributor, bytes32 digest) = _entry(seed, i);
            vm.assertTrue(_includes(contributor, digest, proof));
            // Of another round, group and federation; another update; another contributor.
            vm.assertFalse(
                batches.includes(federation, round + 1, group, contributor, digest, proof)
            );
            vm.assertFalse(
                batches.includes(federation, round, account(1), contributor, digest, proof)
            );
            vm.assertFalse(
                batches.includes(IFederation(STRANGER), round, group, contributor, digest, proof)
            );
            vm.assertFalse(_includes(contributor, keccak256(abi.encode(digest)), proof));
            vm.assertFalse(_includes(STRANGER, digest, proof));
            // A path that is altered, too long, too short.
            bytes32[] memory longer = new bytes32[](proof.length + 1);
            for (uint256 j = 0; j < proof.length; ++j) {
                longer[j] = proof[j];
                proof[j] ^= bytes32(uint256(1));
                vm.assertFalse(_includes(contributor, digest, proof));
                proof[j] ^= bytes32(uint256(1));
            }
            vm.assertFalse(_includes(contributor, digest, longer));
            if (proof.length == 0) continue;
            assembly ("memory-safe") {
                mstore(proof, sub(mload(proof), 1))
            }
            vm.assertFalse(_includes(contributor, digest, proof));
        }
    }

    function test_no_node_passes_for_a_leaf() public {
        bytes32[] memory leaves = _leaves(2, 1);
        _postTree(leaves);
        // With plain pairs, who names the two children as contributor and digest is "included".
        bytes32[] memory none = new bytes32[](0);
        vm.assertFalse(_includes(address(uint160(uint256(leaves[0]))), leaves[1], none));
        vm.assertFalse(_includes(address(uint160(uint256(leaves[1]))), leaves[0], none));
    }

    function test_nothing_is_included_where_nothing_was_posted() public view {
        vm.assertFalse(_includes(account(1), ROOT, new bytes32[](0)));
    }

    function _entry(uint256 seed, uint256 i) private pure returns (address, bytes32) {
        bytes32 word = keccak256(abi.encode(seed, i));
        return (address(uint160(uint256(word))), keccak256(abi.encode(word)));
    }

    function _leaves(uint256 size, uint256 seed) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            (address contributor, bytes32 digest) = _entry(seed, i);
            leaves[i] = BatchTree.leaf(contributor, digest);
        }
    }

    function _postTree(bytes32[] memory leaves) private {
        submit(round, 0);
        _post(0, BatchTree.root(leaves, 0, leaves.length), uint32(leaves.length));
    }

    function _includes(address contributor, bytes32 digest, bytes32[] memory proof)
        private
        view
        returns (bool)
    {
        return batches.includes(federation, round, group, contributor, digest, proof);
    }

    function _post(uint256 member, bytes32 root, uint32 count) private {
        vm.prank(account(member));
        batches.post(federation, round, root, count, updateOf(round, member), LIST);
    }

    function _posting(bytes32 root, uint32 count, bytes32 sum, bytes32 list)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(IUpdateBatches.post, (federation, round, root, count, sum, list));
    }

    function _refuse(address who, bytes memory call_, bytes memory error_) private {
        vm.prank(who);
        (bool ok, bytes memory answer) = address(batches).call(call_);
        vm.assertFalse(ok, "was not refused");
        vm.assertEq(answer, error_);
    }

    function _check(address who, bytes32 root, uint256 count) private view {
        (bytes32 found, uint32 size) = batches.batchOf(federation, round, who);
        vm.assertEq(found, root);
        vm.assertEq(uint256(size), count);
    }

    function _notSubmitted(bytes32 given, bytes32 submitted) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IUpdateBatches.NotSubmitted.selector, given, submitted);
    }

    function _notOpen(IFederation.RoundState state) private view returns (bytes memory) {
        return abi.encodeWithSelector(IUpdateBatches.RoundNotOpen.selector, round, state);
    }
}
