"""A round's updates, by a few calls whatever their number.

A call each for a thousand members' digests took a node and a reader longer than all else that
they did in a round, and every contributor reads them. So a node is asked what the creation of
``SubmissionReader`` would return, which calls the federation itself.
"""

from __future__ import annotations

from eth_abi import abi
from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import abi_errors, artifact
from ddcai.chain.node.connection import RpcFailure, request_many
from ddcai.chain.records import Submission
from ddcai.errors import ChainError

# Two words each, and one before; what a creation returns has 24,576 bytes at most (EIP-170).
AT_ONCE = 383
_WORD = 32


def read_submissions(w3: Web3, federation: str, number: int, count: int) -> tuple[Submission, ...]:
    """The updates of a round, in the members' order, from the contract's storage.

    Args:
        federation: the contract's address.
        count: how many members there are.

    Raises:
        ContractReverted: there are fewer members.
        ChainError: the node answers something else.
    """
    ends = [(first, min(first + AT_ONCE, count)) for first in range(0, count, AT_ONCE)]
    code = artifact.load("SubmissionReader").bytecode
    types = ["address", "uint64", "uint256", "uint256"]
    creations = [code + abi.encode(types, [federation, number, *part]) for part in ends]
    asked = [("eth_call", [{"data": "0x" + one.hex()}, "latest"]) for one in creations]
    try:
        answers = request_many(w3, asked)
    except RpcFailure as failure:
        raise abi_errors.decode(failure) or failure from failure
    found = []
    for (first, end), answer in zip(ends, answers, strict=True):
        words = _words(answer, 1 + 2 * (end - first))
        for index, account, digest in zip(range(first, end), words[1::2], words[2::2], strict=True):
            if any(digest):
                address = to_checksum_address(account[12:])
                found.append(Submission(address=address, index=index, digest=digest))
    return tuple(found)


def _words(answer: str, count: int) -> list[bytes]:
    raw = bytes.fromhex(answer[2:])
    if len(raw) != _WORD * count:
        raise ChainError(
            f"asked for {count} words of a round's updates, the node gave {len(raw)} bytes: it "
            "does not run code that is to create a contract (eth_call); use another node"
        )
    return [raw[at : at + _WORD] for at in range(0, len(raw), _WORD)]
