"""A contract in an EVM itself, without node or transactions: thousands of calls in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol

from eth.constants import BLANK_ROOT_HASH
from eth.db.atomic import AtomicDB
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.state import PragueState
from eth.vm.message import Message
from eth_abi import abi
from eth_utils.abi import abi_to_signature, get_abi_input_types, get_abi_output_types
from eth_utils.crypto import keccak

from ddcai.chain import artifact
from ddcai.chain.abi_errors import decode_revert

OWNER = b"\x0a" * 20
GAS = 2**40


class Reverted(Exception):
    """Refused, with this custom error and its values."""

    def __init__(self, data: bytes) -> None:
        error = decode_revert(data)
        self.name, self.values = error.name, tuple(error.arguments.values())
        super().__init__(f"{self.name}{self.values}")


class Done(NamedTuple):
    """What a call returned, and the topics and data that it emitted."""

    output: bytes
    logs: list[tuple[tuple[int, ...], bytes]]


class Caller(Protocol):
    """Whatever makes calls."""

    def call(self, to: bytes, data: bytes) -> Done: ...


class Machine(Caller, Protocol):
    """One state: `Evm`, or `tests.models.heads.revm.Revm`."""

    def acting(self, account: bytes) -> AbstractContextManager[None]: ...

    def create(self, code: bytes) -> bytes: ...

    def set_code(self, account: bytes, code: bytes) -> None: ...

    def snapshot(self) -> Any: ...

    def revert(self, snapshot: Any) -> None: ...


def machine() -> Machine:
    """The fast one, where it is installed."""
    try:
        from tests.models.heads.revm import Revm
    except ImportError:
        return Evm()
    return Revm()


class Evm:
    """In py-evm. `OWNER` makes all calls but in `acting`."""

    def __init__(self) -> None:
        context = ExecutionContext(
            coinbase=OWNER,
            timestamp=1,
            block_number=1,
            difficulty=0,
            mix_hash=bytes(32),
            gas_limit=GAS,
            prev_hashes=(),
            chain_id=31337,
            base_fee_per_gas=0,
            excess_blob_gas=0,
        )
        self.state = PragueState(AtomicDB(), context, BLANK_ROOT_HASH)
        self._nonce = 0
        self._sender = OWNER

    @contextmanager
    def acting(self, account: bytes) -> Iterator[None]:
        """Calls come from this account meanwhile."""
        self._sender = account
        try:
            yield
        finally:
            self._sender = OWNER

    def create(self, code: bytes) -> bytes:
        """Creates a contract; its address."""
        self._nonce += 1
        address = keccak(self._nonce.to_bytes(8, "big"))[:20]
        self._run(b"", code, create=address)
        return address

    def set_code(self, account: bytes, code: bytes) -> None:
        """Makes an account a contract."""
        self.state.set_code(account, code)

    def call(self, to: bytes, data: bytes) -> Done:
        """Calls an account with these bytes, for good."""
        computation = self._run(to, data)
        logs = [(topics, body) for _, topics, body in computation.get_log_entries()]
        return Done(computation.output, logs)

    def _run(self, to: bytes, data: bytes, *, create: bytes | None = None) -> Any:
        context = self.state.get_transaction_context_class()(gas_price=0, origin=self._sender)
        code = data if create is not None else self.state.get_code(to)
        message = Message(
            gas=GAS,
            to=b"" if create is not None else to,
            sender=self._sender,
            value=0,
            data=b"" if create is not None else data,
            code=code,
            create_address=create,
        )
        kind = self.state.computation_class
        run = kind.apply_create_message if create is not None else kind.apply_message
        computation = run(self.state, message, context)
        if computation.is_error:
            raise Reverted(computation.output)
        return computation

    def snapshot(self) -> Any:
        """The state as it is, for `revert`."""
        return self.state.snapshot()

    def revert(self, snapshot: Any) -> None:
        """Back to a snapshot; it, and later ones, are used up."""
        self.state.revert(snapshot)


def deploy(machine: Machine, name: str, *arguments: int) -> Instance:
    """Creates a contract from its artifact."""
    compiled = artifact.load(name)
    code = compiled.bytecode + abi.encode(["uint256"] * len(arguments), arguments)
    return Instance(machine, machine.create(code), compiled)


class Instance:
    """A deployed contract."""

    def __init__(self, caller: Caller, address: bytes, compiled: artifact.Artifact) -> None:
        self._caller, self.address, self._compiled = caller, address, compiled
        functions: list[Any] = [one for one in compiled.abi if one["type"] == "function"]
        # By name, or by signature where a name is there twice.
        self._functions = {one["name"]: one for one in functions}
        self._functions |= {abi_to_signature(one): one for one in functions}
        self.logs: list[tuple[tuple[int, ...], bytes]] = []

    def on(self, caller: Caller) -> Instance:
        """The same contract, called by another way."""
        return Instance(caller, self.address, self._compiled)

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Calls a function, for good; its result. `logs` has the topics and data it emitted."""
        entry: Any = self._functions[name]
        data = keccak(text=abi_to_signature(entry))[:4]
        data += abi.encode(get_abi_input_types(entry), arguments)
        output, self.logs = self._caller.call(self.address, data)
        values = abi.decode(get_abi_output_types(entry), output)
        return values[0] if len(values) == 1 else values
