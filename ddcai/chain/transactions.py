"""Sending transactions: EIP-1559, at a capped price, once and only once.

A transaction can be lost on the way out, its answer on the way back, and another process with
the same account can take its nonce. Each attempt is one signed transaction, sent again as it is
until it is mined or can never be; only then is a new one signed with a new nonce. Where it is
not mined for a while, it is replaced by a dearer one of the same nonce, up to the cap: only one of
them can ever be mined. The estimate before it runs the call against the current state, so a
contract refuses free of charge.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai import faults
from ddcai.chain import abi_errors
from ddcai.chain.node.connection import RpcFailure, request, request_many
from ddcai.errors import (
    ChainError,
    ChainUnreachable,
    ContractReverted,
    InsufficientBalance,
    PolicyLimit,
    TransactionPending,
)
from ddcai.policy.counters import Purse, Reservation

log = logging.getLogger("ddcai.chain")

GWEI = 10**9
DEFAULT_FEE_CAP_WEI = 200 * GWEI
DEFAULT_TIMEOUT_S = 120.0
DEFAULT_TIP_WEI = GWEI
# Two and a half of Ethereum's blocks: a fair price would have been taken.
DEFAULT_REPRICE_S = 30.0
# Others may spend gas before us in the same block, and storage costs differ by their writes.
GAS_MARGIN = 1.2
MAX_ATTEMPTS = 12

_LAST_AND_PENDING = ("latest", "pending")
_KNOWN = ("already known", "known transaction", "already imported", "alreadyknown", "in mempool")
_NONCE_TAKEN = ("nonce too low", "oldnonce", "nonce has already been used", "underpriced")
_TRY_AGAIN = ("nonce too high", "less than block base fee", "nonce gap")
_NO_MONEY = ("insufficient funds", "insufficient balance", "insufficientfunds")


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A mined transaction.

    Attributes:
        tx_hash: 0x-prefixed hex.
        gas_used: gas.
        block_number: where it is.
        cost_wei: what the gas cost; a value sent is not part of it.
        contract_address: of the contract that it created, if it created one.
    """

    tx_hash: str
    gas_used: int
    block_number: int
    cost_wei: int
    contract_address: str | None = None


@dataclass(frozen=True)
class _Signed:
    transaction: dict[str, Any]
    raw: str
    tx_hash: str

    @property
    def nonce(self) -> int:
        return int(self.transaction["nonce"])

    @property
    def most_wei(self) -> int:
        gas_wei = self.transaction["gas"] * self.transaction["maxFeePerGas"]
        return int(self.transaction["value"] + gas_wei)


def ether(wei: int) -> str:
    """An amount as people read it, exact."""
    sign = "-" if wei < 0 else ""
    whole, rest = divmod(abs(wei), 10**18)
    digits = f"{rest:018d}".rstrip("0")
    return f"{sign}{whole}.{digits} ETH" if digits else f"{sign}{whole} ETH"


class Sender:
    """Sends from one account on one chain; safe for several threads and processes.

    Attributes:
        address: the account.
        max_fee_per_gas_wei: the most that is offered for a unit of gas, tip included.
        timeout_s: how long `send` waits for its transaction to be mined.
        reprice_s: how long until a transaction that is not mined is replaced by a dearer one.
        patience_s: for how long a transaction is sent again, as it is, while nobody answers.
        purse: what may be spent in a day; None where nobody set a limit.
    """

    def __init__(
        self,
        w3: Web3,
        account: LocalAccount,
        *,
        max_fee_per_gas_wei: int = DEFAULT_FEE_CAP_WEI,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        reprice_s: float = DEFAULT_REPRICE_S,
    ) -> None:
        self._w3 = w3
        self._account = account
        self._lock = threading.Lock()
        self._chain_id: int | None = None
        self.address: str = account.address
        self.max_fee_per_gas_wei = max_fee_per_gas_wei
        self.timeout_s, self.reprice_s = timeout_s, reprice_s
        self.patience_s = 1.0
        self.purse: Purse | None = None

    def __repr__(self) -> str:
        return f"Sender({self.address})"

    def gas_price(self) -> int:
        """Wei that a unit of gas would be offered now.

        Raises:
            ChainError: it is above the cap.
        """
        block = request(self._w3, "eth_getBlockByNumber", ["latest", False])
        return self._fee(int(block["baseFeePerGas"], 16), self._tip())

    def send(self, to: str | None, data: bytes, value_wei: int = 0) -> Receipt:
        """Sends one call, and waits until it is mined.

        Args:
            to: the contract; None creates one.
            data: call data, or creation bytecode with its arguments.
            value_wei: sent along.

        Raises:
            ContractReverted: the contract refuses, before or (paid for) after sending.
            InsufficientBalance: for the value and the gas; nothing was sent.
            TransactionPending: not mined in time; it may still be. The message has its hash.
            ChainUnreachable: no answer; the message says whether something was sent.
            ChainError: the price is above the cap, or the node refuses for another reason.
            PolicyLimit: the purse has too little left today; nothing was sent.
        """
        if to is not None:
            to = to_checksum_address(to)
        faults.reach("transaction-before")
        with self._lock:
            for attempt in range(MAX_ATTEMPTS):
                if attempt:  # somebody else sends from this account: let that be mined
                    time.sleep(random.uniform(0.01, 0.05) * attempt)
                signed = self._sign(to, data, value_wei)
                if signed is None:
                    continue
                # Counted before it is sent, and let go only where it can never be mined.
                reserved = [] if self.purse is None else [self.purse.reserve(signed.most_wei)]
                faults.reach("transaction-signed")
                mined = self._wait(signed, reserved) if self._broadcast(signed) else None
                spent_wei = 0 if mined is None else _spent(mined, value_wei)
                for reservation in reserved:
                    assert self.purse is not None
                    self.purse.settle(reservation, spent_wei)
                    spent_wei = 0
                if mined is not None:
                    faults.reach("transaction-after")
                    return self._receipt(mined, to, data, value_wei)
        raise ChainError(
            f"account {self.address} lost its nonce to another sender {MAX_ATTEMPTS} times: is "
            "another process sending from it? Give each process its own account"
        )

    def wait_for_pending(self) -> None:
        """Waits until all that this account sent is mined: an earlier process may have died
        before, and what it sent must not be done again.

        Raises:
            TransactionPending: it is not within ``timeout_s``.
        """
        deadline, pause = time.monotonic() + self.timeout_s, 0.05
        while True:
            asked = [("eth_getTransactionCount", [self.address, at]) for at in _LAST_AND_PENDING]
            mined, pending = (int(count, 16) for count in request_many(self._w3, asked))
            if mined >= pending:
                return
            if time.monotonic() >= deadline:
                raise TransactionPending(
                    f"account {self.address} has sent transaction number {mined}, and it was not "
                    f"mined within {self.timeout_s:g} s: wait, or replace it by a wallet"
                )
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)

    def estimate(self, to: str, data: bytes, value_wei: int = 0) -> int:
        """Gas that this call would take now; sends nothing.

        Raises:
            ContractReverted: the contract refuses.
            InsufficientBalance: for the value alone.
        """
        have = int(request(self._w3, "eth_getBalance", [self.address, "latest"]), 16)
        if have <= value_wei:
            raise self._poor(have, value_wei, None)
        call = {"from": self.address, "to": to, "value": hex(value_wei), "data": "0x" + data.hex()}
        return self._estimate(call, have, value_wei)

    def require(self, value_wei: int, gas: int) -> None:
        """Checks that the account can pay a value and an amount of gas; sends nothing.

        Raises:
            InsufficientBalance: it cannot.
            PolicyLimit: the purse has too little left today.
        """
        block = request(self._w3, "eth_getBlockByNumber", ["latest", False])
        have = int(request(self._w3, "eth_getBalance", [self.address, "latest"]), 16)
        gas_wei = gas * self._fee(int(block["baseFeePerGas"], 16), self._tip())
        if have < value_wei + gas_wei:
            raise self._poor(have, value_wei, gas_wei)
        if self.purse is not None:
            self.purse.check(value_wei + gas_wei)

    def _sign(self, to: str | None, data: bytes, value_wei: int) -> _Signed | None:
        block, balance, nonce = request_many(
            self._w3,
            [
                ("eth_getBlockByNumber", ["latest", False]),
                ("eth_getBalance", [self.address, "latest"]),
                ("eth_getTransactionCount", [self.address, "pending"]),
            ],
        )
        have = int(balance, 16)
        base_fee, tip = int(block["baseFeePerGas"], 16), self._tip()
        fee = self._fee(base_fee, tip)
        if have <= value_wei:
            raise self._poor(have, value_wei, None)
        call: dict[str, Any] = {
            "from": self.address,
            "value": hex(value_wei),
            "data": "0x" + data.hex(),
        }
        if to is not None:
            call["to"] = to
        # Two processes that make the same call with the same nonce would sign the same bytes, and
        # both take the one transaction for theirs: a few units of gas tell them apart.
        wanted = int(self._estimate(call, have, value_wei) * GAS_MARGIN) + random.randrange(1024)
        gas = min(wanted, int(block["gasLimit"], 16))
        if have < value_wei + gas * fee:
            raise self._poor(have, value_wei, gas * fee)
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain(),
            "nonce": int(nonce, 16),
            "gas": gas,
            "maxFeePerGas": fee,
            "maxPriorityFeePerGas": min(tip, fee),
            "value": value_wei,
            "data": data,
        }
        if to is not None:
            transaction["to"] = to
        return self._signed(transaction)

    def _signed(self, transaction: dict[str, Any]) -> _Signed:
        signed = self._account.sign_transaction(transaction)
        return _Signed(
            transaction=transaction,
            raw="0x" + bytes(signed.raw_transaction).hex(),
            tx_hash="0x" + bytes(signed.hash).hex(),
        )

    def _dearer(self, signed: _Signed) -> _Signed | None:
        """The same call under the same nonce at a price that replaces it; None above the cap."""
        old = signed.transaction
        block = request(self._w3, "eth_getBlockByNumber", ["latest", False])
        least = _raised(old["maxFeePerGas"])
        if least > self.max_fee_per_gas_wei:
            return None
        tip = max(_raised(old["maxPriorityFeePerGas"]), self._tip())
        wanted = 2 * int(block["baseFeePerGas"], 16) + tip
        fee = min(self.max_fee_per_gas_wei, max(least, wanted))
        prices = {"maxFeePerGas": fee, "maxPriorityFeePerGas": min(tip, fee)}
        return self._signed(old | prices)

    def _chain(self) -> int:
        if self._chain_id is None:
            self._chain_id = int(request(self._w3, "eth_chainId", []), 16)
        return self._chain_id

    def _tip(self) -> int:
        try:
            return int(request(self._w3, "eth_maxPriorityFeePerGas", []), 16)
        except RpcFailure:  # not every node has the method
            return DEFAULT_TIP_WEI

    def _fee(self, base_fee_wei: int, tip_wei: int) -> int:
        """Room for the base fee to double, within the cap."""
        least = base_fee_wei + tip_wei
        if least > self.max_fee_per_gas_wei:
            raise ChainError(
                f"gas costs {least / GWEI:.3f} gwei, above the cap of "
                f"{self.max_fee_per_gas_wei / GWEI:.3f} gwei: wait, or raise max_fee_per_gas_wei"
            )
        return min(self.max_fee_per_gas_wei, 2 * base_fee_wei + tip_wei)

    def _estimate(self, call: dict[str, Any], have: int, value_wei: int) -> int:
        try:
            return int(request(self._w3, "eth_estimateGas", [call]), 16)
        except RpcFailure as failure:
            if any(word in failure.reason.lower() for word in _NO_MONEY):
                raise self._poor(have, value_wei, None) from failure
            raise abi_errors.decode(failure) or failure from failure

    def _poor(self, have: int, value_wei: int, gas_wei: int | None) -> InsufficientBalance:
        if gas_wei is None:
            need = f"more than {ether(value_wei)} ({value_wei} wei): that value, and gas"
        else:
            total = value_wei + gas_wei
            need = (
                f"{ether(total)} ({total} wei): {ether(value_wei)} to send and at most "
                f"{ether(gas_wei)} for gas"
            )
        return InsufficientBalance(
            f"account {self.address} has {ether(have)} ({have} wei) and needs {need}. Send ether "
            "to it first"
        )

    def _broadcast(self, signed: _Signed) -> bool:
        """Whether the transaction is with the node; False if its nonce went to another."""
        deadline, pause = time.monotonic() + self.patience_s, 0.1
        while True:
            try:
                request(self._w3, "eth_sendRawTransaction", [signed.raw])
                return True
            except ChainUnreachable as error:
                # The same bytes may be sent again: they can be mined only once.
                if time.monotonic() + pause > deadline:
                    raise ChainUnreachable(
                        f"{error} Transaction {signed.tx_hash} may have been sent: look for it "
                        "before sending again"
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, 5.0)
            except RpcFailure as failure:
                return self._refused(signed, failure)

    def _refused(self, signed: _Signed, failure: RpcFailure) -> bool:
        reason = failure.reason.lower()
        if any(word in reason for word in _KNOWN):
            return True
        if any(word in reason for word in _NONCE_TAKEN):
            # Taken by this very transaction, if an earlier answer was lost.
            return request(self._w3, "eth_getTransactionByHash", [signed.tx_hash]) is not None
        if any(word in reason for word in _TRY_AGAIN):
            return False
        if any(word in reason for word in _NO_MONEY):
            have = int(request(self._w3, "eth_getBalance", [self.address, "latest"]), 16)
            raise InsufficientBalance(
                f"account {self.address} has {ether(have)} ({have} wei), which is too little: "
                f"{failure.reason}. Send ether to it first"
            ) from failure
        raise failure

    def _wait(self, first: _Signed, reserved: list[Reservation]) -> dict[str, Any] | None:
        """The receipt; None if another transaction took the nonce, so this one never will be.

        Args:
            first: it is with the node; others of its nonce replace it.
            reserved: what the purse set aside for it, and, appended, for those.
        """
        faults.reach("transaction-sent")
        sent, capped = [first], False
        deadline, reprice = (time.monotonic() + s for s in (self.timeout_s, self.reprice_s))
        pause = 0.005
        while True:
            try:
                receipt = self._mined(sent)
                if receipt is None and pause > 0.1:
                    count = request(self._w3, "eth_getTransactionCount", [self.address, "latest"])
                    if int(count, 16) > first.nonce:
                        return self._mined(sent)
                if receipt is None and not capped and time.monotonic() >= reprice:
                    capped = not self._replace(sent, reserved)
                    reprice = time.monotonic() + self.reprice_s
            except ChainUnreachable:
                receipt = None  # it may come back before the deadline
            if receipt is not None:
                return receipt
            if time.monotonic() >= deadline:
                offered = int(sent[-1].transaction["maxFeePerGas"]) / GWEI
                raise TransactionPending(
                    f"transaction {sent[-1].tx_hash} from {self.address} was sent but not mined "
                    f"within {self.timeout_s:g} s, at up to {offered:.3f} gwei of at most "
                    f"{self.max_fee_per_gas_wei / GWEI:.3f}: it may still be; look for it before "
                    "sending again"
                )
            time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause = min(1.0, pause * 1.5)

    def _replace(self, sent: list[_Signed], reserved: list[Reservation]) -> bool:
        """Offers more for the call that was sent last; False if cap or purse does not allow it."""
        dearer = self._dearer(sent[-1])
        if dearer is None:
            return False
        if self.purse is not None:
            try:
                reserved.append(self.purse.reserve(dearer.most_wei - sent[-1].most_wei))
            except PolicyLimit:
                return False
        # Before it is sent: if the answer is lost, it may be mined all the same.
        sent.append(dearer)
        log.warning(
            "transaction %s is not mined: replaced by %s, at up to %.3f gwei",
            sent[-2].tx_hash,
            dearer.tx_hash,
            dearer.transaction["maxFeePerGas"] / GWEI,
        )
        # A refusal says that one of them was mined just now, or that it was too cheap.
        with contextlib.suppress(RpcFailure):
            request(self._w3, "eth_sendRawTransaction", [dearer.raw])
        return True

    def _mined(self, sent: Iterable[_Signed]) -> dict[str, Any] | None:
        for one in sent:
            receipt: dict[str, Any] | None = request(
                self._w3, "eth_getTransactionReceipt", [one.tx_hash]
            )
            if receipt and receipt.get("blockNumber"):
                return receipt
        return None

    def _receipt(
        self, mined: dict[str, Any], to: str | None, data: bytes, value_wei: int
    ) -> Receipt:
        block_number = int(mined["blockNumber"], 16)
        tx_hash = str(mined["transactionHash"])
        gas_used = int(mined["gasUsed"], 16)
        created = mined.get("contractAddress")
        if int(mined["status"], 16) != 1:
            raise self._failed(tx_hash, block_number, to, data, value_wei)
        return Receipt(
            tx_hash=tx_hash,
            gas_used=gas_used,
            block_number=block_number,
            cost_wei=gas_used * int(mined["effectiveGasPrice"], 16),
            contract_address=None if created is None else to_checksum_address(created),
        )

    def _failed(
        self, tx_hash: str, block_number: int, to: str | None, data: bytes, value_wei: int
    ) -> ContractReverted:
        """Why a mined transaction failed, as far as running it again can tell."""
        call = {"from": self.address, "value": hex(value_wei), "data": "0x" + data.hex()}
        if to is not None:
            call["to"] = to
        for block in (hex(block_number), "latest", hex(block_number - 1)):
            try:
                request(self._w3, "eth_call", [call, block])
            except RpcFailure as failure:
                if (known := abi_errors.decode(failure)) is not None:
                    return known
        return ContractReverted(
            "Unknown",
            {"tx_hash": tx_hash},
            f"transaction {tx_hash} failed in block {block_number}; run again, it does not: "
            "another transaction came before it, or it ran out of gas",
        )


def _raised(wei: int) -> int:
    """A price that nodes take in place of another: a tenth more is the rule, an eighth is sure."""
    return wei + -(-wei // 8)


def _spent(mined: dict[str, Any], value_wei: int) -> int:
    """What a mined transaction cost; a failed one sends no value."""
    gas_wei = int(mined["gasUsed"], 16) * int(mined["effectiveGasPrice"], 16)
    return gas_wei + (value_wei if int(mined["status"], 16) == 1 else 0)
