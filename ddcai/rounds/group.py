"""A group's side of a round: gather signed updates, add them unread, submit the sum, post the list.

A group is a member that adds before the coordinator does. It has no decryption key and learns
nothing of an update but its size; to the federation its sum is an update like any other. What it
took is on disk and in the store before it says so: started again, it goes on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import to_checksum_address

from ddcai import digests
from ddcai.chain.records import RoundRecord
from ddcai.chain.update_batches import PostedBatch
from ddcai.digests import DIGEST_BYTES
from ddcai.encryption import updates
from ddcai.encryption.updates import any_set
from ddcai.errors import PolicyError, RoundError, UpdateMismatch
from ddcai.rounds.batch import BatchList, Given
from ddcai.rounds.contributor import Contributor
from ddcai.rounds.group_contributor import batches_of, is_member
from ddcai.rounds.update import Update, write_or_read


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a group made of a round.

    Attributes:
        update: the sum, which the group submits as its update.
        listed: whose updates are in it.
        posted: what the contract is to hold.
    """

    update: Update
    listed: BatchList
    posted: PostedBatch


class GroupRound:
    """One round of one group: memory for one sum, not for all updates.

    Args:
        member: the group, as a member of the federation.
        contributors: accounts that are the group's; nobody else's update is taken.
        record: the open round.
        num_values: how many integers every update must have (`ddcai.models.trained`).

    Raises:
        ConfigurationError: the federation has no groups.
        BlobMissing, StoreError: started again, and the store has lost what it took before.
    """

    def __init__(
        self,
        member: Contributor,
        contributors: Collection[str],
        record: RoundRecord,
        num_values: int,
    ) -> None:
        self._member, self._party, self._record = member, member.party, record
        self._batches = batches_of(member.party)
        self._context = member.party.context(record.number)
        self._contributors = frozenset(str(to_checksum_address(one)) for one in contributors)
        encryption = member.party.config.encryption
        self._parameters, self._most = any_set(encryption.parameter_set), encryption.group_size
        self._values = num_values
        self._sum = updates.accumulator(self._parameters, num_values)
        self._given: dict[str, Given] = {}
        self._marks: set[bytes] = set()
        self._folder = member.folder / f"round-{record.number}.group"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._spent = self._used_before()
        for path in sorted(self._folder.glob("0x*")):
            given = _read(path)
            self._take(given, self._party.store.get(given.update))

    @property
    def accepted(self) -> tuple[str, ...]:
        """Accounts whose updates are in the sum."""
        return tuple(self._given)

    def add(self, contributor: str, blob: bytes, signature: bytes) -> None:
        """Takes one contributor's update into the sum and the store, or says why not; the same
        one again is taken for granted.

        Args:
            signature: as `ddcai.rounds.group_contributor.GroupContributor.give` made it.

        Raises:
            PolicyError: not a contributor of this group; a member of the federation, whose update
                counts by itself.
            RoundError: the list is closed, or has as many as an update may be the sum of.
            VerificationError: the contributor did not sign this update for this group and round.
            UpdateMismatch: a second update of a contributor, or a ciphertext that was used before.
            MalformedError: no ciphertext of this set and size, or no signature.
        """
        contributor = str(to_checksum_address(contributor))
        number = self._record.number
        if contributor not in self._contributors:
            raise PolicyError(f"{contributor} is no contributor of the group {self._group}")
        digest = digests.update_digest(self._context, contributor, blob)
        self._batches.check(self._context, self._group, contributor, digest, signature)
        known = self._given.get(contributor)
        if known is not None:
            if known.update == digest:
                self._keep(known, blob)  # the disk may have been full before
                return
            raise UpdateMismatch(
                f"{contributor} gave the update {known.update.hex()} in round {number}, and now "
                f"another, {digest.hex()}: one counts"
            )
        if self._list_path.exists():
            raise RoundError(f"the list of round {number} is closed: wait for the next round")
        if is_member(self._party, contributor):
            raise PolicyError(
                f"{contributor} is a member of the federation: its update counts by itself"
            )
        if len(self._given) >= self._most:
            raise RoundError(
                f"the group has {self._most} updates in round {number}, which is "
                "encryption.group_size: one more could not be added"
            )
        given = Given(contributor=contributor, update=digest, signature=signature)
        self._take(given, blob)
        self._keep(given, blob)

    def close(self, least: int = 1) -> Batch:
        """Ends the list; the same again, closed again.

        Args:
            least: how many contributors it needs.

        Raises:
            RoundError: fewer, or the updates cancel; or the group made another update of this
                round, which is the one that counts.
        """
        if len(self._given) < least:
            raise RoundError(
                f"the group has {len(self._given)} updates in round {self._record.number}, and "
                f"needs {least}: wait for more, or take no part"
            )
        listed, blob = BatchList.of(self._given.values()), self._sum.to_blob()
        document = write_or_read(self._list_path, listed.to_blob())  # nothing is added from here on
        update = self._member.remember(self._record, blob)
        if update.blob != blob or document != listed.to_blob():
            raise RoundError(
                f"the group has another update or list of round {self._record.number} on disk: "
                "one a round; that one counts"
            )
        posted = PostedBatch(
            group=self._group,
            root=listed.tree().root,
            count=len(listed),
            sum_digest=update.digest,
            list_digest=digests.batch_list_digest(self._context, self._group, document),
        )
        return Batch(update=update, listed=listed, posted=posted)

    def submit(self, batch: Batch) -> None:
        """Submits the sum with the group's deposit, posts the list, then publishes both; goes on
        where it was stopped.

        In this order: the coordinator seals when it has all updates that were submitted, and a
        list can be posted before that alone.

        Raises:
            PolicyError: another update or list is on chain: two processes use this account.
            ContractReverted, ChainError: about the chain.
        """
        federation, number = self._party.federation.address, self._record.number
        self._party.store.put(batch.posted.list_digest, batch.listed.to_blob())
        self._member.commit(self._record, batch.update)
        there = self._batches.batch(federation, number, self._group)
        if there is None:
            self._batches.post(federation, number, batch.posted)
        elif there != (batch.posted.root, batch.posted.count):
            raise PolicyError(
                f"{self._group} posted the root {there[0].hex()} in round {number}, not "
                f"{batch.posted.root.hex()}: two processes must not share one account"
            )
        self._member.publish(self._record, batch.update)

    @property
    def _group(self) -> str:
        return self._party.address

    @property
    def _list_path(self) -> Path:
        return self._folder / "list"

    def _take(self, given: Given, blob: bytes) -> None:
        """Adds an update that was signed."""
        marks = updates.marks(blob, self._parameters)
        used = self._marks | self._spent
        if len(set(marks)) < len(marks) or not used.isdisjoint(marks):
            raise UpdateMismatch(f"{given.contributor} gave a ciphertext that was used before")
        self._sum.add(blob)
        self._marks |= set(marks)
        self._given[given.contributor] = given

    def _keep(self, given: Given, blob: bytes) -> None:
        """Puts an update into the store, and what goes with it on disk."""
        self._party.store.put(given.update, blob)
        mark = updates.marks(blob, self._parameters)[0]
        content = given.update + mark + given.signature
        write_or_read(self._folder / given.contributor, content)

    def _used_before(self) -> frozenset[bytes]:
        """First marks of the updates that this group took in other rounds."""
        paths = self._folder.parent.glob("round-*.group/0x*")
        return frozenset(
            path.read_bytes()[DIGEST_BYTES : 2 * DIGEST_BYTES]
            for path in paths
            if path.parent != self._folder
        )


def _read(path: Path) -> Given:
    content = path.read_bytes()
    return Given(
        contributor=path.name,
        update=content[:DIGEST_BYTES],
        signature=content[2 * DIGEST_BYTES :],
    )
