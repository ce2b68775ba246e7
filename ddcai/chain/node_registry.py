"""Which Flower node key is which account's: the contract ``NodeRegistry``, and what accounts sign.

A coordinator lets in the nodes whose keys members and key holders bound here. The binding is the
account's signature by EIP-712; that the node has the key it shows itself, each time it connects
(`ddcai.rounds.identity`).
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.account_signatures import recover, signed_hash, typed_data
from ddcai.chain.contract import Contract
from ddcai.chain.node.connection import request
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import (
    ChainError,
    ConfigurationError,
    ContractReverted,
    MalformedError,
    VerificationError,
)

CONTRACT = "NodeRegistry"
NODE_KEY_BYTES = 49  # a compressed point of P-384
_COMPRESSED = (2, 3)


class NodeRegistry:
    """One ``NodeRegistry`` contract.

    Attributes:
        address: its contract.
        sender: who pays for writes; None for a facade that only reads.
    """

    def __init__(self, w3: Web3, address: str, sender: Sender | None = None) -> None:
        self.address: str = to_checksum_address(address)
        self.sender = sender
        self._w3 = w3
        self._contract = Contract(w3, self.address, artifact.load(CONTRACT))

    def __repr__(self) -> str:
        return f"NodeRegistry({self.address})"

    def federation(self) -> str:
        """The federation whose accounts bind keys here."""
        return str(to_checksum_address(self._contract.call("federation")))

    def require_federation(self, address: str) -> None:
        """Raises ConfigurationError unless this is the registry of that federation.

        Another federation's registry would let that one's members in.
        """
        if request(self._w3, "eth_getCode", [self.address, "latest"]) in ("0x", None, ""):
            raise ConfigurationError(
                f"node_registry is {self.address}, where no contract is: take the deployment file "
                "of this federation"
            )
        try:
            found = self.federation()
        except ContractReverted as error:
            raise ConfigurationError(
                f"node_registry is {self.address}, which is no registry of node keys: take the "
                "deployment file of this federation"
            ) from error
        if found != to_checksum_address(address):
            raise ConfigurationError(
                f"node_registry is {self.address}, which is that of the federation {found}, not "
                f"of {address}: take the deployment file of this federation"
            )

    def keys(self, accounts: Sequence[str]) -> dict[str, bytes]:
        """The keys of those of these accounts that bound one, `NODE_KEY_BYTES` each.

        A key may be on no point of the curve: `ddcai.rounds.node_key.parse` looks.
        """
        found = self._contract.call_many([("keyOf", [one]) for one in accounts])
        return {one: key for one, key in zip(accounts, found, strict=True) if key}

    def bindings(self, account: str) -> int:
        """How many keys an account bound, one after the other."""
        return int(self._contract.call("bindings", account))

    def statement(self, account: str, public_key: bytes, binding: int) -> SignableMessage:
        """What an account signs to bind a key.

        Args:
            public_key: `NODE_KEY_BYTES`.
            binding: `bindings` and 1, so that the signature serves once.
        """
        return typed_data(
            "ddcai nodes",
            "NodeKey",
            {
                "account": ("address", to_checksum_address(account)),
                "federation": ("address", self.federation()),
                "binding": ("uint256", binding),
                "publicKey": ("bytes", public_key),
            },
            chain_id=int(request(self._w3, "eth_chainId", []), 16),
            contract=self.address,
        )

    def sign(self, account: LocalAccount, public_key: bytes) -> bytes:
        """The account's signature under its next binding, 65 bytes; anyone may send it."""
        check_form(public_key)
        binding = self.bindings(account.address) + 1
        statement = self.statement(account.address, public_key, binding)
        return bytes(account.sign_message(statement).signature)

    def bind(self, account: str, public_key: bytes, signature: bytes) -> Receipt:
        """Binds a key to the account that signed, in place of the one before.

        Raises:
            MalformedError: a key or signature in another form than the contract takes.
            VerificationError: the account signed something else; nothing was sent.
            ContractReverted: the contract refuses, such as an account of no member.
        """
        if self.sender is None:
            raise ChainError("no account to send bind from: give --keystore")
        check_form(public_key)
        binding = self.bindings(account) + 1
        signed = signed_hash(self.statement(account, public_key, binding))
        if recover(signed, signature) != to_checksum_address(account):
            raise VerificationError(
                f"{account} did not sign binding {binding} of this node key: sign it again"
            )
        data = self._contract.encode("bind", [account, public_key, signature])
        return self.sender.send(self.address, data)


def check_form(public_key: bytes) -> None:
    """Raises MalformedError unless the contract takes these bytes for a node key."""
    if len(public_key) != NODE_KEY_BYTES or public_key[0] not in _COMPRESSED:
        raise MalformedError(
            f"a node key of {len(public_key)} bytes: give a compressed point of P-384, "
            f"{NODE_KEY_BYTES} bytes that start with 02 or 03"
        )
