"""Blocks, transactions, receipts and events of the embedded chain as JSON-RPC shows them."""

from __future__ import annotations

from typing import Any

import rlp
from eth_utils.address import to_checksum_address

from ddcai.chain.node.ledger import Ledger, Log, Mined


def hex_of(data: bytes) -> str:
    """Bytes as 0x-prefixed hex."""
    return "0x" + bytes(data).hex()


def block_json(ledger: Ledger, number: int, full: bool) -> dict[str, Any]:
    """A block as eth_getBlockByNumber has it."""
    header = ledger.headers[number]
    mined = ledger.in_block.get(number)
    if mined is None:
        transactions: list[Any] = []
    elif full:
        transactions = [transaction_json(ledger, mined)]
    else:
        transactions = [hex_of(mined.transaction.hash)]
    return {
        "number": hex(number),
        "hash": hex_of(header.hash),
        "parentHash": hex_of(header.parent_hash),
        "nonce": hex_of(header.nonce),
        "sha3Uncles": hex_of(header.uncles_hash),
        "logsBloom": hex_of(header.bloom.to_bytes(256, "big")),
        "transactionsRoot": hex_of(header.transaction_root),
        "receiptsRoot": hex_of(header.receipt_root),
        "stateRoot": hex_of(header.state_root),
        "miner": to_checksum_address(header.coinbase),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "mixHash": hex_of(header.mix_hash),
        "extraData": hex_of(header.extra_data),
        "size": hex(len(rlp.encode(header))),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "withdrawalsRoot": hex_of(header.withdrawals_root),
        "blobGasUsed": hex(header.blob_gas_used),
        "excessBlobGas": hex(header.excess_blob_gas),
        "parentBeaconBlockRoot": hex_of(header.parent_beacon_block_root),
        "requestsHash": hex_of(header.requests_hash),
        "transactions": transactions,
        "uncles": [],
        "withdrawals": [],
    }


def transaction_json(ledger: Ledger, mined: Mined) -> dict[str, Any]:
    """A transaction as eth_getTransactionByHash has it."""
    transaction = mined.transaction
    kind = transaction.type_id or 0
    shown: dict[str, Any] = {
        "type": hex(kind),
        "hash": hex_of(transaction.hash),
        "nonce": hex(transaction.nonce),
        "blockHash": hex_of(ledger.headers[mined.block_number].hash),
        "blockNumber": hex(mined.block_number),
        "transactionIndex": "0x0",
        "from": to_checksum_address(transaction.sender),
        "to": to_checksum_address(transaction.to) if transaction.to else None,
        "value": hex(transaction.value),
        "gas": hex(transaction.gas),
        "gasPrice": hex(mined.effective_gas_price),
        "input": hex_of(transaction.data),
        "chainId": hex(transaction.chain_id),
        "v": hex(transaction.y_parity),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
    }
    if kind >= 2:
        shown["maxFeePerGas"] = hex(transaction.max_fee_per_gas)
        shown["maxPriorityFeePerGas"] = hex(transaction.max_priority_fee_per_gas)
    if kind >= 1:
        shown["yParity"] = hex(transaction.y_parity)
        shown["accessList"] = [
            {
                "address": to_checksum_address(address),
                "storageKeys": [hex_of(slot.to_bytes(32, "big")) for slot in slots],
            }
            for address, slots in transaction.access_list
        ]
    return shown


def receipt_json(ledger: Ledger, mined: Mined) -> dict[str, Any]:
    """A receipt as eth_getTransactionReceipt has it."""
    header = ledger.headers[mined.block_number]
    transaction = mined.transaction
    created = mined.contract_address
    return {
        "transactionHash": hex_of(transaction.hash),
        "transactionIndex": "0x0",
        "blockHash": hex_of(header.hash),
        "blockNumber": hex(mined.block_number),
        "from": to_checksum_address(transaction.sender),
        "to": to_checksum_address(transaction.to) if transaction.to else None,
        "cumulativeGasUsed": hex(mined.gas_used),
        "gasUsed": hex(mined.gas_used),
        "effectiveGasPrice": hex(mined.effective_gas_price),
        "contractAddress": to_checksum_address(created) if created else None,
        "logs": [log_json(ledger, log) for log in mined.logs],
        "logsBloom": hex_of(header.bloom.to_bytes(256, "big")),
        "status": "0x1" if mined.succeeded else "0x0",
        "type": hex(transaction.type_id or 0),
    }


def log_json(ledger: Ledger, log: Log) -> dict[str, Any]:
    """An event as eth_getLogs has it."""
    header = ledger.headers[log.block_number]
    return {
        "address": to_checksum_address(log.address),
        "topics": [hex_of(topic) for topic in log.topics],
        "data": hex_of(log.data),
        "blockNumber": hex(log.block_number),
        "blockHash": hex_of(header.hash),
        "blockTimestamp": hex(header.timestamp),
        "transactionHash": hex_of(log.transaction_hash),
        "transactionIndex": "0x0",
        "logIndex": hex(log.index),
        "removed": False,
    }
