// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title A bounty that hurts whoever tells it of a point, if it can.
contract BadBounty {
    enum Mode {
        Refuses,
        BurnsAllGas,
        AnswersALot,
        ComesBack
    }

    address public immutable incentive;
    uint40 public until = type(uint40).max;
    Mode public mode;
    address private _target;
    bytes private _call;
    bool public called;
    bool public callSucceeded;

    constructor(address incentive_, Mode mode_) {
        (incentive, mode) = (incentive_, mode_);
    }

    function endAt(uint40 until_) external {
        until = until_;
    }

    function comeBack(address target, bytes calldata call_) external {
        (mode, _target, _call) = (Mode.ComesBack, target, call_);
    }

    function onPoints(address, uint256) external {
        require(mode != Mode.Refuses, "no");
        if (mode == Mode.ComesBack) {
            (callSucceeded,) = _target.call(_call);
            called = true;
            return;
        }
        if (mode == Mode.AnswersALot) {
            assembly {
                revert(0, 400000)
            }
        }
        while (true) {}
    }
}

/// @title Says it is for any incentive, until any time.
contract ClaimedBounty {
    address public immutable incentive;
    uint40 public immutable until;

    constructor(address incentive_, uint40 until_) {
        (incentive, until) = (incentive_, until_);
    }
}

/// @title Takes ether unless told not to, and comes back in once when paid.
contract Receiver {
    bool public takesMoney;
    address private _target;
    bytes private _call;
    bool public callSucceeded;

    receive() external payable {
        require(takesMoney, "no, thank you");
        (callSucceeded,) = _target.call(_call);
    }

    function takeMoney(address target, bytes calldata call_) external {
        (takesMoney, _target, _call) = (true, target, call_);
    }
}
