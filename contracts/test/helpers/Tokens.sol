// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A plain token, OpenZeppelin's.
contract PlainToken is ERC20("Plain", "PLN") {
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }
}

/// @title Keeps a hundredth of every transfer.
contract FeeToken is ERC20("Fee", "FEE") {
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : amount / 100;
        if (fee > 0) super._update(from, address(0), fee);
        super._update(from, to, amount - fee);
    }
}

/// @title Does as it is told: lies, refuses, shrinks, calls back before it moves anything.
contract BadToken is ERC20("Bad", "BAD") {
    enum Mode {
        Honest,
        AnswersFalse,
        Refuses,
        CallsBack
    }

    Mode public mode;
    address private _target;
    bytes private _call;
    bool public callSucceeded;

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function burn(address account, uint256 amount) external {
        _burn(account, amount);
    }

    function be(Mode mode_) external {
        mode = mode_;
    }

    function callBack(address target, bytes calldata call_) external {
        (mode, _target, _call) = (Mode.CallsBack, target, call_);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return _before() && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount)
        public
        override
        returns (bool)
    {
        return _before() && super.transferFrom(from, to, amount);
    }

    function _before() private returns (bool) {
        require(mode != Mode.Refuses, "no");
        if (mode == Mode.CallsBack) {
            mode = Mode.Honest;
            (callSucceeded,) = _target.call(_call);
        }
        return mode != Mode.AnswersFalse;
    }
}
