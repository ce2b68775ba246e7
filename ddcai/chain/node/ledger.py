"""What the embedded chain remembers of its blocks, indexed for what RPC asks.

py-evm finds events and transactions by walking the chain: 7.4 s at 208 blocks. Here each is a
look-up.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Log:
    """One event: where it is and what it says."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    transaction_hash: bytes
    index: int


@dataclass(frozen=True)
class Mined:
    """One transaction with its block's number (a block holds one) and its receipt."""

    transaction: Any
    block_number: int
    gas_used: int
    effective_gas_price: int
    succeeded: bool
    contract_address: bytes | None
    logs: tuple[Log, ...]


class Ledger:
    """Blocks, transactions and events of a chain that only grows; a block holds one transaction.

    Attributes:
        headers: by block number.
        number_of: block number by block hash.
        mined: transactions by hash.
        in_block: transactions by block number; empty blocks have none.
    """

    def __init__(self, genesis: Any) -> None:
        self.headers: list[Any] = []
        self.number_of: dict[bytes, int] = {}
        self.mined: dict[bytes, Mined] = {}
        self.in_block: dict[int, Mined] = {}
        self._logs: list[Log] = []
        self._logs_at: dict[bytes, list[Log]] = {}
        self.add_block(genesis)

    @property
    def height(self) -> int:
        """The number of the last block."""
        return len(self.headers) - 1

    def add_block(self, header: Any) -> None:
        """Appends a block."""
        self.number_of[bytes(header.hash)] = len(self.headers)
        self.headers.append(header)

    def add_transaction(self, transaction: Any, receipt: Any, computation: Any) -> None:
        """Records the transaction of the last block."""
        header = self.headers[-1]
        number = self.height
        digest = bytes(transaction.hash)
        logs = tuple(
            Log(
                address=bytes(log.address),
                topics=tuple(topic.to_bytes(32, "big") for topic in log.topics),
                data=bytes(log.data),
                block_number=number,
                transaction_hash=digest,
                index=index,
            )
            for index, log in enumerate(receipt.logs)
        )
        price = min(
            transaction.max_fee_per_gas,
            header.base_fee_per_gas + transaction.max_priority_fee_per_gas,
        )
        created = transaction.to == b""
        mined = Mined(
            transaction=transaction,
            block_number=number,
            gas_used=receipt.gas_used,
            effective_gas_price=price,
            succeeded=not computation.is_error,
            contract_address=bytes(computation.msg.storage_address) if created else None,
            logs=logs,
        )
        self.mined[digest] = self.in_block[number] = mined
        for log in logs:
            self._logs.append(log)
            self._logs_at.setdefault(log.address, []).append(log)

    def logs(
        self,
        first: int,
        last: int,
        addresses: Iterable[bytes],
        topics: Sequence[frozenset[bytes] | None],
    ) -> list[Log]:
        """The events of blocks `first` to `last`, in order, as eth_getLogs filters them."""
        wanted = list(dict.fromkeys(addresses))
        sources = [self._logs_at.get(address, []) for address in wanted] if wanted else [self._logs]
        found: list[Log] = []
        for source in sources:
            start = bisect_left(source, first, key=lambda log: log.block_number)
            end = bisect_right(source, last, key=lambda log: log.block_number)
            found.extend(log for log in source[start:end] if _matches(log.topics, topics))
        if len(sources) > 1:
            found.sort(key=lambda log: (log.block_number, log.index))
        return found


def _matches(topics: tuple[bytes, ...], wanted: Sequence[frozenset[bytes] | None]) -> bool:
    return len(topics) >= len(wanted) and all(
        choice is None or topic in choice for topic, choice in zip(topics, wanted, strict=False)
    )
