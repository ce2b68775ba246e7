"""Transactions behind events: who sent them, for how much gas, with which input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from ddcai.audit.history import Step
from ddcai.chain.events import Event

# Events that other events of the same transaction share the gas with.
SETTLING = ("Refunded", "Taken")


class Steps(Protocol):
    """Who took the steps that events tell of."""

    def of(self, event: Event) -> Step:
        """The step that an event tells of."""

    def arguments(
        self, found: Iterable[Event], address: str, signature: str
    ) -> dict[str, tuple[Any, ...]]:
        """What the transactions of these events gave to a function of a contract, by hash.

        Those that another contract sent on, or that called something else, are left out.

        Args:
            signature: such as ``register(bytes,bytes)``.
        """


def arguments_of(data: bytes, signature: str) -> tuple[Any, ...] | None:
    """What a call gave to a function; None where it called something else.

    Args:
        data: the transaction's input.
        signature: such as ``register(bytes,bytes)``.
    """
    types = signature[signature.index("(") + 1 : -1].split(",")
    if data[:4] != keccak(text=signature)[:4]:
        return None
    try:
        return abi.decode(types, data[4:])
    except (DecodingError, OverflowError):
        return None
