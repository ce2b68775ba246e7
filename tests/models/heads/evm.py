"""A contract in py-evm itself, without node or transactions: thousands of calls in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


class Evm:
    """One state; contracts are deployed by `OWNER`, who also makes all calls but in `acting`."""

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

    def run(self, to: bytes, data: bytes, *, create: bytes | None = None) -> Any:
        """Calls an account with these bytes, or creates a contract; the finished computation."""
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

    def deploy(self, name: str, *arguments: int) -> Instance:
        """Creates a contract from its artifact."""
        compiled = artifact.load(name)
        self._nonce += 1
        address = keccak(self._nonce.to_bytes(8, "big"))[:20]
        types = ["uint256"] * len(arguments)
        code = compiled.bytecode + abi.encode(types, arguments)
        self.run(b"", code, create=address)
        return Instance(self, address, compiled)


class Instance:
    """A deployed contract."""

    def __init__(self, evm: Evm, address: bytes, compiled: artifact.Artifact) -> None:
        self._evm, self.address = evm, address
        functions: list[Any] = [one for one in compiled.abi if one["type"] == "function"]
        # By name, or by signature where a name is there twice.
        self._functions = {one["name"]: one for one in functions}
        self._functions |= {abi_to_signature(one): one for one in functions}
        self.logs: list[tuple[tuple[int, ...], bytes]] = []

    def __call__(self, name: str, *arguments: Any) -> Any:
        """Calls a function, for good; its result. `logs` has the topics and data it emitted."""
        entry: Any = self._functions[name]
        data = keccak(text=abi_to_signature(entry))[:4]
        data += abi.encode(get_abi_input_types(entry), arguments)
        computation = self._evm.run(self.address, data)
        self.logs = [(topics, body) for _, topics, body in computation.get_log_entries()]
        values = abi.decode(get_abi_output_types(entry), computation.output)
        return values[0] if len(values) == 1 else values
