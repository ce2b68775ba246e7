"""A contract's events, decoded, in the order in which they happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.node.connection import request, request_many


@dataclass(frozen=True)
class Event:
    """One event.

    Attributes:
        name: such as ``RoundSealed``.
        args: by the names in the ABI: addresses as checksum strings, digests as bytes, bitmaps
            as tuples of words (`ddcai.chain.records.bitmap_indices`).
        block_number, tx_hash, log_index: where it is.
        timestamp: of its block, unix seconds.
    """

    name: str
    args: dict[str, Any]
    block_number: int
    tx_hash: str
    log_index: int
    timestamp: int


def events(
    w3: Web3,
    address: str,
    from_block: int = 0,
    to_block: int | None = None,
    *,
    contract_name: str = "Federation",
) -> list[Event]:
    """All events of one contract in a range of blocks, both ends included.

    Args:
        address: the contract.
        from_block: a block at or before the deployment misses nothing.
        to_block: None for the latest.
        contract_name: whose ABI the events are decoded by; others are left out.
    """
    contract = Contract(w3, to_checksum_address(address), artifact.load(contract_name))
    last = int(request(w3, "eth_blockNumber", []), 16) if to_block is None else to_block
    if last < from_block:
        return []
    logs = contract.logs(from_block, last)
    times = _times(w3, logs)
    found = []
    for log in logs:
        decoded = contract.decode_log(log)
        if decoded is None:
            continue
        name, args = decoded
        number = int(log["blockNumber"], 16)
        found.append(
            Event(
                name=name,
                args=args,
                block_number=number,
                tx_hash=str(log["transactionHash"]),
                log_index=int(log["logIndex"], 16),
                timestamp=times[number],
            )
        )
    return sorted(found, key=lambda event: (event.block_number, event.log_index))


def _times(w3: Web3, logs: list[dict[str, Any]]) -> dict[int, int]:
    """Block times, from the logs themselves where the node puts them there."""
    times = {
        int(log["blockNumber"], 16): int(log["blockTimestamp"], 16)
        for log in logs
        if log.get("blockTimestamp")
    }
    missing = sorted({int(log["blockNumber"], 16) for log in logs} - times.keys())
    blocks = request_many(w3, [("eth_getBlockByNumber", [hex(n), False]) for n in missing])
    times.update(
        (number, int(block["timestamp"], 16)) for number, block in zip(missing, blocks, strict=True)
    )
    return times
