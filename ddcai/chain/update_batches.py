"""Whose updates a group's update is the sum of: the contract ``UpdateBatches``, and what
contributors of a group sign.

A group is a member of the federation that adds the updates of contributors of its own
(`ddcai.rounds.group`). The contract holds one root a group and round; one contract serves all
federations of a chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address, to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.account_signatures import recover, signed_hash, typed_data
from ddcai.chain.contract import Contract
from ddcai.chain.node.connection import request
from ddcai.chain.transactions import Receipt, Sender
from ddcai.digests import RoundContext
from ddcai.errors import ChainError, ConfigurationError, VerificationError

CONTRACT = "UpdateBatches"
# Measured: 89,075 (contracts/snapshots/UpdateBatches.json).
POST_GAS = 120_000


@dataclass(frozen=True, kw_only=True)
class PostedBatch:
    """What a group posted for a round.

    Attributes:
        group: its account.
        root: of the tree over its list (`ddcai.chain.batch_tree`).
        count: how many contributors it says are on the list.
        sum_digest: of the update that it submitted, as the contract compared it.
        list_digest: of the list, by which the store has it.
    """

    group: str
    root: bytes
    count: int
    sum_digest: bytes
    list_digest: bytes


class UpdateBatches:
    """One ``UpdateBatches`` contract.

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
        return f"UpdateBatches({self.address})"

    def require_there(self) -> None:
        """Raises ConfigurationError where no contract is."""
        if request(self._w3, "eth_getCode", [self.address, "latest"]) in ("0x", None, ""):
            raise ConfigurationError(
                f"update_batches is {self.address}, where no contract is: take the deployment "
                "file of this federation"
            )

    def post(self, federation: str, round_: int, batch: PostedBatch) -> Receipt:
        """Posts a list's root as the sender's, which has submitted the sum in the open round.

        Raises:
            ChainError: the sender is not the batch's group, or there is none.
            ContractReverted: no member, another round or sum, or a list was posted before.
        """
        if self.sender is None:
            raise ChainError("no account to send post from: give --keystore")
        if self.sender.address != to_checksum_address(batch.group):
            raise ChainError(
                f"the list is of the group {batch.group}, but the account is {self.sender.address}"
            )
        arguments = [
            to_checksum_address(federation),
            round_,
            batch.root,
            batch.count,
            batch.sum_digest,
            batch.list_digest,
        ]
        return self.sender.send(self.address, self._contract.encode("post", arguments))

    def batch(self, federation: str, round_: int, group: str) -> tuple[bytes, int] | None:
        """Root and size of a group's list; None if it posted none."""
        root, count = self._contract.call("batchOf", federation, round_, group)
        return (bytes(root), int(count)) if count else None

    def posted(self, federation: str, round_: int, first: int = 0) -> tuple[PostedBatch, ...]:
        """All lists of a round, in the order in which they were posted.

        Args:
            first: a block at or before the round's opening misses nothing.
        """
        last = int(request(self._w3, "eth_blockNumber", []), 16)
        words = (to_canonical_address(federation).rjust(32, b"\0"), round_.to_bytes(32, "big"))
        topics = [self._contract.topic("BatchPosted"), *("0x" + word.hex() for word in words)]
        logs = self._contract.logs(first, last, topics)
        logs.sort(key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))
        found = []
        for log in logs:
            decoded = self._contract.decode_log(log)
            assert decoded is not None  # its topic is of the ABI
            arguments = decoded[1]
            found.append(
                PostedBatch(
                    group=arguments["group"],
                    root=arguments["root"],
                    count=arguments["count"],
                    sum_digest=arguments["sumDigest"],
                    list_digest=arguments["listDigest"],
                )
            )
        return tuple(found)

    def includes(
        self,
        context: RoundContext,
        group: str,
        contributor: str,
        update: bytes,
        proof: Sequence[bytes],
    ) -> bool:
        """Whether the contract finds a contributor's update on a group's list.

        Args:
            context: names federation and round.
            update: the update's digest.
            proof: as `ddcai.chain.batch_tree.BatchTree.proof` has it.
        """
        return bool(
            self._contract.call(
                "includes",
                context.contract,
                context.round,
                group,
                contributor,
                update,
                list(proof),
            )
        )

    # What contributors sign.

    def statement(self, context: RoundContext, group: str, update: bytes) -> SignableMessage:
        """What a contributor signs when it gives a group its update (EIP-712).

        Args:
            context: chain, federation and round; the update's digest names contributor, too.
            group: the group's account.
            update: `ddcai.digests.update_digest` of the ciphertext.
        """
        return typed_data(
            "ddcai batches",
            "GroupUpdate",
            {
                "federation": ("address", to_checksum_address(context.contract)),
                "round": ("uint64", context.round),
                "group": ("address", to_checksum_address(group)),
                "update": ("bytes32", update),
            },
            chain_id=context.chain_id,
            contract=self.address,
        )

    def sign(
        self, account: LocalAccount, context: RoundContext, group: str, update: bytes
    ) -> bytes:
        """A contributor's signature under its statement, 65 bytes."""
        return bytes(account.sign_message(self.statement(context, group, update)).signature)

    def check(
        self, context: RoundContext, group: str, contributor: str, update: bytes, signature: bytes
    ) -> None:
        """Refuses what this contributor did not sign for this group, round and update.

        Raises:
            MalformedError: not in the one form that contracts take.
            VerificationError: somebody else signed, or something else.
        """
        signed = signed_hash(self.statement(context, group, update))
        if recover(signed, signature) != to_checksum_address(contributor):
            raise VerificationError(
                f"{contributor} did not sign that the update {update.hex()} is for the group "
                f"{group} in round {context.round}: have it sign again"
            )
