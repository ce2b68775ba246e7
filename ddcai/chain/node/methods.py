"""The JSON-RPC methods of the embedded chain: what web3 and Ethereum tools ask of a node."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ddcai.chain.node.evm import CHAIN_ID, TIP_WEI, Call, EvmChain
from ddcai.chain.node.rendering import block_json, hex_of, log_json, receipt_json, transaction_json
from ddcai.chain.node.rpc_error import RpcError

INVALID_PARAMS = -32602
MAX_STEP_S = 10 * 365 * 86400
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")


def _number(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and _QUANTITY.match(value):
        return int(value, 16)
    raise RpcError(INVALID_PARAMS, f"{name} is {value!r}: give a 0x-prefixed number")


def _bytes(value: Any, name: str, length: int | None = None) -> bytes:
    try:
        if not value.startswith("0x"):
            raise ValueError
        data = bytes.fromhex(value[2:])
    except (ValueError, AttributeError, TypeError):
        raise RpcError(INVALID_PARAMS, f"{name} is {value!r}: give 0x-prefixed hex") from None
    if length is not None and len(data) != length:
        raise RpcError(INVALID_PARAMS, f"{name} has {len(data)} bytes, not {length}")
    return data


class Methods:
    """Answers requests on one `EvmChain`; like the chain, for one thread only."""

    def __init__(self, chain: EvmChain) -> None:
        self._chain = chain
        self._ledger = chain.ledger
        self._methods: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: f"ddcai-embedded/{version('ddcai')}/py-evm/prague",
            "web3_sha3": lambda data: hex_of(keccak(_bytes(data, "data"))),
            "net_version": lambda: str(CHAIN_ID),
            "net_listening": lambda: True,
            "eth_chainId": lambda: hex(CHAIN_ID),
            "eth_syncing": lambda: False,
            "eth_accounts": lambda: [to_checksum_address(a) for a in chain.accounts],
            "eth_blockNumber": lambda: hex(chain.ledger.height),
            "eth_gasPrice": lambda: hex(self._base_fee() + TIP_WEI),
            "eth_maxPriorityFeePerGas": lambda: hex(TIP_WEI),
            "eth_feeHistory": self._fee_history,
            "eth_getBalance": self._balance,
            "eth_getTransactionCount": self._nonce,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._get_logs,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": lambda raw: hex_of(chain.send(_bytes(raw, "transaction"))),
            "evm_increaseTime": self._increase_time,
            "evm_mine": self._mine,
        }

    def handle(self, method: str, params: Any) -> Any:
        """The result of one request.

        Raises:
            RpcError: what the caller is told.
        """
        handler = self._methods.get(method)
        if handler is None:
            raise RpcError(-32601, f"the method {method} is not available on the embedded chain")
        if not isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "params must be a list")
        try:
            return handler(*params)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise RpcError(INVALID_PARAMS, f"{method}: wrong number of params") from error
            raise

    def _base_fee(self) -> int:
        return int(self._ledger.headers[-1].base_fee_per_gas)

    def _block_number(self, tag: Any, *, strict: bool = True) -> int | None:
        """The block that a tag names; None for the latest state, pending time included."""
        if tag in ("latest", "pending", "safe", "finalized", None):
            return None
        if tag == "earliest":
            return 0
        if isinstance(tag, dict):
            if "blockHash" in tag:
                digest = _bytes(tag["blockHash"], "blockHash", 32)
                if digest not in self._ledger.number_of:
                    raise RpcError(-32000, f"block {hex_of(digest)} not found")
                return self._ledger.number_of[digest]
            tag = tag.get("blockNumber")
        number = _number(tag, "block")
        if strict and number > self._ledger.height:
            raise RpcError(-32000, f"block {number} not found: the latest is {self._ledger.height}")
        return number

    def _address(self, value: Any) -> bytes:
        return _bytes(value, "address", 20)

    def _balance(self, address: Any, block: Any = "latest") -> str:
        state = self._chain.state(self._block_number(block))
        return hex(state.get_balance(self._address(address)))

    def _nonce(self, address: Any, block: Any = "latest") -> str:
        return hex(self._chain.state(self._block_number(block)).get_nonce(self._address(address)))

    def _code(self, address: Any, block: Any = "latest") -> str:
        return hex_of(self._chain.state(self._block_number(block)).get_code(self._address(address)))

    def _storage(self, address: Any, slot: Any, block: Any = "latest") -> str:
        state = self._chain.state(self._block_number(block))
        value = state.get_storage(self._address(address), _number(slot, "slot"))
        return hex_of(value.to_bytes(32, "big"))

    def _parse_call(self, given: Any) -> Call:
        if not isinstance(given, dict):
            raise RpcError(INVALID_PARAMS, f"the call is {given!r}: give an object")
        data = given.get("input", given.get("data")) or "0x"
        to = given.get("to")
        return Call(
            sender=self._address(given["from"]) if given.get("from") else bytes(20),
            to=self._address(to) if to else b"",
            data=_bytes(data, "data"),
            value=_number(given.get("value") or 0, "value"),
            gas=_number(given["gas"], "gas") if given.get("gas") else None,
        )

    def _call(self, call: Any, block: Any = "latest") -> str:
        return hex_of(self._chain.call(self._parse_call(call), self._block_number(block)))

    def _estimate(self, call: Any, block: Any = "latest") -> str:
        return hex(self._chain.estimate_gas(self._parse_call(call), self._block_number(block)))

    def _increase_time(self, seconds: Any) -> int:
        value = _number(seconds, "seconds")
        if value > MAX_STEP_S:
            raise RpcError(INVALID_PARAMS, f"seconds is {value}: at most {MAX_STEP_S} at once")
        return self._chain.increase_time(value)

    def _mine(self) -> str:
        self._chain.mine()
        return "0x0"

    def _fee_history(self, count: Any, newest: Any, percentiles: Any = None) -> dict[str, Any]:
        wanted = _number(count, "blockCount")
        if not 1 <= wanted <= 1024:
            raise RpcError(INVALID_PARAMS, f"blockCount is {wanted}: give 1 to 1024")
        named = self._block_number(newest)
        last = self._ledger.height if named is None else named
        first = max(0, last - wanted + 1)
        headers = self._ledger.headers[first : last + 1]
        fees = [int(header.base_fee_per_gas) for header in headers]
        # The next block's base fee is known from the last one (EIP-1559).
        after = self._ledger.headers[last + 1] if last < self._ledger.height else None
        fees.append(int(after.base_fee_per_gas if after else self._chain.next_base_fee()))
        history: dict[str, Any] = {
            "oldestBlock": hex(first),
            "baseFeePerGas": [hex(fee) for fee in fees],
            "gasUsedRatio": [header.gas_used / header.gas_limit for header in headers],
        }
        if percentiles:
            history["reward"] = [
                [hex(self._tip(number))] * len(percentiles) for number in range(first, last + 1)
            ]
        return history

    def _tip(self, number: int) -> int:
        mined = self._ledger.in_block.get(number)
        if mined is None:
            return 0
        return mined.effective_gas_price - int(self._ledger.headers[number].base_fee_per_gas)

    def _block_by_number(self, tag: Any, full: bool = False) -> dict[str, Any] | None:
        number = self._block_number(tag, strict=False)
        if number is None:
            number = self._ledger.height
        if number > self._ledger.height:
            return None
        return block_json(self._ledger, number, full)

    def _block_by_hash(self, digest: Any, full: bool = False) -> dict[str, Any] | None:
        number = self._ledger.number_of.get(_bytes(digest, "hash", 32))
        return None if number is None else block_json(self._ledger, number, full)

    def _transaction(self, digest: Any) -> dict[str, Any] | None:
        mined = self._ledger.mined.get(_bytes(digest, "hash", 32))
        return None if mined is None else transaction_json(self._ledger, mined)

    def _receipt(self, digest: Any) -> dict[str, Any] | None:
        mined = self._ledger.mined.get(_bytes(digest, "hash", 32))
        if mined is None:
            return None
        return receipt_json(self._ledger, mined)

    def _get_logs(self, given: Any) -> list[dict[str, Any]]:
        if not isinstance(given, dict):
            raise RpcError(INVALID_PARAMS, f"the filter is {given!r}: give an object")
        first, last = self._range(given)
        addresses = given.get("address") or []
        if isinstance(addresses, str):
            addresses = [addresses]
        topics = [self._topic(choice) for choice in given.get("topics") or []]
        found = self._ledger.logs(first, last, [self._address(a) for a in addresses], topics)
        return [log_json(self._ledger, log) for log in found]

    def _range(self, given: dict[str, Any]) -> tuple[int, int]:
        if given.get("blockHash"):
            number = self._block_number({"blockHash": given["blockHash"]})
            assert number is not None  # a hash always names one block
            return number, number
        height = self._ledger.height
        first = self._block_number(given.get("fromBlock", "latest"), strict=False)
        last = self._block_number(given.get("toBlock", "latest"), strict=False)
        return height if first is None else first, height if last is None else last

    def _topic(self, choice: Any) -> frozenset[bytes] | None:
        if choice is None:
            return None
        choices = choice if isinstance(choice, list) else [choice]
        return frozenset(_bytes(topic, "topic", 32) for topic in choices) or None
