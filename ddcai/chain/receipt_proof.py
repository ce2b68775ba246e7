"""Proof that a contract emitted an event, for somebody who has no node and believes none.

The block's header names the root of the trie of its receipts, and a receipt holds the events
of its transaction (Yellow Paper, section 4.3; typed receipts by EIP-2718). The header hashes
to the block's hash. So whoever knows that a block hash is of a chain, from any source, knows
that the event is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import rlp
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3 import Web3

from ddcai.chain import strict_rlp
from ddcai.chain.block_header import block_header
from ddcai.chain.node.connection import RpcFailure, request, request_many
from ddcai.chain.receipt_trie import receipt_at, root_and_nodes
from ddcai.errors import ChainError, MalformedError

# Places in a header; it had 15 fields at first, and every fork that adds one adds it at the end.
_RECEIPTS_ROOT, _NUMBER, _TIMESTAMP = 5, 8, 11
_MIN_FIELDS, _MAX_FIELDS = 15, 64
_HASH_BYTES, _ADDRESS_BYTES, _BLOOM_BYTES = 32, 20, 256
_MAX_TOPICS = 4
_TYPES_END = 0x80  # a typed receipt begins with its type; RLP of a list does not
_SUCCESS = b"\1"


@dataclass(frozen=True, kw_only=True)
class ProvenLog:
    """An event, as the block's hash vouches for it.

    Attributes:
        block_hash: 32 bytes; everything here is true if a chain has this block.
        block_number, timestamp: of that block; the time in unix seconds.
        transaction_index: in that block.
        address: the contract that emitted it, checksum.
        topics: 32 bytes each.
    """

    block_hash: bytes
    block_number: int
    timestamp: int
    transaction_index: int
    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, kw_only=True)
class LogProof:
    """What proves one event.

    Attributes:
        header: RLP of the block's header.
        transaction_index: in that block.
        nodes: of the trie of its receipts, from the root to the transaction's receipt.
        position: of the event among those of the transaction, from 0.
    """

    header: bytes
    transaction_index: int
    nodes: tuple[bytes, ...]
    position: int

    def log(self) -> ProvenLog:
        """The event.

        Raises:
            MalformedError: a header, node or receipt that is none.
            VerificationError: the nodes do not lead from the header to the transaction.
        """
        root, block_number, timestamp = _header(self.header)
        receipt = receipt_at(root, self.transaction_index, self.nodes)
        logs = _logs(receipt)
        if self.position >= len(logs):
            raise MalformedError(
                f"the transaction has {len(logs)} events, and the proof names number "
                f"{self.position}, from 0"
            )
        address, topics, data = _log(logs[self.position])
        return ProvenLog(
            block_hash=keccak(self.header),
            block_number=block_number,
            timestamp=timestamp,
            transaction_index=self.transaction_index,
            address=address,
            topics=topics,
            data=data,
        )


def prove_log(w3: Web3, tx_hash: str, log_index: int) -> LogProof:
    """Proves an event, from what a node tells of its block.

    Args:
        tx_hash: of its transaction, 0x-prefixed hex.
        log_index: the event's index in its block.

    Raises:
        ChainError: no such event, or receipts that do not have the header's root: a chain whose
            receipts have another form than Ethereum's.
    """
    own = request(w3, "eth_getTransactionReceipt", [tx_hash])
    if own is None:
        raise ChainError(f"the node has no receipt of {tx_hash}: use another node")
    number, index = int(own["blockNumber"], 16), int(own["transactionIndex"], 16)
    positions = {int(log["logIndex"], 16): place for place, log in enumerate(own["logs"])}
    if log_index not in positions:
        raise ChainError(f"{tx_hash} has no event with index {log_index}: use another node")
    header = block_header(w3, number)
    receipts = [encoded_receipt(one) for one in _receipts(w3, number)]
    root, nodes = root_and_nodes(receipts, index)
    if root != _header(header)[0]:
        raise ChainError(
            f"the receipts of block {number} do not have the root that its header names: either "
            "this chain's receipts have another form than Ethereum's, or the node is wrong"
        )
    return LogProof(
        header=header, transaction_index=index, nodes=nodes, position=positions[log_index]
    )


def encoded_receipt(receipt: dict[str, Any]) -> bytes:
    """A receipt's bytes, from a node's JSON.

    Until Byzantium (EIP-658) a receipt had the state's root where it now has a status.
    """
    status: int | bytes
    if receipt.get("status") is not None:
        status = int(receipt["status"], 16)
    else:
        status = bytes.fromhex(receipt["root"][2:])
    logs = [
        [_hex(log["address"]), [_hex(topic) for topic in log["topics"]], _hex(log["data"])]
        for log in receipt["logs"]
    ]
    gas = int(receipt["cumulativeGasUsed"], 16)
    body = bytes(rlp.encode([status, gas, _hex(receipt["logsBloom"]), logs]))
    kind = int(receipt.get("type", "0x0"), 16)
    return body if kind == 0 else bytes([kind]) + body


def _hex(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _receipts(w3: Web3, number: int) -> list[dict[str, Any]]:
    """All receipts of a block, in the order of its transactions."""
    try:
        found = request(w3, "eth_getBlockReceipts", [hex(number)])
        if found is not None:
            return list(found)
    except RpcFailure:  # not every node knows that method
        pass
    block = request(w3, "eth_getBlockByNumber", [hex(number), False])
    hashes = [] if block is None else block["transactions"]
    receipts = request_many(w3, [("eth_getTransactionReceipt", [one]) for one in hashes])
    if not receipts or None in receipts:
        raise ChainError(f"the node does not have all receipts of block {number}: use another")
    return receipts


def _header(header: bytes) -> tuple[bytes, int, int]:
    """Root of the receipts, number and time of a block."""
    fields = strict_rlp.decode(header, 1)
    if not isinstance(fields, list) or not _MIN_FIELDS <= len(fields) <= _MAX_FIELDS:
        raise MalformedError("a block header without the fields of one")
    root = fields[_RECEIPTS_ROOT]
    if not isinstance(root, bytes) or len(root) != _HASH_BYTES:
        raise MalformedError("a block header without a root of receipts")
    number = strict_rlp.number(fields[_NUMBER], "a block's number")
    return root, number, strict_rlp.number(fields[_TIMESTAMP], "a block's time")


def _logs(receipt: bytes) -> list[strict_rlp.Item]:
    """The events of a receipt, legacy or typed."""
    body = receipt[1:] if receipt and receipt[0] < _TYPES_END else receipt
    fields = strict_rlp.decode(body, 4)
    if not isinstance(fields, list) or len(fields) != 4:
        raise MalformedError("a transaction receipt without the four fields of one")
    status, gas, bloom, logs = fields
    strict_rlp.number(gas, "a receipt's gas")
    if not isinstance(bloom, bytes) or len(bloom) != _BLOOM_BYTES or not isinstance(logs, list):
        raise MalformedError("a transaction receipt without a bloom filter or events")
    if status != _SUCCESS and not (isinstance(status, bytes) and len(status) == _HASH_BYTES):
        raise MalformedError("the receipt of a transaction that failed: nothing happened in it")
    return logs


def _log(log: strict_rlp.Item) -> tuple[str, tuple[bytes, ...], bytes]:
    if not isinstance(log, list) or len(log) != 3:
        raise MalformedError("an event without the three fields of one")
    address, topics, data = log
    if not isinstance(address, bytes) or len(address) != _ADDRESS_BYTES:
        raise MalformedError("an event of no contract")
    if not isinstance(data, bytes) or not isinstance(topics, list) or len(topics) > _MAX_TOPICS:
        raise MalformedError("an event without data or with more than four topics")
    words = tuple(one for one in topics if isinstance(one, bytes) and len(one) == _HASH_BYTES)
    if len(words) != len(topics):
        raise MalformedError("an event with a topic that has not 32 bytes")
    return str(to_checksum_address(address)), words, data
