"""Transactions behind events: who sent them, for how much gas, with which input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ddcai.audit.history import Step
from ddcai.chain.events import Event
from ddcai.chain.node.connection import Connection, request_many
from ddcai.errors import ChainError

# Events that other events of the same transaction share the gas with.
_SETTLING = ("Refunded", "Taken")


class Steps:
    """The transactions of these events; each is asked for once."""

    def __init__(self, w3: Connection, found: Sequence[Event]) -> None:
        self._w3 = w3
        hashes = dict.fromkeys(event.tx_hash for event in found)
        self._receipts = self._ask("eth_getTransactionReceipt", hashes)
        self._sharing = Counter(event.tx_hash for event in found if event.name in _SETTLING)

    def of(self, event: Event) -> Step:
        """The step that an event tells of."""
        receipt = self._receipts[event.tx_hash]
        gas_used = int(receipt["gasUsed"], 16)
        if event.name in _SETTLING:
            gas_used //= self._sharing[event.tx_hash]
        return Step(
            by=to_checksum_address(receipt["from"]),
            time=datetime.fromtimestamp(event.timestamp, UTC),
            block_number=event.block_number,
            tx_hash=event.tx_hash,
            gas_used=gas_used,
        )

    def arguments(
        self, found: Iterable[Event], address: str, signature: str
    ) -> dict[str, tuple[Any, ...]]:
        """What the transactions of these events gave to a function of a contract, by hash.

        Those that another contract sent on, or that called something else, are left out.

        Args:
            signature: such as ``register(bytes,bytes)``.
        """
        selector = keccak(text=signature)[:4]
        types = signature[signature.index("(") + 1 : -1].split(",")
        decoded = {}
        hashes = dict.fromkeys(event.tx_hash for event in found)
        for tx_hash, transaction in self._ask("eth_getTransactionByHash", hashes).items():
            data = bytes.fromhex(str(transaction["input"]).removeprefix("0x"))
            to = transaction.get("to")
            if to is None or to_checksum_address(to) != address or data[:4] != selector:
                continue
            try:
                decoded[tx_hash] = abi.decode(types, data[4:])
            except (DecodingError, OverflowError):
                continue
        return decoded

    def _ask(self, method: str, hashes: Iterable[str]) -> dict[str, dict[str, Any]]:
        wanted = list(hashes)
        answers = dict(
            zip(wanted, request_many(self._w3, [(method, [one]) for one in wanted]), strict=True)
        )
        for tx_hash, answer in answers.items():
            if not answer:
                raise ChainError(
                    f"the node shows an event of {tx_hash}, but not that transaction: it is "
                    "behind, or prunes; use another"
                )
        return answers
