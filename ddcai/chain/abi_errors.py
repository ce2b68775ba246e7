"""One adapter from what a node says of a revert to `ContractReverted`.

Contracts here revert with custom errors; a node hands them on as raw bytes. They are decoded by
the ABIs of all our contracts at once, since a federation passes on what its quorum and its head
revert with. ``Error(string)`` and ``Panic(uint256)`` are Solidity's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_utils.abi import abi_to_signature, get_abi_input_names, get_abi_input_types
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from ddcai.chain import artifact
from ddcai.errors import ContractReverted

_PANICS = {
    0x01: "an assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "a value outside its enum",
    0x22: "broken storage array",
    0x31: "pop of an empty array",
    0x32: "array index out of bounds",
    0x41: "too much memory",
    0x51: "call of an uninitialised function",
}
_SOLIDITY = (
    {"type": "error", "name": "Error", "inputs": [{"name": "reason", "type": "string"}]},
    {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
)


def selector(entry: dict[str, Any]) -> bytes:
    """The four bytes that name a function or an error on chain."""
    return keccak(text=abi_to_signature(entry))[:4]  # type: ignore[arg-type]


def _errors(abis: Iterable[Iterable[dict[str, Any]]]) -> dict[bytes, dict[str, Any]]:
    entries = [entry for one in abis for entry in one if entry["type"] == "error"]
    return {selector(entry): entry for entry in (*_SOLIDITY, *entries)}


@cache
def _known() -> dict[bytes, dict[str, Any]]:
    return _errors(artifact.load(name).abi for name in artifact.NAMES)


def decode_revert(
    data: bytes, abis: Iterable[Iterable[dict[str, Any]]] | None = None
) -> ContractReverted:
    """The error that a contract's revert data says.

    Args:
        data: what the contract returned when it reverted.
        abis: where to look the error up; None for all contracts of this package.

    Returns:
        An exception to raise; named ``Unknown``, with the data, if the bytes fit no known error.
    """
    entry = (_known() if abis is None else _errors(abis)).get(data[:4])
    if entry is None:
        return _unknown(data)
    types, names = get_abi_input_types(entry), get_abi_input_names(entry)  # type: ignore[arg-type]
    try:
        values = abi.decode(types, data[4:])
    except (DecodingError, OverflowError, UnicodeDecodeError):
        return _unknown(data)
    arguments: dict[str, object] = {
        name or str(index): to_checksum_address(value) if kind == "address" else _plain(value)
        for index, (name, kind, value) in enumerate(zip(names, types, values, strict=True))
    }
    name = str(entry["name"])
    if name == "Error" and entry in _SOLIDITY:
        return ContractReverted(name, arguments, f"the contract refused: {arguments['reason']}")
    if name == "Panic" and entry in _SOLIDITY:
        code = int(values[0])
        what = _PANICS.get(code, "unknown panic")
        return ContractReverted(name, arguments, f"the contract panicked: {what} ({code:#04x})")
    return ContractReverted(name, arguments)


def _plain(value: Any) -> object:
    return "0x" + value.hex() if isinstance(value, bytes) else value


def _unknown(data: bytes) -> ContractReverted:
    message = "" if data else "the contract refused without giving a reason"
    return ContractReverted("Unknown", {"data": "0x" + data.hex()}, message)


def decode(
    error: Exception, abis: Iterable[Iterable[dict[str, Any]]] | None = None
) -> ContractReverted | None:
    """`ContractReverted` for a node's error, or for web3's exception for one.

    Args:
        error: `ddcai.chain.node.connection.RpcFailure`, or web3's ``ContractLogicError``.
        abis: as for `decode_revert`.

    Returns:
        None if the error is not a revert.
    """
    data = _data(getattr(error, "data", None))
    if data is not None:
        return decode_revert(data, abis)
    said_so = "revert" in str(error).lower() or getattr(error, "code", None) == 3
    return decode_revert(b"", abis) if said_so else None


def _data(given: Any) -> bytes | None:
    """Revert data in the forms that nodes give: hex, hex after a word, or inside an object."""
    if isinstance(given, dict):
        for key in ("data", "result", "return"):
            if (found := _data(given.get(key))) is not None:
                return found
        return None
    if not isinstance(given, str):
        return None
    text = given.split()[-1] if given.split() else ""
    try:
        return bytes.fromhex(text[2:]) if text.startswith("0x") else None
    except ValueError:
        return None
