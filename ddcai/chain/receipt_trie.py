"""The trie of a block's receipts, and the way from its root to one of them.

A Merkle-Patricia trie (Yellow Paper, appendix D): the key of a receipt is RLP of its
transaction's index, the value its bytes. Nodes name their children by keccak256, so that the
nodes on the way prove the value to who knows the root.
"""

from __future__ import annotations

from collections.abc import Sequence

import rlp
from eth_utils.crypto import keccak
from trie.hexary import HexaryTrie

from ddcai.chain import strict_rlp
from ddcai.errors import MalformedError, VerificationError

_HASH_BYTES = 32
_BRANCH, _PATH = 17, 2  # items of a node: sixteen children and a value; a path and what follows


def root_and_nodes(receipts: Sequence[bytes], index: int) -> tuple[bytes, tuple[bytes, ...]]:
    """The trie's root, 32 bytes, and the nodes on the way to one receipt, from the root down.

    Args:
        receipts: of all transactions of a block, in their order.
        index: the transaction's index in its block.
    """
    trie = HexaryTrie({})
    for number, receipt in enumerate(receipts):
        trie[rlp.encode(number)] = receipt
    nodes = trie.get_proof(rlp.encode(index))  # type: ignore[no-untyped-call]
    return bytes(trie.root_hash), tuple(bytes(rlp.encode(node)) for node in nodes)


def receipt_at(root: bytes, index: int, nodes: Sequence[bytes]) -> bytes:
    """The receipt that the nodes lead to.

    Args:
        root: 32 bytes, from the block's header.
        index: the transaction's index in its block.
        nodes: from the root down; all are used.

    Raises:
        MalformedError: a node that is none.
        VerificationError: nodes that do not lead from this root to this index.
    """
    way, expected = _nibbles(bytes(rlp.encode(index))), root
    for position, raw in enumerate(nodes):
        if keccak(raw) != expected:
            raise VerificationError(
                f"node {position} of the proof is not the one that the hash before it names: the "
                "proof is of another block, or was changed"
            )
        node = strict_rlp.decode(raw, 1)
        if isinstance(node, list) and len(node) == _BRANCH:
            if not way:
                raise _elsewhere(index)
            expected, way = _child(node[way[0]], index), way[1:]
            continue
        path, follows, is_leaf = _short_node(node)
        if way[: len(path)] != path or (is_leaf and way != path):
            raise _elsewhere(index)
        if is_leaf:
            if position + 1 != len(nodes):
                raise MalformedError("a proof with nodes after the receipt")
            return follows
        expected, way = _child(follows, index), way[len(path) :]
    raise VerificationError(f"the proof ends before the receipt of transaction {index}")


def _nibbles(data: bytes) -> tuple[int, ...]:
    return tuple(half for byte in data for half in (byte >> 4, byte & 15))


def _elsewhere(index: int) -> VerificationError:
    return VerificationError(f"the proof does not lead to transaction {index}")


def _child(item: strict_rlp.Item, index: int) -> bytes:
    """A child's hash. Children below 32 bytes stand in their parent: no receipt is that short."""
    if not isinstance(item, bytes) or len(item) != _HASH_BYTES:
        raise _elsewhere(index)
    return item


def _short_node(node: strict_rlp.Item) -> tuple[tuple[int, ...], bytes, bool]:
    """Path, what follows it, and whether that is the value (hex-prefix encoding, appendix C)."""
    if not isinstance(node, list) or len(node) != _PATH:
        raise MalformedError("a node of the proof has neither 17 items nor 2")
    prefixed, follows = node
    if not isinstance(prefixed, bytes) or not isinstance(follows, bytes) or not prefixed:
        raise MalformedError("a node of the proof without a path")
    flag, *way = _nibbles(prefixed)
    if flag > 3 or (flag % 2 == 0 and way[0] != 0):
        raise MalformedError("a node of the proof with a path in no known form")
    return tuple(way if flag % 2 else way[1:]), follows, flag >= 2
