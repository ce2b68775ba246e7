"""One contract on a chain: calls by name, arguments and results by its ABI.

The facades (`federation`, `head`) are built on this; no caller of theirs needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_utils.abi import get_abi_input_types, get_abi_output_types
from web3 import Web3

from ddcai.chain import abi_errors
from ddcai.chain.artifact import Artifact
from ddcai.chain.log_decoder import LogDecoder
from ddcai.chain.node.connection import RpcFailure, request, request_many
from ddcai.errors import ChainError


class Contract:
    """Calls to one contract.

    Attributes:
        w3: the connection.
        address: checksum address.
        artifact: whose ABI is used.
    """

    def __init__(self, w3: Web3, address: str, artifact: Artifact) -> None:
        self.w3 = w3
        self.address = address
        self.artifact = artifact
        self._functions = {
            entry["name"]: entry for entry in artifact.abi if entry["type"] == "function"
        }
        self._events = LogDecoder([artifact])

    def encode(self, name: str, arguments: Sequence[Any]) -> bytes:
        """Call data: selector and arguments."""
        entry = self._functions[name]
        types = get_abi_input_types(entry)  # type: ignore[arg-type]
        return abi_errors.selector(entry) + abi.encode(types, list(arguments))

    def call(self, name: str, *arguments: Any, sender: str | None = None) -> Any:
        """The result of a free call; a tuple if the function returns several values.

        Raises:
            ContractReverted: the contract refused.
            ChainError: what came back is not what the ABI says.
        """
        params = self._params(name, arguments, sender)
        try:
            raw = request(self.w3, "eth_call", params)
        except RpcFailure as failure:
            raise abi_errors.decode(failure) or failure from failure
        return self._decode(name, raw)

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """The results of several free calls, in one round trip where the node takes batches."""
        requests_ = [("eth_call", self._params(name, arguments, None)) for name, arguments in calls]
        try:
            raws = request_many(self.w3, requests_)
        except RpcFailure as failure:
            raise abi_errors.decode(failure) or failure from failure
        return [self._decode(name, raw) for (name, _), raw in zip(calls, raws, strict=True)]

    def _params(self, name: str, arguments: Sequence[Any], sender: str | None) -> list[Any]:
        call = {"to": self.address, "data": "0x" + self.encode(name, arguments).hex()}
        if sender is not None:
            call["from"] = sender
        return [call, "latest"]

    def _decode(self, name: str, raw: str) -> Any:
        types = get_abi_output_types(self._functions[name])  # type: ignore[arg-type]
        try:
            values = abi.decode(types, bytes.fromhex(raw[2:]))
        except (DecodingError, OverflowError, ValueError) as error:
            raise ChainError(
                f"{self.address} answered {name} with {raw[:80]!r}, which is not what a "
                f"{self.artifact.name} answers: is this its address?"
            ) from error
        return values[0] if len(values) == 1 else values

    def topic(self, event: str) -> str:
        """The first topic of an event, as hex."""
        return self._events.topic(event)

    def logs(self, first: int, last: int, topics: Sequence[str] = ()) -> list[dict[str, Any]]:
        """All raw logs of this contract in blocks `first` to `last`.

        Public endpoints limit the range or the number of answers, each in its own words: a
        refused range is asked for in halves.

        Args:
            topics: that a log must begin with, as hex; none for all logs.
        """
        given: dict[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last)}
        given |= {"address": self.address, "topics": list(topics)}
        try:
            return list(request(self.w3, "eth_getLogs", [given]))
        except RpcFailure:
            if first >= last:
                raise
        middle = (first + last) // 2
        return self.logs(first, middle, topics) + self.logs(middle + 1, last, topics)

    def block_of(self, event: str, first: int, *topics: str) -> int:
        """The block of an event that comes once, from block `first` on.

        Args:
            topics: its first indexed values, as hex of 32 bytes.

        Raises:
            ChainError: it did not come, or more than once.
        """
        last = int(request(self.w3, "eth_blockNumber", []), 16)
        found = self.logs(first, last, (self.topic(event), *topics))
        if len(found) != 1:
            raise ChainError(
                f"{self.address} has {len(found)} events {event} of {', '.join(topics)} from "
                f"block {first} on, not one: name an earlier block, or use another node"
            )
        return int(found[0]["blockNumber"], 16)

    def decode_log(self, log: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
        """Name and arguments of an event; None if the ABI does not know it.

        Raises:
            ChainError: the log is not what the ABI says.
        """
        return self._events.decode(log)
