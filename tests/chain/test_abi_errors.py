from __future__ import annotations

from typing import Any

import pytest
from eth_abi import abi
from eth_utils.abi import get_abi_input_names, get_abi_input_types
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st
from web3.exceptions import ContractCustomError, ContractLogicError

from ddcai.chain import artifact
from ddcai.chain.abi_errors import decode, decode_revert, selector
from ddcai.chain.node.connection import RpcFailure
from ddcai.errors import ContractReverted

ERRORS: dict[str, dict[str, Any]] = {
    entry["name"]: entry
    for name in artifact.NAMES
    for entry in artifact.load(name).abi
    if entry["type"] == "error"
}


def _value(kind: str) -> st.SearchStrategy[Any]:
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(to_checksum_address)
    if kind == "string":
        return st.text()
    if kind == "bytes":
        return st.binary(max_size=100)
    if kind == "bytes32":
        return st.binary(min_size=32, max_size=32)
    if kind == "bool":
        return st.booleans()
    assert kind.startswith("uint"), kind
    return st.integers(0, 2 ** int(kind.removeprefix("uint") or 256) - 1)


@given(st.data())
def test_every_custom_error_decodes_to_its_arguments(data: st.DataObject) -> None:
    entry = ERRORS[data.draw(st.sampled_from(sorted(ERRORS)))]
    types, names = get_abi_input_types(entry), get_abi_input_names(entry)  # type: ignore[arg-type]
    values = [data.draw(_value(kind)) for kind in types]
    found = decode_revert(selector(entry) + abi.encode(types, values))
    assert found.name == entry["name"]
    shown = ["0x" + v.hex() if isinstance(v, bytes) else v for v in values]
    # An argument without a name, as OpenZeppelin has some, is known by its place.
    places = [name or str(place) for place, name in enumerate(names)]
    assert found.arguments == dict(zip(places, shown, strict=True))


def test_an_error_that_two_contracts_share_names_its_arguments_once() -> None:
    """Raw bytes name no contract: an error's arguments would be called by another one's names."""
    called: dict[bytes, set[tuple[str, ...]]] = {}
    for name in artifact.NAMES:
        for entry in artifact.load(name).abi:
            if entry["type"] == "error":
                names = tuple(one["name"] for one in entry["inputs"])
                called.setdefault(selector(entry), set()).add(names)
    assert [names for names in called.values() if len(names) > 1] == []


@given(st.binary(max_size=300))
def test_any_bytes_decode_to_something(data: bytes) -> None:
    assert isinstance(decode_revert(data), ContractReverted)


@given(st.data(), st.integers(1, 40))
def test_cut_off_data_is_unknown_not_misread(data: st.DataObject, cut: int) -> None:
    entry = ERRORS["WrongDeposit"]
    whole = selector(entry) + abi.encode(["uint256", "uint256"], [1, 2])
    found = decode_revert(whole[:-cut])
    assert (found.name, found.arguments) == ("Unknown", {"data": "0x" + whole[:-cut].hex()})


def test_reason_string() -> None:
    data = bytes.fromhex("08c379a0") + abi.encode(["string"], ["no such luck"])
    found = decode_revert(data)
    assert (found.name, found.arguments) == ("Error", {"reason": "no such luck"})
    assert str(found) == "the contract refused: no such luck"


@pytest.mark.parametrize(
    ("code", "words"), [(0x11, "arithmetic overflow"), (0x32, "out of bounds"), (0x99, "unknown")]
)
def test_panic(code: int, words: str) -> None:
    found = decode_revert(bytes.fromhex("4e487b71") + abi.encode(["uint256"], [code]))
    assert (found.name, found.arguments) == ("Panic", {"code": code})
    assert words in str(found)
    assert f"{code:#04x}" in str(found)


def test_only_the_given_abis_are_looked_up() -> None:
    data = selector(ERRORS["ZeroDigest"])
    assert decode_revert(data).name == "ZeroDigest"
    assert decode_revert(data, [artifact.load("PerceptronHead").abi]).name == "Unknown"


DATA = "0x" + selector(ERRORS["ZeroDigest"]).hex()


@pytest.mark.parametrize(
    "given_data",
    [DATA, f"Reverted {DATA}", {"data": DATA}, {"originalError": {}, "result": DATA}],
    ids=["geth", "parity", "hardhat", "ganache"],
)
def test_data_as_nodes_give_it(given_data: Any) -> None:
    found = decode(RpcFailure("eth_call", 3, "execution reverted", given_data))
    assert found is not None
    assert found.name == "ZeroDigest"


def test_exceptions_of_web3() -> None:
    found = decode(ContractCustomError(DATA, data=DATA))
    assert found is not None
    assert found.name == "ZeroDigest"
    bare = decode(ContractLogicError("execution reverted", data="no data"))
    assert bare is not None
    assert bare.name == "Unknown"


def test_what_is_no_revert() -> None:
    assert decode(RpcFailure("eth_call", -32000, "out of gas", None)) is None
    assert decode(RpcFailure("eth_call", -32602, "invalid params", {"data": 5})) is None
