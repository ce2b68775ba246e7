"""The claims about a round's groups: that each one's update is the sum of its contributors'.

Made from chain and blobs alone. Each group's list is read once its digest was found on chain, its
ciphertexts are added one at a time, and the sum is compared with what the group submitted, which
is what the federation's own sum is made of (`ddcai.audit.verify`).

What it cannot show: that accounts on a list are different people, or that a group listed everybody
who gave it an update. A contributor that was left out has its group's receipt, or none, and its
own ciphertext.
"""

from __future__ import annotations

from collections.abc import Iterator

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.blobs import Blobs
from ddcai.audit.claims import Claim, compare, judged, missing, skipped
from ddcai.chain.federation import Federation
from ddcai.chain.records import RoundRecord
from ddcai.chain.update_batches import PostedBatch, UpdateBatches
from ddcai.configuration import FederationConfig
from ddcai.digests import RoundContext
from ddcai.encryption import updates
from ddcai.encryption.updates import any_set
from ddcai.errors import BlobMissing, DdcaiError, RoundError
from ddcai.rounds.batch import BatchList
from ddcai.rounds.party import require_configuration
from ddcai.store import Store


def check_groups(
    federation: Federation,
    batches: UpdateBatches,
    store: Store,
    config: FederationConfig,
    number: int,
    *,
    from_block: int = 0,
) -> Iterator[Claim]:
    """The claims about the groups of one round; none where no group posted a list.

    Args:
        store: the blobs, trusted for nothing.
        config: the federation's configuration.
        from_block: a block at or before the round's opening.

    Raises:
        ConfigurationError: the configuration is not the contract's.
        ChainError: about the chain.
    """
    require_configuration(config, federation)
    checks = _GroupChecks(federation, batches, store, config, federation.round(number))
    posted = batches.posted(federation.address, number, from_block)
    for one in posted:
        yield from checks.claims(one)
    if posted:
        yield checks.once()


class _GroupChecks:
    def __init__(
        self,
        federation: Federation,
        batches: UpdateBatches,
        store: Store,
        config: FederationConfig,
        record: RoundRecord,
    ) -> None:
        self._batches, self._blobs = batches, Blobs(store)
        self._parameters = any_set(config.encryption.parameter_set)
        self._most = config.encryption.group_size
        self._record = record
        self._context = RoundContext(
            chain_id=federation.chain_id, contract=federation.address, round=record.number
        )
        self._submitted = {item.address: item.digest for item in record.submissions}
        # Whose update counts where: account to groups, mark of a ciphertext to accounts.
        self._counted = {address: ["itself"] for address in self._submitted}
        self._marked: dict[bytes, list[str]] = {}

    def claims(self, posted: PostedBatch) -> Iterator[Claim]:
        """Those about one group, in the order of `GROUPED`."""
        number, group = self._record.number, posted.group

        def digest_of(document: bytes) -> bytes:
            return digests.batch_list_digest(self._context, group, document)

        claim, listed = self._blobs.check(
            claims.GROUP_LIST,
            posted.list_digest,
            digest_of,
            BatchList.from_blob,
            round_=number,
            subject=group,
        )
        yield claim
        if listed is None:
            expected, why = f"a list of {posted.count}", "the list cannot be used"
            for name in claims.GROUPED[1:-1]:
                yield skipped(name, expected, why, round_=number, subject=group)
            return
        for given in listed.given:
            self._counted.setdefault(given.contributor, []).append(group)
        expected = f"0x{posted.root.hex()} of {posted.count}"
        found = f"0x{listed.tree().root.hex()} of {len(listed)}"
        yield compare(claims.GROUP_ROOT, expected, found, round_=number, subject=group)
        expected, fits = f"at most {self._most}", len(listed) <= self._most
        yield judged(
            claims.GROUP_SIZE, fits, expected, str(len(listed)), round_=number, subject=group
        )
        yield self._signed(group, listed)
        yield from self._added(posted, listed)

    def once(self) -> Claim:
        """That no account is in two lists, or in one and a member's submission; and that no
        ciphertext is in two updates. To be asked after `claims` of every group."""
        twice = [
            f"{account} by {', '.join(where)}"
            for account, where in self._counted.items()
            if len(where) > 1
        ]
        copied = {
            f"a ciphertext of {', '.join(accounts)}"
            for accounts in self._marked.values()
            if len(accounts) > 1
        }
        found = "; ".join([*twice, *sorted(copied)]) or "each once"
        return compare(claims.GROUP_ONCE, "each once", found, round_=self._record.number)

    def _signed(self, group: str, listed: BatchList) -> Claim:
        faults = []
        for one in listed.given:
            try:
                self._batches.check(
                    self._context, group, one.contributor, one.update, one.signature
                )
            except DdcaiError as error:
                faults.append(f"{one.contributor}: {error}")
        return judged(
            claims.GROUP_SIGNED,
            not faults,
            f"{len(listed)} contributors",
            "; ".join(faults) or f"{len(listed)} contributors",
            round_=self._record.number,
            subject=group,
        )

    def _added(self, posted: PostedBatch, listed: BatchList) -> Iterator[Claim]:
        """About the updates, and their sum: a ciphertext at a time."""
        number, group = self._record.number, posted.group
        total, absent, faults = updates.accumulator(self._parameters), [], []
        for one in listed.given:
            try:
                blob = self._blobs.store.get(one.update)
                digest = digests.update_digest(self._context, one.contributor, blob)
                if digest != one.update:
                    raise RoundError(f"its blob has digest 0x{digest.hex()}")
                for mark in updates.marks(blob, self._parameters):
                    self._marked.setdefault(mark, []).append(one.contributor)
                total.add(blob)
            except BlobMissing:
                absent.append(one.contributor)
            except DdcaiError as error:
                faults.append(f"{one.contributor}: {error}")
        expected = f"{len(listed)} updates"
        what = ", ".join(absent)
        if absent and not faults:
            yield missing(claims.GROUP_UPDATES, expected, what=what, round_=number, subject=group)
        else:
            yield judged(
                claims.GROUP_UPDATES,
                not faults,
                expected,
                "; ".join(faults) or expected,
                round_=number,
                subject=group,
            )
        expected = "0x" + self._submitted.get(group, b"").hex()
        if absent or faults:
            why = "updates of the list cannot be had, or used"
            yield skipped(claims.GROUP_SUM, expected, why, round_=number, subject=group)
            return
        try:
            found = digests.update_digest(self._context, group, total.to_blob())
        except RoundError as error:
            yield judged(
                claims.GROUP_SUM, False, expected, str(error), round_=number, subject=group
            )
            return
        yield compare(claims.GROUP_SUM, expected, "0x" + found.hex(), round_=number, subject=group)
