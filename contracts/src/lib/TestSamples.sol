// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IClassifier} from "../interfaces/IClassifier.sol";
import {IPredictionMarket} from "../interfaces/IPredictionMarket.sol";

/// @title Labelled samples one after the other, and how many of them a model gets wrong.
/// @dev A sample: class (a byte), length of the features (two bytes, big-endian), features.
library TestSamples {
    uint256 private constant HEAD_BYTES = 3;

    /// @dev Asks the model about samples from byte `offset` on, until the end or `maxSamples`.
    /// Reverts on malformed data, and with the model's error if it refuses a sample.
    /// @return next the byte after the last sample that was asked.
    function countErrors(
        IClassifier model,
        bytes memory data,
        uint256 offset,
        uint256 maxSamples
    ) internal view returns (uint256 next, uint256 samples, uint256 errors) {
        uint256 classes = model.classLimit();
        next = offset;
        while (next < data.length && samples < maxSamples) {
            require(next + HEAD_BYTES <= data.length, IPredictionMarket.WrongSample(next));
            uint256 class = uint8(data[next]);
            uint256 length = uint256(uint8(data[next + 1])) << 8 | uint8(data[next + 2]);
            uint256 end = next + HEAD_BYTES + length;
            require(end <= data.length && class < classes, IPredictionMarket.WrongSample(next));
            if (_predict(model, data, next + HEAD_BYTES, length) != class) ++errors;
            ++samples;
            next = end;
        }
    }

    /// @dev `model.predict` on a part of memory, without copying the scores that it returns.
    function _predict(IClassifier model, bytes memory data, uint256 from, uint256 length)
        private
        view
        returns (uint256 class)
    {
        bytes4 selector = IClassifier.predict.selector;
        bool ok;
        assembly ("memory-safe") {
            // Beyond the free memory pointer, which stays where it is.
            let call_ := mload(64)
            mstore(call_, selector)
            mstore(add(call_, 4), 32)
            mstore(add(call_, 36), length)
            mcopy(add(call_, 68), add(add(data, 32), from), length)
            // ABI: features are padded to whole words.
            mstore(add(add(call_, 68), length), 0)
            let size := add(68, and(add(length, 31), not(31)))
            ok := staticcall(gas(), model, call_, size, 0, 32)
            switch ok
            case 0 {
                returndatacopy(call_, 0, returndatasize())
                revert(call_, returndatasize())
            }
            default {
                if lt(returndatasize(), 32) { revert(0, 0) }
                class := mload(0)
            }
        }
    }
}
