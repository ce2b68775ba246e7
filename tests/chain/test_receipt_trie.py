"""Tries of receipts: against roots of public chains, and with attacks."""

from __future__ import annotations

import os
from functools import cache

import pytest
import rlp
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from ddcai.chain.receipt_proof import encoded_receipt
from ddcai.chain.receipt_trie import receipt_at, root_and_nodes
from ddcai.errors import MalformedError, VerificationError

PLAIN = {"cumulativeGasUsed": "0x5208", "logs": [], "logsBloom": "0x" + "00" * 256}
STATE = "0x96a8e009d2b88b1483e6941e6812e32263b05683fac202abc622a3e31aed1957"

# Roots that headers of public chains have, of blocks with one transfer of ether.
PUBLISHED = [
    # Mainnet's block 46147, with its first transaction; before EIP-658.
    ({"root": STATE}, "fe2bf2a941abf41d72637e5b91750332a30283efd40c424dc522b77e6f0ed8c4"),
    # Block 9 of ethereum/execution-apis' test chain, a legacy transaction.
    (
        {"status": "0x1", "type": "0x0"},
        "056b23fbba480696b65fe5a59b8f2148a1299103c4f57df839233af2cf4ca2d2",
    ),
    # Mainnet's block 0x1798e67, of EIP-1559.
    (
        {"status": "0x1", "type": "0x2"},
        "f78dfb743fbd92ade140711c8bbc542b5e307f0ab7984eff35d751969fe57efa",
    ),
]


@pytest.mark.parametrize(("own", "root"), PUBLISHED, ids=["before Byzantium", "legacy", "EIP-1559"])
def test_roots_of_public_chains(own: dict[str, str], root: str) -> None:
    receipt = encoded_receipt(PLAIN | own)
    found, nodes = root_and_nodes([receipt], 0)
    assert found.hex() == root
    assert receipt_at(bytes.fromhex(root), 0, nodes) == receipt


@cache
def block(size: int) -> tuple[bytes, ...]:
    return tuple(os.urandom(40 + number % 300) for number in range(size))


@given(st.sampled_from([1, 2, 16, 127, 130]), st.data())
def test_every_receipt_is_reached_and_no_other(size: int, data: st.DataObject) -> None:
    receipts = block(size)
    index = data.draw(st.integers(0, size - 1))
    root, nodes = root_and_nodes(receipts, index)
    assert receipt_at(root, index, nodes) == receipts[index]
    other = data.draw(st.integers(0, size + 300).filter(lambda one: one != index))
    with pytest.raises(VerificationError):
        receipt_at(root, other, nodes)


@given(st.data())
def test_a_flipped_bit_anywhere_is_found(data: st.DataObject) -> None:
    root, nodes = root_and_nodes(block(130), 128)
    number = data.draw(st.integers(0, len(nodes) - 1))
    changed = bytearray(nodes[number])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VerificationError, match=f"node {number} "):
        receipt_at(root, 128, [*nodes[:number], bytes(changed), *nodes[number + 1 :]])


def test_nodes_left_out_or_added() -> None:
    root, nodes = root_and_nodes(block(130), 128)
    with pytest.raises(VerificationError, match="ends before"):
        receipt_at(root, 128, nodes[:-1])
    with pytest.raises(VerificationError, match="ends before"):
        receipt_at(root, 128, [])
    with pytest.raises(VerificationError, match="node 0"):
        receipt_at(root, 128, nodes[1:])
    with pytest.raises(MalformedError, match="after the receipt"):
        receipt_at(root, 128, [*nodes, nodes[-1]])


def test_another_block_s_proof() -> None:
    root, _ = root_and_nodes(block(5), 2)
    _, nodes = root_and_nodes(block(6), 2)
    with pytest.raises(VerificationError, match="another block"):
        receipt_at(root, 2, nodes)


@pytest.mark.parametrize(
    "node",
    [
        b"text",
        [b""] * 3,
        [b"", b"value"],
        [[], b"value"],
        [b"\x00\x80", b"\x40\x80"],
        [b"\x2f\x80", b"value"],
        [b"\x20\x80", [b"value"]],
    ],
    ids=repr,
)
def test_refuses_what_is_no_node(node: object) -> None:
    """Under a root that names them, as whoever forges a header can make one."""
    raw = rlp.encode(node)
    with pytest.raises((MalformedError, VerificationError)):
        receipt_at(keccak(raw), 0, [raw])
