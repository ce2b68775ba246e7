"""A range of blocks from a node: the events of some contracts, and the transactions behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from eth_utils.address import to_checksum_address

from ddcai.audit.index import contracts, encoding
from ddcai.audit.index.contracts import Watched
from ddcai.chain.node.connection import (
    Connection,
    RpcFailure,
    mines_on_request,
    request,
    request_many,
)
from ddcai.errors import ChainError

# From so many of a block's transactions on, the block as a whole takes less time: a trial chain's
# blocks hold little else than what is asked for, a public chain's hundreds of other transactions.
WHOLE_TRIAL_BLOCK, WHOLE_BLOCK = 2, 20
_BLOCKS_AT_ONCE = 10

# The argument that an event is mostly about, by its name: the first that it has.
_ACCOUNTS = (
    "contributor",
    "member",
    "by",
    "to",
    "from",
    "sponsor",
    "account",
    "poster",
    "reporter",
    "teacher",
    "owner",
    "newOwner",
    "group",
)
_AMOUNTS = (
    "amountWei",
    "depositWei",
    "stakeWei",
    "priceWei",
    "potWei",
    "amount",
    "bountyWei",
    "rewardWei",
)
_DIGESTS = (
    "updateDigest",
    "modelDigest",
    "sumDigest",
    "baseModelDigest",
    "scoresDigest",
    "headDigest",
    "keyDigest",
)


@dataclass(frozen=True)
class Header:
    """A block's number, hash and time."""

    number: int
    hash: str
    time: int


@dataclass(frozen=True)
class Fetched:
    """Rows for the tables, without the federation's and the chain's id.

    Attributes:
        last: the range's last block.
        named: contracts that these events tell of.
    """

    last: Header
    blocks: list[dict[str, Any]]
    transactions: list[dict[str, Any]]
    events: list[dict[str, Any]]
    named: tuple[Watched, ...]


class Moved(ChainError):
    """The chain was reorganised while it was read: what was read is worth nothing."""


def header(w3: Connection, number: int) -> Header | None:
    """A block of the chain as it is now; None if it has none of this number."""
    try:
        block = request(w3, "eth_getBlockByNumber", [hex(number), False])
    except RpcFailure:
        if int(request(w3, "eth_blockNumber", []), 16) >= number:
            raise
        return None
    return None if block is None else _header(block)


def _header(block: Mapping[str, Any]) -> Header:
    number, time = int(block["number"], 16), int(block["timestamp"], 16)
    return Header(number, str(block["hash"]).lower(), time)


class Fetcher:
    """Reads ranges from one node.

    Args:
        federation: whose events are wanted, its contract's address.
        whole_blocks: whether to try ``eth_getBlockReceipts``.
    """

    def __init__(self, w3: Connection, federation: str, *, whole_blocks: bool = True) -> None:
        self._w3, self._federation, self._whole_blocks = w3, federation, whole_blocks
        self._whole_from = WHOLE_TRIAL_BLOCK if mines_on_request(w3) else WHOLE_BLOCK

    def logs(self, watched: Iterable[Watched], first: int, last: int) -> list[dict[str, Any]]:
        """All raw logs of these contracts in blocks `first` to `last`."""
        addresses = [one.address for one in watched]
        given = {"fromBlock": hex(first), "toBlock": hex(last), "address": addresses}
        found: list[dict[str, Any]] = request(self._w3, "eth_getLogs", [given])
        return found

    def complete(
        self, watched: Sequence[Watched], logs: Sequence[dict[str, Any]], last: Header
    ) -> Fetched:
        """What the tables hold of these logs.

        Raises:
            Moved: the node does not have a transaction of a log any more, or has it elsewhere.
        """
        kinds = {one.address.lower(): one for one in watched}
        decoded = []
        for log in logs:
            one = kinds[log["address"].lower()]
            found = contracts.decoder(one.kind).decode(log)
            if found is not None and contracts.concerns(one.kind, found[1], self._federation):
                decoded.append((log, one, *found))
        headers = self._headers([log for log, *_ in decoded], last)
        rows = [_event_row(log, one, name, args, headers) for log, one, name, args in decoded]
        named = [
            other
            for _, one, name, args in decoded
            for other in contracts.named_by(self._w3, one.kind, name, args)
        ]
        return Fetched(
            last=last,
            blocks=[
                {"number": one.number, "hash": one.hash, "time": one.time}
                for one in headers.values()
            ],
            transactions=self._transactions([log for log, *_ in decoded], headers, kinds),
            events=sorted(rows, key=lambda row: (row["block_number"], row["log_index"])),
            named=tuple(dict.fromkeys(named)),
        )

    def _headers(self, logs: Sequence[dict[str, Any]], last: Header) -> dict[int, Header]:
        """Of the blocks of these logs, and the last: from the logs where the node puts them."""
        found = {last.number: last}
        missing = {}
        for log in logs:
            number, digest = int(log["blockNumber"], 16), str(log["blockHash"]).lower()
            if number in found and found[number].hash != digest:
                raise Moved(f"block {number} changed while it was read")
            if log.get("blockTimestamp"):
                found[number] = Header(number, digest, int(log["blockTimestamp"], 16))
            elif number not in found:
                missing[number] = digest
        asked = [("eth_getBlockByNumber", [hex(number), False]) for number in missing]
        for (number, digest), block in zip(
            missing.items(), request_many(self._w3, asked), strict=True
        ):
            if block is None or _header(block).hash != digest:
                raise Moved(f"block {number} changed while it was read")
            found[number] = _header(block)
        return found

    def _transactions(
        self,
        logs: Sequence[dict[str, Any]],
        headers: Mapping[int, Header],
        kinds: Mapping[str, Watched],
    ) -> list[dict[str, Any]]:
        by_block: dict[int, dict[str, None]] = defaultdict(dict)
        for log in logs:
            by_block[int(log["blockNumber"], 16)][str(log["transactionHash"]).lower()] = None
        rows: list[dict[str, Any]] = []
        whole = [number for number, hashes in by_block.items() if len(hashes) >= self._whole_from]
        for start in range(0, len(whole), _BLOCKS_AT_ONCE):
            numbers = whole[start : start + _BLOCKS_AT_ONCE]
            for number, pairs in self._blocks(numbers).items():
                hashes = by_block.pop(number)
                rows += [_transaction_row(pairs.get(one), headers[number], kinds) for one in hashes]
        single = [(number, one) for number, hashes in by_block.items() for one in hashes]
        asked = [
            (method, [one])
            for _, one in single
            for method in ("eth_getTransactionByHash", "eth_getTransactionReceipt")
        ]
        answers = iter(request_many(self._w3, asked))
        for (number, _), pair in zip(single, zip(answers, answers, strict=True), strict=True):
            rows.append(_transaction_row(pair, headers[number], kinds))
        return rows

    def _blocks(self, numbers: Sequence[int]) -> dict[int, dict[str, tuple[Any, Any]]]:
        """Blocks' transactions with their receipts, by hash; none if the node cannot."""
        if not self._whole_blocks:
            return {}
        asked: list[tuple[str, Sequence[Any]]] = []
        for number in numbers:
            asked.append(("eth_getBlockReceipts", [hex(number)]))
            asked.append(("eth_getBlockByNumber", [hex(number), True]))
        try:
            answers = iter(request_many(self._w3, asked))
        except RpcFailure:
            self._whole_blocks = False
            return {}
        found = {}
        for number, (receipts, block) in zip(
            numbers, zip(answers, answers, strict=True), strict=True
        ):
            if not receipts or not block:
                raise Moved(f"block {number} went away while it was read")
            by_hash = {str(one["transactionHash"]).lower(): one for one in receipts}
            found[number] = {
                str(one["hash"]).lower(): (one, by_hash.get(str(one["hash"]).lower()))
                for one in block["transactions"]
            }
        return found


def _event_row(
    log: Mapping[str, Any],
    one: Watched,
    name: str,
    args: Mapping[str, Any],
    headers: Mapping[int, Header],
) -> dict[str, Any]:
    number = int(log["blockNumber"], 16)
    amount, digest = _first(args, _AMOUNTS), _first(args, _DIGESTS)
    return {
        "block_number": number,
        "log_index": int(log["logIndex"], 16),
        "time": headers[number].time,
        "tx_hash": str(log["transactionHash"]).lower(),
        "contract": one.address,
        "kind": one.kind,
        "name": name,
        "round": args.get("round"),
        "window": args.get("window"),
        "account": _first(args, _ACCOUNTS),
        "amount_wei": None if amount is None else str(amount),
        "digest": None if digest is None else "0x" + digest.hex(),
        "args": encoding.dumps(args),
    }


def _first(args: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((args[name] for name in names if name in args), None)


def _transaction_row(
    pair: tuple[Any, Any] | None, block: Header, kinds: Mapping[str, Watched]
) -> dict[str, Any]:
    sent, receipt = pair or (None, None)
    if not sent or not receipt or str(receipt["blockHash"]).lower() != block.hash:
        raise Moved(f"a transaction of block {block.number} went elsewhere while it was read")
    to, data = sent.get("to"), bytes.fromhex(str(sent["input"])[2:])
    called = None if to is None else kinds.get(str(to).lower())
    name = None if called is None else contracts.decoder(called.kind).function(data)
    price = receipt.get("effectiveGasPrice") or sent.get("gasPrice") or "0x0"
    return {
        "hash": str(sent["hash"]).lower(),
        "block_number": block.number,
        "sender": _checksum(str(sent["from"])),
        "recipient": None if to is None else _checksum(str(to)),
        "action": "deploy" if to is None else name or "0x" + data[:4].hex(),
        "value_wei": str(int(sent["value"], 16)),
        "gas_used": int(receipt["gasUsed"], 16),
        "gas_price_wei": str(int(price, 16)),
        "input": data,
    }


@lru_cache(maxsize=4096)
def _checksum(address: str) -> str:
    return str(to_checksum_address(address))
