"""A block's header as the bytes that its hash is of, from what a node tells of the block."""

from __future__ import annotations

import rlp
from eth_utils.crypto import keccak
from web3 import Web3

from ddcai.chain.node.connection import request
from ddcai.errors import ChainError

# In the order of the header (EIP-4399, 1559, 4895, 4844, 4788, 7685); true where it is a number.
_FIELDS = (
    ("parentHash", False),
    ("sha3Uncles", False),
    ("miner", False),
    ("stateRoot", False),
    ("transactionsRoot", False),
    ("receiptsRoot", False),
    ("logsBloom", False),
    ("difficulty", True),
    ("number", True),
    ("gasLimit", True),
    ("gasUsed", True),
    ("timestamp", True),
    ("extraData", False),
    ("mixHash", False),
    ("nonce", False),
    ("baseFeePerGas", True),
    ("withdrawalsRoot", False),
    ("blobGasUsed", True),
    ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False),
    ("requestsHash", False),
)


def block_header(w3: Web3, number: int) -> bytes:
    """RLP of a block's header.

    Raises:
        ChainError: no such block, or its fields do not hash to its hash: another kind of chain.
    """
    block = request(w3, "eth_getBlockByNumber", [hex(number), False])
    if block is None:
        raise ChainError(f"the node has no block {number}: wait for it")
    header = rlp.encode(
        [_value(block[name], is_number) for name, is_number in _FIELDS if name in block]
    )
    if "0x" + keccak(header).hex() != block["hash"]:
        raise ChainError(
            f"the header of block {number} does not hash to {block['hash']}: is this an Ethereum "
            "chain with the rules of Prague?"
        )
    return bytes(header)


def prev_randao(w3: Web3, number: int) -> bytes | None:
    """A block's RANDAO value, 32 bytes (EIP-4399); None where the node has no such block, or one
    whose fields do not hash to its hash."""
    block = request(w3, "eth_getBlockByNumber", [hex(number), False])
    if block is None:
        return None
    try:
        block_header(w3, number)
    except ChainError:
        return None
    return bytes.fromhex(str(block["mixHash"])[2:])


def _value(text: str, is_number: bool) -> bytes | int:
    return int(text, 16) if is_number else bytes.fromhex(text[2:])
