"""A contract in revm, by pyrevm: a call takes a hundredth of the time of py-evm's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyrevm
from eth_utils.address import to_checksum_address

from tests.models.heads.evm import GAS, OWNER, Done, Reverted

# All that pyrevm says of a call that failed is in its words.
_REVERT = re.compile(r"Revert \{ gas_used: \d+, output: 0x((?:[0-9a-f]{2})*) \}\Z")


class Revm:
    """One state, as `Evm` has it."""

    def __init__(self) -> None:
        block = pyrevm.BlockEnv(number=1, timestamp=1, gas_limit=GAS)
        env = pyrevm.Env(cfg=pyrevm.CfgEnv(chain_id=31337), block=block)
        self._evm = pyrevm.EVM(env=env, gas_limit=GAS, spec_id="PRAGUE")
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
        with _reverts():
            return bytes.fromhex(self._evm.deploy(_text(self._sender), code)[2:])

    def set_code(self, account: bytes, code: bytes) -> None:
        """Makes an account a contract; it can make no call of its own any more (EIP-3607)."""
        self._evm.insert_account_info(_text(account), pyrevm.AccountInfo(nonce=1, code=code))

    def call(self, to: bytes, data: bytes) -> Done:
        """Calls a contract, for good."""
        with _reverts():
            output = self._evm.message_call(_text(self._sender), _text(to), data)
        assert self._evm.result is not None
        logs = []
        for log in self._evm.result.logs:
            topics, data = log.data
            logs.append((tuple(int.from_bytes(topic, "big") for topic in topics), data))
        return Done(output, logs)

    def snapshot(self) -> Any:
        """The state as it is, for `revert`."""
        return self._evm.snapshot()

    def revert(self, snapshot: Any) -> None:
        """Back to a snapshot; it, and later ones, are used up."""
        self._evm.revert(snapshot)


def _text(address: bytes) -> str:
    return to_checksum_address(address)


@contextmanager
def _reverts() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        found = _REVERT.match(str(error))
        if found is None:
            raise
        raise Reverted(bytes.fromhex(found[1])) from None
