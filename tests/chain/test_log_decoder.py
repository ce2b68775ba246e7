"""Events against eth-abi's own encoding, and against logs that are not such."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_abi import abi
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from ddcai.chain import abi_errors, artifact
from ddcai.chain.artifact import Artifact
from ddcai.chain.log_decoder import LogDecoder
from ddcai.errors import ChainError, MalformedError

ADDRESS = "0x" + "11" * 20
DECODER = LogDecoder([artifact.load("Federation")])
SUBMITTED = "UpdateSubmitted"

# An event of each kind of data that no word holds.
WITH_LISTS = LogDecoder(
    [
        Artifact(
            name="Lists",
            abi=(
                {
                    "type": "event",
                    "name": "Listed",
                    "inputs": [
                        {"name": "accounts", "type": "address[]"},
                        {"name": "from", "type": "address"},
                        {"name": "text", "type": "string"},
                        {"name": "gain", "type": "int256"},
                        {"name": "kept", "type": "bool"},
                    ],
                },
            ),
            bytecode=b"",
        )
    ]
)

accounts = st.binary(min_size=20, max_size=20)
uint256s = st.integers(0, 2**256 - 1)


def raw(event: str, topics: list[bytes]) -> list[bytes]:
    return [bytes.fromhex(DECODER.topic(event)[2:]), *topics]


def log(topics: list[bytes], data: bytes) -> dict[str, Any]:
    hexed = ["0x" + topic.hex() for topic in topics]
    return {"address": ADDRESS, "topics": hexed, "data": "0x" + data.hex()}


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@given(st.integers(0, 2**64 - 1), accounts, st.binary(min_size=32, max_size=32), uint256s)
def test_arguments_by_name(number: int, account: bytes, digest: bytes, wei: int) -> None:
    topics = raw(SUBMITTED, [abi.encode(["uint64"], [number]), account.rjust(32, b"\0"), digest])
    data = abi.encode(["uint256"], [wei])
    expected = (
        SUBMITTED,
        {
            "round": number,
            "contributor": to_checksum_address(account),
            "updateDigest": digest,
            "depositWei": wei,
        },
    )
    assert DECODER.decode_raw(topics, data) == expected
    assert DECODER.decode(log(topics, data)) == expected


@given(
    st.integers(0, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(uint256s, max_size=4),
)
def test_a_list(number: int, digest: bytes, words: list[int]) -> None:
    data = abi.encode(["uint256[]"], [words])
    found = DECODER.decode_raw(raw("RoundSealed", [word(number), digest]), data)
    assert found is not None
    assert tuple(words) in found[1].values()


@given(
    st.lists(accounts, max_size=3),
    accounts,
    st.integers(-(2**255), 2**255 - 1),
    st.booleans(),
)
def test_only_addresses_become_checksums(
    several: list[bytes], one: bytes, gain: int, kept: bool
) -> None:
    text = "0x" + one.hex()  # a text that reads like an address stays what it is
    data = abi.encode(
        ["address[]", "address", "string", "int256", "bool"], [several, one, text, gain, kept]
    )
    topics = [bytes.fromhex(WITH_LISTS.topic("Listed")[2:])]
    assert WITH_LISTS.decode_raw(topics, data) == (
        "Listed",
        {
            "accounts": tuple(map(to_checksum_address, several)),
            "from": to_checksum_address(one),
            "text": text,
            "gain": gain,
            "kept": kept,
        },
    )


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ([word(2**64), bytes(32), bytes(32)], word(1)),  # a round of more than 64 bits
        ([word(1), b"\1" + bytes(31), bytes(32)], word(1)),  # an account of more than 20 bytes
        ([], word(1)),
        ([word(1), bytes(32)], word(1)),  # a topic is missing
        ([word(1), bytes(32), bytes(32), bytes(32)], word(1)),  # one too many
        ([word(1), bytes(31), bytes(32)], word(1)),
        ([word(1), bytes(32), bytes(32)], b""),  # the data are missing
        ([word(1), bytes(32), bytes(32)], word(1)[:31]),
        ([word(1), bytes(32), bytes(32)], word(1) + b"\0"),
    ],
)
def test_malformed_logs_are_refused(topics: list[bytes], data: bytes) -> None:
    with pytest.raises(MalformedError, match="malformed event UpdateSubmitted"):
        DECODER.decode_raw(raw(SUBMITTED, topics), data)
    with pytest.raises(ChainError, match=f"malformed event UpdateSubmitted .* of {ADDRESS}"):
        DECODER.decode(log(raw(SUBMITTED, topics), data))


@pytest.mark.parametrize("spoil", [lambda text: text[:-1], lambda text: text + "g"])
def test_what_is_no_hex_is_refused(spoil: Callable[[str], str]) -> None:
    good = log(raw(SUBMITTED, [word(1), bytes(32), bytes(32)]), word(1))
    with pytest.raises(ChainError, match=ADDRESS):
        DECODER.decode(good | {"data": spoil(good["data"])})
    with pytest.raises(ChainError, match=ADDRESS):
        DECODER.decode(good | {"topics": [*good["topics"][:-1], spoil(good["topics"][-1])]})


def test_unknown_events_are_left_out() -> None:
    assert DECODER.decode({"address": ADDRESS, "topics": ["0x" + "ab" * 32], "data": "0x"}) is None
    assert DECODER.decode({"address": ADDRESS, "topics": [], "data": "0x"}) is None
    with pytest.raises(KeyError):
        DECODER.topic("Nothing")


def test_every_contract_can_be_decoded() -> None:
    for name in artifact.NAMES:
        LogDecoder([artifact.load(name)])


def test_functions_are_named() -> None:
    [entry] = [one for one in artifact.load("Federation").abi if one.get("name") == "claimable"]
    assert DECODER.function(abi_errors.selector(entry) + bytes(64)) == "claimable"
    assert DECODER.function(b"\0\0\0\0") is None
