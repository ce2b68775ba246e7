"""The JSON-RPC methods of the embedded chain: what web3 and Ethereum tools ask of a node."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import rlp
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ddcai.chain.node.evm import (
    CHAIN_ID,
    TIP_WEI,
    Call,
    EvmChain,
    Log,
    Mined,
    RpcError,
)

INVALID_PARAMS = -32602


def _hex(data: bytes) -> str:
    return "0x" + bytes(data).hex()


def _number(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return int(value, 16)
        except ValueError:
            pass
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
        self._methods: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: f"ddcai-embedded/{version('ddcai')}/py-evm/prague",
            "web3_sha3": lambda data: _hex(keccak(_bytes(data, "data"))),
            "net_version": lambda: str(CHAIN_ID),
            "net_listening": lambda: True,
            "eth_chainId": lambda: hex(CHAIN_ID),
            "eth_syncing": lambda: False,
            "eth_accounts": lambda: [to_checksum_address(a) for a in chain.accounts],
            "eth_blockNumber": lambda: hex(chain.height),
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
            "eth_sendRawTransaction": lambda raw: _hex(chain.send(_bytes(raw, "transaction"))),
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
        return int(self._chain.headers[-1].base_fee_per_gas)

    def _block_number(self, tag: Any, *, strict: bool = True) -> int | None:
        """The block that a tag names; None for the latest state, pending time included."""
        if tag in ("latest", "pending", "safe", "finalized", None):
            return None
        if tag == "earliest":
            return 0
        if isinstance(tag, dict):
            if "blockHash" in tag:
                digest = _bytes(tag["blockHash"], "blockHash", 32)
                if digest not in self._chain.number_of:
                    raise RpcError(-32000, f"block {_hex(digest)} not found")
                return self._chain.number_of[digest]
            tag = tag.get("blockNumber")
        number = _number(tag, "block")
        if number < 0 or (strict and number > self._chain.height):
            raise RpcError(-32000, f"block {number} not found: the latest is {self._chain.height}")
        return number

    def _address(self, value: Any) -> bytes:
        return _bytes(value, "address", 20)

    def _balance(self, address: Any, block: Any = "latest") -> str:
        state = self._chain.state(self._block_number(block))
        return hex(state.get_balance(self._address(address)))

    def _nonce(self, address: Any, block: Any = "latest") -> str:
        return hex(self._chain.state(self._block_number(block)).get_nonce(self._address(address)))

    def _code(self, address: Any, block: Any = "latest") -> str:
        return _hex(self._chain.state(self._block_number(block)).get_code(self._address(address)))

    def _storage(self, address: Any, slot: Any, block: Any = "latest") -> str:
        state = self._chain.state(self._block_number(block))
        value = state.get_storage(self._address(address), _number(slot, "slot"))
        return _hex(value.to_bytes(32, "big"))

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
        return _hex(self._chain.call(self._parse_call(call), self._block_number(block)))

    def _estimate(self, call: Any, block: Any = "latest") -> str:
        return hex(self._chain.estimate_gas(self._parse_call(call), self._block_number(block)))

    def _increase_time(self, seconds: Any) -> int:
        value = _number(seconds, "seconds")
        if value < 0:
            raise RpcError(INVALID_PARAMS, f"seconds is {value}: time only moves ahead")
        return self._chain.increase_time(value)

    def _mine(self) -> str:
        self._chain.mine()
        return "0x0"

    def _fee_history(self, count: Any, newest: Any, percentiles: Any = None) -> dict[str, Any]:
        wanted = _number(count, "blockCount")
        if not 1 <= wanted <= 1024:
            raise RpcError(INVALID_PARAMS, f"blockCount is {wanted}: give 1 to 1024")
        named = self._block_number(newest)
        last = self._chain.height if named is None else named
        first = max(0, last - wanted + 1)
        headers = self._chain.headers[first : last + 1]
        fees = [int(header.base_fee_per_gas) for header in headers]
        # The next block's base fee is known from the last one (EIP-1559).
        after = self._chain.headers[last + 1] if last < self._chain.height else None
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
        mined = self._chain.in_block.get(number)
        if mined is None:
            return 0
        return mined.effective_gas_price - int(self._chain.headers[number].base_fee_per_gas)

    def _block_by_number(self, tag: Any, full: bool = False) -> dict[str, Any] | None:
        number = self._block_number(tag, strict=False)
        if number is None:
            number = self._chain.height
        if number > self._chain.height:
            return None
        return self._block(number, full)

    def _block_by_hash(self, digest: Any, full: bool = False) -> dict[str, Any] | None:
        number = self._chain.number_of.get(_bytes(digest, "hash", 32))
        return None if number is None else self._block(number, full)

    def _block(self, number: int, full: bool) -> dict[str, Any]:
        header = self._chain.headers[number]
        mined = self._chain.in_block.get(number)
        if mined is None:
            transactions: list[Any] = []
        elif full:
            transactions = [self._show(mined)]
        else:
            transactions = [_hex(mined.transaction.hash)]
        return {
            "number": hex(number),
            "hash": _hex(header.hash),
            "parentHash": _hex(header.parent_hash),
            "nonce": _hex(header.nonce),
            "sha3Uncles": _hex(header.uncles_hash),
            "logsBloom": _hex(header.bloom.to_bytes(256, "big")),
            "transactionsRoot": _hex(header.transaction_root),
            "receiptsRoot": _hex(header.receipt_root),
            "stateRoot": _hex(header.state_root),
            "miner": to_checksum_address(header.coinbase),
            "difficulty": "0x0",
            "totalDifficulty": "0x0",
            "mixHash": _hex(header.mix_hash),
            "extraData": _hex(header.extra_data),
            "size": hex(len(rlp.encode(header))),
            "gasLimit": hex(header.gas_limit),
            "gasUsed": hex(header.gas_used),
            "timestamp": hex(header.timestamp),
            "baseFeePerGas": hex(header.base_fee_per_gas),
            "withdrawalsRoot": _hex(header.withdrawals_root),
            "blobGasUsed": hex(header.blob_gas_used),
            "excessBlobGas": hex(header.excess_blob_gas),
            "parentBeaconBlockRoot": _hex(header.parent_beacon_block_root),
            "requestsHash": _hex(header.requests_hash),
            "transactions": transactions,
            "uncles": [],
            "withdrawals": [],
        }

    def _transaction(self, digest: Any) -> dict[str, Any] | None:
        mined = self._chain.mined.get(_bytes(digest, "hash", 32))
        return None if mined is None else self._show(mined)

    def _show(self, mined: Mined) -> dict[str, Any]:
        transaction = mined.transaction
        kind = transaction.type_id or 0
        shown: dict[str, Any] = {
            "type": hex(kind),
            "hash": _hex(transaction.hash),
            "nonce": hex(transaction.nonce),
            "blockHash": _hex(self._chain.headers[mined.block_number].hash),
            "blockNumber": hex(mined.block_number),
            "transactionIndex": "0x0",
            "from": to_checksum_address(transaction.sender),
            "to": to_checksum_address(transaction.to) if transaction.to else None,
            "value": hex(transaction.value),
            "gas": hex(transaction.gas),
            "gasPrice": hex(mined.effective_gas_price),
            "input": _hex(transaction.data),
            "chainId": hex(CHAIN_ID),
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
                    "storageKeys": [_hex(slot.to_bytes(32, "big")) for slot in slots],
                }
                for address, slots in transaction.access_list
            ]
        return shown

    def _receipt(self, digest: Any) -> dict[str, Any] | None:
        mined = self._chain.mined.get(_bytes(digest, "hash", 32))
        if mined is None:
            return None
        header = self._chain.headers[mined.block_number]
        transaction = mined.transaction
        created = mined.contract_address
        return {
            "transactionHash": _hex(transaction.hash),
            "transactionIndex": "0x0",
            "blockHash": _hex(header.hash),
            "blockNumber": hex(mined.block_number),
            "from": to_checksum_address(transaction.sender),
            "to": to_checksum_address(transaction.to) if transaction.to else None,
            "cumulativeGasUsed": hex(mined.gas_used),
            "gasUsed": hex(mined.gas_used),
            "effectiveGasPrice": hex(mined.effective_gas_price),
            "contractAddress": to_checksum_address(created) if created else None,
            "logs": [self._show_log(log) for log in mined.logs],
            "logsBloom": _hex(header.bloom.to_bytes(256, "big")),
            "status": "0x1" if mined.succeeded else "0x0",
            "type": hex(transaction.type_id or 0),
        }

    def _show_log(self, log: Log) -> dict[str, Any]:
        header = self._chain.headers[log.block_number]
        return {
            "address": to_checksum_address(log.address),
            "topics": [_hex(topic) for topic in log.topics],
            "data": _hex(log.data),
            "blockNumber": hex(log.block_number),
            "blockHash": _hex(header.hash),
            "blockTimestamp": hex(header.timestamp),
            "transactionHash": _hex(log.transaction_hash),
            "transactionIndex": "0x0",
            "logIndex": hex(log.index),
            "removed": False,
        }

    def _get_logs(self, given: Any) -> list[dict[str, Any]]:
        if not isinstance(given, dict):
            raise RpcError(INVALID_PARAMS, f"the filter is {given!r}: give an object")
        first, last = self._range(given)
        addresses = given.get("address") or []
        if isinstance(addresses, str):
            addresses = [addresses]
        topics = [self._topic(choice) for choice in given.get("topics") or []]
        found = self._chain.logs(first, last, [self._address(a) for a in addresses], topics)
        return [self._show_log(log) for log in found]

    def _range(self, given: dict[str, Any]) -> tuple[int, int]:
        if given.get("blockHash"):
            number = self._block_number({"blockHash": given["blockHash"]})
            assert number is not None  # a hash always names one block
            return number, number
        height = self._chain.height
        first = self._block_number(given.get("fromBlock", "latest"), strict=False)
        last = self._block_number(given.get("toBlock", "latest"), strict=False)
        return height if first is None else first, height if last is None else last

    def _topic(self, choice: Any) -> frozenset[bytes] | None:
        if choice is None:
            return None
        choices = choice if isinstance(choice, list) else [choice]
        return frozenset(_bytes(topic, "topic", 32) for topic in choices) or None
