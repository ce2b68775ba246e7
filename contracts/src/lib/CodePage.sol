// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Data kept as a contract's code: written once, read for a fraction of what storage costs.
/// @dev A page is 200 gas a byte to write (EIP-170 allows 24,576); reading one costs 2,600, and 3
/// a word. Its first byte is STOP, so that nobody can run it; offsets and lengths are without it.
library CodePage {
    uint256 internal constant MAX_BYTES = 24_575; // EIP-170, less the first byte

    /// @dev More than a page holds, or too little gas was left to create it.
    error PageNotCreated(uint256 length);

    /// @dev Writes `data` as the code of a new contract.
    function write(bytes memory data) internal returns (address page) {
        require(data.length <= MAX_BYTES, PageNotCreated(data.length));
        // Creation code: PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN.
        bytes memory creation =
            abi.encodePacked(hex"61", uint16(data.length + 1), hex"80600a5f395ff3", hex"00", data);
        assembly ("memory-safe") {
            page := create(0, add(creation, 32), mload(creation))
        }
        require(page != address(0), PageNotCreated(data.length));
    }

    /// @dev Bytes of data in a page; 0 for the zero address, which is no page.
    function length(address page) internal view returns (uint256) {
        return page == address(0) ? 0 : page.code.length - 1;
    }

    /// @dev All data of a page; nothing for the zero address.
    function read(address page) internal view returns (bytes memory data) {
        data = new bytes(length(page));
        copy(page, data);
    }

    /// @dev Copies a page's data to the front of `data`, as much as fits; the zero address has none.
    function copy(address page, bytes memory data) internal view {
        uint256 size = length(page);
        if (size > data.length) size = data.length;
        assembly ("memory-safe") {
            extcodecopy(page, add(data, 32), 1, size)
        }
    }
}
