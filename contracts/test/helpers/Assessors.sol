// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAssessor} from "../../src/interfaces/IAssessor.sol";
import {IFederation} from "../../src/interfaces/IFederation.sol";

/// @title An assessor that holds what it gets, and remembers what the federation looked like then.
contract RecordingAssessor is IAssessor {
    address public federation;
    uint64[] public rounds;
    uint256[] public amounts;
    bytes32[] public lists;
    IFederation.RoundState public stateThen;
    uint256 public depositWei = 1 ether; // of the fixture's federation

    function setFederation(address federation_) external {
        federation = federation_;
    }

    function setDeposit(uint256 depositWei_) external {
        depositWei = depositWei_;
    }

    function onFinalized(uint64 round, uint256[] calldata members) external payable virtual {
        require(msg.sender == federation, "not the federation");
        rounds.push(round);
        amounts.push(msg.value);
        lists.push(keccak256(abi.encode(members)));
        stateThen = IFederation(federation).getRound(round).state;
    }

    function count() external view returns (uint256) {
        return rounds.length;
    }
}

/// @title An assessor that calls back into the federation for money.
contract GreedyAssessor is RecordingAssessor {
    function onFinalized(uint64 round, uint256[] calldata) external payable override {
        uint64[] memory again = new uint64[](1);
        again[0] = round;
        IFederation(federation).refund(again);
    }
}
