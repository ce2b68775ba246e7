// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IFederation} from "./IFederation.sol";

/// @title Which Flower node key belongs to which account of a federation.
/// @notice A SuperNode shows itself to a SuperLink by an ECDSA key of the curve P-384. An account
/// says here, by its signature, which key is its node's; a coordinator lets the nodes of these keys
/// in and no others. Anyone may send what an account signed.
/// Warning: that the account's node holds the key is not checked here: a P-384 signature would cost
/// too much gas. Two accounts may name one key. Whoever relies on a key has its node prove it.
/// Warning: an account that left keeps its key here: ask the federation who is a member.
interface INodeRegistry {
    event NodeKeyBound(address indexed account, uint256 indexed binding, bytes publicKey);

    /// @notice Not 49 bytes that start with 0x02 or 0x03.
    error InvalidNodeKey(bytes publicKey);
    /// @notice Neither an active member, nor the key holder, nor one of the current key holders.
    error NotInFederation(address account);
    /// @notice Not this account's signature under its next binding, `binding`, of this key.
    error AccountDidNotSign(address account, uint256 binding);

    /// @notice Binds a node key to an account, in place of the one before; anyone may send it.
    /// @param publicKey a point of P-384, compressed (SEC 1, 2.3.3): 49 bytes. Whether it is on the
    /// curve is for whoever reads it to check.
    /// @param signature 65 bytes (r, s, v), with the lower s and v of 27 or 28, by `account` under
    /// the typed data `NodeKey(address account,address federation,uint256 binding,bytes publicKey)`
    /// (EIP-712, domain "ddcai nodes", version "1", the chain, this contract); `binding` is
    /// `bindings(account) + 1`, so that it serves once.
    function bind(address account, bytes calldata publicKey, bytes calldata signature) external;

    /// @notice An account's node key; empty if it bound none.
    function keyOf(address account) external view returns (bytes memory);

    /// @notice How many keys an account bound, one after the other.
    function bindings(address account) external view returns (uint256);

    function federation() external view returns (IFederation);
}
