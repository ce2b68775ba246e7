"""That one contributor's update is on a group's list, and the group's update in a round: a file.

In it are the contributor's signature and the path from its leaf to the root. The rest is asked of
a node: the root that the group posted, which the contract took only for the very update that the
group submitted, and that the round was sealed with it.

What it does not show: that the group's update is the sum of its list, which whoever has the blobs
finds out (`ddcai.audit.groups`), nor that the two contracts are those that somebody means: compare
their addresses. Only digests are in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from eth_utils.address import to_checksum_address

from ddcai import strict_json
from ddcai.audit.report import strict
from ddcai.chain.batch_tree import root_of
from ddcai.chain.federation import Federation
from ddcai.chain.records import RoundState
from ddcai.chain.update_batches import UpdateBatches
from ddcai.digests import RoundContext
from ddcai.errors import MalformedError, VerificationError
from ddcai.rounds.batch import BatchList

FORMAT = "ddcai-group-receipt-1"
MAX_BYTES = 1 << 16
# A list of 8,192 has 13 levels of nodes.
_MOST_NODES = 32
_NAMES = {
    *("format", "chain_id", "contract", "update_batches", "round", "group"),
    *("contributor", "update_digest", "signature", "path"),
}


@dataclass(frozen=True, kw_only=True)
class GroupInclusion:
    """What a receipt shows, if the node that was asked tells the truth.

    Attributes:
        contract, round: the federation's, which the chain is told by.
        group, contributor: their accounts.
        update_digest: of the contributor's encrypted update.
        group_update_digest: of the group's, which the round was sealed with.
        contributors: how many the group says are on its list.
        sum_digest: of the round's encrypted sum.
        finalised: whether the round led to a model.
    """

    contract: str
    round: int
    group: str
    contributor: str
    update_digest: bytes
    group_update_digest: bytes
    contributors: int
    sum_digest: bytes
    finalised: bool


@dataclass(frozen=True, kw_only=True)
class GroupReceipt:
    """The file.

    Attributes:
        chain_id, contract, round: of the federation.
        update_batches: the contract that has the root.
        group: its account.
        contributor, update_digest: of the leaf.
        signature: the contributor's, under its statement.
        path: siblings, from the leaf up.
    """

    chain_id: int
    contract: str
    update_batches: str
    round: int
    group: str
    contributor: str
    update_digest: bytes
    signature: bytes
    path: tuple[bytes, ...]

    @classmethod
    def of(
        cls,
        listed: BatchList,
        contributor: str,
        *,
        context: RoundContext,
        group: str,
        update_batches: str,
    ) -> Self:
        """A contributor's receipt, from its group's list; whoever has the list can make it.

        Raises:
            RoundError: it is not on the list.
        """
        path = listed.tree().proof(contributor)
        address = str(to_checksum_address(contributor))
        given = next(one for one in listed.given if one.contributor == address)
        return cls(
            chain_id=context.chain_id,
            contract=context.contract,
            update_batches=update_batches,
            round=context.round,
            group=group,
            contributor=address,
            update_digest=given.update,
            signature=given.signature,
            path=path,
        )

    def check(self, federation: Federation, batches: UpdateBatches) -> GroupInclusion:
        """What it shows, by what a node says of the two contracts.

        Raises:
            VerificationError: of other contracts; not signed by the contributor; not on the posted
                list; the round was not sealed, or without the group's update, or was cancelled.
            MalformedError: no signature.
        """
        for name, said, asked in (
            ("chain_id", self.chain_id, federation.chain_id),
            ("contract", self.contract, federation.address),
            ("update_batches", self.update_batches, batches.address),
        ):
            if said != asked:
                raise VerificationError(f"{name} is {said}, not {asked}")
        context = RoundContext(chain_id=self.chain_id, contract=self.contract, round=self.round)
        batches.check(context, self.group, self.contributor, self.update_digest, self.signature)
        posted = batches.batch(self.contract, self.round, self.group)
        if posted is None:
            raise VerificationError(f"{self.group} posted no list in round {self.round}")
        root, count = posted
        found = root_of(self.contributor, self.update_digest, self.path)
        if found != root:
            raise VerificationError(
                f"the path leads to the root 0x{found.hex()}, but {self.group} posted "
                f"0x{root.hex()} in round {self.round}"
            )
        record = federation.round(self.round)
        sealed = {item.address: item.digest for item in record.sealed}
        if record.state not in (RoundState.SEALED, RoundState.FINALIZED):
            raise VerificationError(f"round {self.round} is {record.state.name}, not sealed")
        if self.group not in sealed:
            raise VerificationError(
                f"round {self.round} was sealed without the update of the group {self.group}"
            )
        return GroupInclusion(
            contract=self.contract,
            round=self.round,
            group=self.group,
            contributor=self.contributor,
            update_digest=self.update_digest,
            group_update_digest=sealed[self.group],
            contributors=count,
            sum_digest=record.sum_digest,
            finalised=record.state is RoundState.FINALIZED,
        )

    # The file.

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "contract": self.contract,
            "update_batches": self.update_batches,
            "round": self.round,
            "group": self.group,
            "contributor": self.contributor,
            "update_digest": "0x" + self.update_digest.hex(),
            "signature": "0x" + self.signature.hex(),
            "path": ["0x" + node.hex() for node in self.path],
        }

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Reads what `to_json` made; `check` says whether it is true.

        Raises:
            MalformedError: anything else.
        """
        values = strict.object_("a receipt", content, _NAMES)
        if values["format"] != FORMAT:
            raise MalformedError(f"format is {values['format']!r}: expected {FORMAT!r}")
        path = values["path"]
        if not isinstance(path, list) or len(path) > _MOST_NODES:
            raise MalformedError(f"path is no list of at most {_MOST_NODES} nodes")
        addresses = {
            name: strict.address(name, values[name])
            for name in ("contract", "update_batches", "group", "contributor")
        }
        return cls(
            chain_id=strict.number("chain_id", values["chain_id"]),
            round=strict.number("round", values["round"]),
            update_digest=strict.digest("update_digest", values["update_digest"]),
            signature=strict.bytes_("signature", values["signature"]),
            path=tuple(strict.digest("a node of path", node) for node in path),
            **addresses,
        )

    def save(self, path: Path) -> None:
        """Writes the file, in the place of one that is there."""
        strict.write(path, (json.dumps(self.to_json(), indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            ConfigurationError: it cannot be read.
            MalformedError: not such a file.
        """
        raw = strict.read(path, MAX_BYTES)
        try:
            return cls.from_json(strict_json.loads(raw))
        except (MalformedError, ValueError) as error:
            raise MalformedError(f"{path} is no receipt of a group: {error}") from error
