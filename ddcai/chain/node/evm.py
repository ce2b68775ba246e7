"""A chain in this process: py-evm, one block a transaction, and indexes for what RPC asks.

Not safe for several threads: `ddcai.chain.node.server` gives it one thread of its own. Nothing is
kept on disk; the chain ends with its process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from eth.chains.base import MiningChain
from eth.db import get_db_backend
from eth.exceptions import Revert, VMError
from eth.vm.spoof import SpoofTransaction
from eth_account.hdaccount import seed_from_mnemonic
from eth_account.hdaccount.deterministic import HDPath
from eth_keys.datatypes import PrivateKey
from eth_typing import BlockNumber
from eth_utils.exceptions import ValidationError

from ddcai.chain.node.ledger import Ledger
from ddcai.chain.node.precompiles import EmbeddedVM
from ddcai.chain.node.rpc_error import RpcError

CHAIN_ID = 31337
MNEMONIC = "test test test test test test test test test test test junk"
HD_PATH = "m/44'/60'/0'/0"
DEV_ACCOUNTS = 10
DEV_BALANCE_WEI = 10_000 * 10**18
BLOCK_GAS_LIMIT = 60_000_000
TIP_WEI = 10**9
BLANK_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")


@dataclass(frozen=True)
class Call:
    """What eth_call and eth_estimateGas run: a transaction that nobody signed."""

    sender: bytes
    to: bytes
    data: bytes
    value: int
    gas: int | None


class _Vm(EmbeddedVM):
    @classmethod
    def validate_header(cls, header: Any, parent_header: Any) -> None:
        """Not called: this chain mines every block itself, and blocks of one second share it."""


class _Chain(MiningChain):
    chain_id = CHAIN_ID
    vm_configuration = ((BlockNumber(0), _Vm),)


def dev_keys() -> tuple[bytes, ...]:
    """The secret keys of the usual development accounts (hardhat's and anvil's).

    The whole world knows them: they hold play money on play chains only.
    """
    seed = seed_from_mnemonic(MNEMONIC, "")
    return tuple(bytes(HDPath(f"{HD_PATH}/{i}").derive(seed)) for i in range(DEV_ACCOUNTS))


class EvmChain:
    """The chain and its indexes.

    Guarantees:
        - a transaction is in a block of its own before `send` returns;
        - block times are the clock's plus what `increase_time` added, and never fall;
          blocks of the same second share their time.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Starts with the genesis block.

        Args:
            clock: unix seconds; a simulation brings its own.
        """
        self._clock = clock
        self.accounts = tuple(
            PrivateKey(key).public_key.to_canonical_address() for key in dev_keys()
        )
        account = {"balance": DEV_BALANCE_WEI, "nonce": 0, "code": b"", "storage": {}}
        genesis = {
            "coinbase": bytes(20),
            "difficulty": 0,
            "extra_data": b"",
            "gas_limit": BLOCK_GAS_LIMIT,
            "mix_hash": bytes(32),
            "nonce": bytes(8),
            "receipt_root": BLANK_ROOT,
            "timestamp": int(clock()),
            "transaction_root": BLANK_ROOT,
        }
        state = {address: dict(account) for address in self.accounts}
        # py-evm's interfaces are narrower than its classes.
        self._chain: Any = cast(Any, _Chain).from_genesis(get_db_backend(), genesis, state)
        self._offset_s = 0
        self.ledger = Ledger(self._chain.get_canonical_block_header_by_number(0))

    def now(self) -> int:
        """The time that the next block would have, in unix seconds."""
        return max(int(self._clock()) + self._offset_s, int(self.ledger.headers[-1].timestamp))

    def increase_time(self, seconds: int) -> int:
        """Moves the chain's clock ahead; returns by how much in all."""
        self._offset_s += seconds
        return self._offset_s

    def _pending(self) -> Any:
        return self._chain.create_header_from_parent(
            self.ledger.headers[-1], timestamp=self.now(), gas_limit=BLOCK_GAS_LIMIT
        )

    def next_base_fee(self) -> int:
        """The base fee of the next block, in wei a gas (EIP-1559)."""
        return int(self._pending().base_fee_per_gas)

    def state(self, block_number: int | None) -> Any:
        """The state after a block; None is the latest."""
        header = self.ledger.headers[-1 if block_number is None else block_number]
        return self._chain.get_vm(header).state

    def mine(self) -> None:
        """Adds an empty block."""
        self._chain.header = self._pending()
        self._seal()

    def _seal(self) -> None:
        vm = self._chain.get_vm(self._chain.header)
        block = vm.mine_block(vm.get_block(), mix_hash=os.urandom(32), blob_gas_used=0).block
        self._chain.chaindb.persist_block(block)
        self.ledger.add_block(block.header)

    def send(self, raw: bytes) -> bytes:
        """Mines a signed transaction; returns its hash.

        Raises:
            RpcError: with geth's words, when the transaction cannot enter a block.
        """
        transaction = self._decode(raw)
        header = self._pending()
        self._check(transaction, header)
        self._chain.header = header
        try:
            _, receipt, computation = self._chain.apply_transaction(transaction)
        except ValidationError as error:
            raise RpcError(-32000, f"invalid transaction: {error}") from error
        self._seal()
        self.ledger.add_transaction(transaction, receipt, computation)
        return bytes(transaction.hash)

    def _decode(self, raw: bytes) -> Any:
        try:
            transaction = self._chain.get_vm().get_transaction_builder().decode(raw)
            transaction.validate()
            transaction.check_signature_validity()
        except Exception as error:  # rlp, eth_utils, eth_keys: each has exceptions of its own
            raise RpcError(-32602, f"not a signed transaction: {error}") from error
        if transaction.type_id == 3:
            raise RpcError(-32602, "blob transactions are not supported by this chain")
        if transaction.chain_id != CHAIN_ID:
            raise RpcError(
                -32000, f"invalid chain id: have {transaction.chain_id}, want {CHAIN_ID}"
            )
        return transaction

    def _check(self, transaction: Any, header: Any) -> None:
        if bytes(transaction.hash) in self.ledger.mined:
            raise RpcError(-32000, "already known")
        state = self.state(None)
        sender = transaction.sender
        nonce = state.get_nonce(sender)
        if transaction.nonce != nonce:
            word = "low" if transaction.nonce < nonce else "high"
            raise RpcError(
                -32000,
                f"nonce too {word}: address 0x{sender.hex()}, tx: {transaction.nonce} "
                f"state: {nonce}",
            )
        if transaction.gas > header.gas_limit:
            raise RpcError(-32000, "exceeds block gas limit")
        if transaction.gas < transaction.intrinsic_gas:
            raise RpcError(-32000, f"intrinsic gas too low: want {transaction.intrinsic_gas}")
        if transaction.max_fee_per_gas < header.base_fee_per_gas:
            raise RpcError(
                -32000,
                "max fee per gas less than block base fee: maxFeePerGas "
                f"{transaction.max_fee_per_gas} baseFee {header.base_fee_per_gas}",
            )
        cost = transaction.gas * transaction.max_fee_per_gas + transaction.value
        balance = state.get_balance(sender)
        if balance < cost:
            raise RpcError(
                -32000,
                "insufficient funds for gas * price + value: address "
                f"0x{sender.hex()} have {balance} want {cost}",
            )

    def _run(self, call: Call, gas: int, block_number: int | None) -> tuple[Any, int]:
        """Runs a call at no gas price; returns the computation and the gas used after refunds."""
        header = self._pending() if block_number is None else self.ledger.headers[block_number]
        vm = self._chain.get_vm(header.copy(base_fee_per_gas=0, gas_used=0))
        state = vm.state
        if not 0 <= call.value < 2**256:
            raise RpcError(-32602, f"value is {call.value}: give 0 to 2^256 - 1")
        unsigned = vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=CHAIN_ID,
            nonce=state.get_nonce(call.sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=call.to,
            value=call.value,
            data=call.data,
            access_list=(),
        )
        transaction = SpoofTransaction(unsigned, from_=call.sender)
        if gas < transaction.intrinsic_gas:
            raise RpcError(-32000, f"intrinsic gas too low: want {transaction.intrinsic_gas}")
        balance = state.get_balance(call.sender)
        if balance < call.value:
            raise RpcError(
                -32000,
                "insufficient funds for gas * price + value: address "
                f"0x{call.sender.hex()} have {balance} want {call.value}",
            )
        try:
            computation = state.apply_transaction(transaction)
        except ValidationError as error:
            raise RpcError(-32000, f"invalid call: {error}") from error
        return computation, int(vm.finalize_gas_used(transaction, computation))

    def call(self, call: Call, block_number: int | None) -> bytes:
        """eth_call: the returned bytes, or RpcError with code 3 and the revert data."""
        gas = min(call.gas or BLOCK_GAS_LIMIT, BLOCK_GAS_LIMIT)
        computation, _ = self._run(call, gas, block_number)
        _raise_failure(computation)
        return bytes(computation.output)

    def estimate_gas(self, call: Call, block_number: int | None) -> int:
        """A gas limit with which the call succeeds, near the least such limit.

        One run with all the gas finds what is used; a second one confirms a limit that leaves
        each inner call its 63/64 (EIP-150) and the stipend. Only where that fails, as it may
        for contracts that look at the gas left, is the limit searched.
        """
        ceiling = min(call.gas or BLOCK_GAS_LIMIT, BLOCK_GAS_LIMIT)
        computation, used = self._run(call, ceiling, block_number)
        _raise_failure(computation)
        spent = max(used, ceiling - int(computation.get_gas_remaining()))
        likely = min(ceiling, (spent + 2_300) * 64 // 63)
        if self._succeeds(call, likely, block_number):
            return likely
        low, high = likely, ceiling
        while high - low > 1_000:
            middle = (low + high) // 2
            if self._succeeds(call, middle, block_number):
                high = middle
            else:
                low = middle
        return high

    def _succeeds(self, call: Call, gas: int, block_number: int | None) -> bool:
        computation, _ = self._run(call, gas, block_number)
        return not computation.is_error


def _raise_failure(computation: Any) -> None:
    if not computation.is_error:
        return
    error: VMError = computation.error
    if isinstance(error, Revert):
        data = bytes(computation.output)
        raise RpcError(3, "execution reverted", "0x" + data.hex())
    raise RpcError(-32000, f"{type(error).__name__}: {error}")
