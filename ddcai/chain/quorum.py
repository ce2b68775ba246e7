"""A federation's quorum contract, of either scheme: keys, and packing them into code."""

from __future__ import annotations

from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import ChainError

KEYS_PER_PAGE = 128
CONTRACTS = {"bls": "BlsQuorum", "ecdsa": "EcdsaQuorum"}  # by scheme


class Quorum:
    """The members' keys.

    Args:
        address: the quorum contract's.
        sender: who pays for packing; None for reading only.
    """

    def __init__(self, w3: Web3, address: str, sender: Sender | None = None) -> None:
        self.address: str = to_checksum_address(address)
        self._sender = sender
        # Both contracts have the interface's functions, and those alone are called.
        self._contract = Contract(w3, self.address, artifact.load("BlsQuorum"))

    def scheme(self) -> str:
        """What kind of keys it has: ``bls`` or ``ecdsa``."""
        return str(self._contract.call("scheme"))

    def key(self, index: int) -> bytes:
        """The key of a member: BLS 128 bytes, a G1 point as EIP-2537 has it; ECDSA 20 bytes.

        Raises:
            ContractReverted: there is no member of this index.
        """
        return bytes(self._contract.call("keyOf", index))

    def unpacked(self) -> dict[int, int]:
        """How many keys of each page (`KEYS_PER_PAGE` members) are not in code yet; none left out.

        A page that is complete, and an empty one, is not in it.
        """
        count = int(self._contract.call("keyCount"))
        pages = range(-(-count // KEYS_PER_PAGE))
        done = self._contract.call_many([("packedCount", [page]) for page in pages])
        left = {
            page: min(count - page * KEYS_PER_PAGE, KEYS_PER_PAGE) - int(packed)
            for page, packed in zip(pages, done, strict=True)
        }
        return {page: keys for page, keys in left.items() if keys}

    def pack(self, page: int) -> Receipt:
        """Copies a page's keys into code, from where checks read them for less gas.

        Raises:
            ContractReverted: ``NothingToPack``; somebody else may have been faster.
        """
        if self._sender is None:
            raise ChainError("no account to pack from: give --keystore")
        return self._sender.send(self.address, self._contract.encode("pack", [page]))
