// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IFederation} from "../../src/interfaces/IFederation.sol";

/// @title A member that is a contract: by default it takes no money.
contract ContractMember {
    IFederation internal immutable _federation;
    bool public takesMoney;
    /// @dev Called from `receive` when money comes in; empty for nothing.
    bytes public reentry;
    bool public reentrySucceeded;
    bytes public reentryAnswer;

    constructor(IFederation federation) payable {
        _federation = federation;
    }

    receive() external payable {
        require(takesMoney, "no, thank you");
        if (reentry.length == 0) return;
        (reentrySucceeded, reentryAnswer) = address(_federation).call(reentry);
    }

    function takeMoney(bytes calldata reentry_) external {
        takesMoney = true;
        reentry = reentry_;
    }

    function run(uint256 valueWei, bytes calldata call_) external returns (bytes memory) {
        (bool ok, bytes memory answer) = address(_federation).call{value: valueWei}(call_);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}

/// @title A key holder that is a contract: one signer behind ERC-1271.
contract WalletKeyHolder is IERC1271 {
    address private immutable _signer;

    constructor(address signer) {
        _signer = signer;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        (address recovered,,) = ECDSA.tryRecover(hash, signature);
        return recovered == _signer ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }
}
