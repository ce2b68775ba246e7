"""The updates of one open round, added up as they come, by one who can read none of them."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from ddcai import digests
from ddcai.chain.records import RoundRecord
from ddcai.encryption import updates
from ddcai.encryption.updates import any_set
from ddcai.errors import BlobMissing, MalformedError, RoundError, UpdateMismatch
from ddcai.event_log import about
from ddcai.rounds.party import Party

log = logging.getLogger("ddcai.coordinator")

# Room for what is around the ciphertexts: boxes for key holders above all.
_HEADERS_BYTES = 2**20
_FIRST_S, _LONGEST_S = 1.0, 60.0


@dataclass(frozen=True)
class _Unfit:
    """A blob that was no update; monotonic seconds."""

    again_at: float
    pause_s: float


class Collection:
    """The updates of one open round, added as they come: memory for one sum, not for all.

    It drops all that a key holder would refuse the round for, so that nobody can spoil the
    round of the others with a copy of their ciphertexts, of this round or an earlier one.

    Args:
        party: chain and store.
        record: the open round.
        num_values: how many integers every update must have (`ddcai.models.trained`).
        spent: marks of ciphertexts that earlier rounds had.
    """

    def __init__(
        self,
        party: Party,
        record: RoundRecord,
        num_values: int,
        spent: frozenset[bytes] = frozenset(),
    ) -> None:
        self._party, self._record, self._spent = party, record, spent
        self._parameters = any_set(party.config.encryption.parameter_set)
        self._values = num_values
        self._sum = updates.accumulator(self._parameters, self._values)
        self._accepted: dict[str, bytes] = {}
        self._marks: dict[bytes, str] = {}
        self._most_bytes = 2 * self.update_bytes + _HEADERS_BYTES
        self._unfit: dict[bytes, _Unfit] = {}

    @property
    def accepted(self) -> tuple[str, ...]:
        """Addresses whose updates are in the sum."""
        return tuple(self._accepted)

    @property
    def marks(self) -> frozenset[bytes]:
        """The marks of the ciphertexts in the sum."""
        return frozenset(self._marks)

    @property
    def update_bytes(self) -> int:
        """About how large an update is."""
        return updates.about_bytes(self._values, self._parameters)

    def add(self, address: str, blob: bytes) -> None:
        """Takes one update into the sum and the store, or says why not.

        Of two copies of a ciphertext the one counts that was committed first: contributors
        publish theirs after that.

        Raises:
            UpdateMismatch: it is not the update that this account committed on chain, or has
                a ciphertext of another update.
            MalformedError: it is no ciphertext of this federation's parameter set and size.
            RoundError: there are more updates than the federation planned for.
        """
        address = to_checksum_address(address)
        if address in self._accepted:
            return
        if len(blob) > self._most_bytes:
            raise MalformedError(
                f"{address} delivered {len(blob)} bytes or more; an update has about "
                f"{self.update_bytes}"
            )
        committed = self._party.federation.update_digest(self._record.number, address)
        digest = digests.update_digest(self._party.context(self._record.number), address, blob)
        if committed != digest:
            held = committed.hex() if committed else "nothing"
            raise UpdateMismatch(
                f"{address} delivered an update of digest {digest.hex()}, "
                f"but committed {held} in round {self._record.number}"
            )
        marks = updates.marks(blob, self._parameters)
        if len(set(marks)) < len(marks) or not self._spent.isdisjoint(marks):
            raise UpdateMismatch(f"{address} delivered a ciphertext that was used before")
        rivals = {self._marks[mark] for mark in marks if mark in self._marks}
        if rivals:
            order = self._party.federation.submission_order(self._record.number)
            if min(order.index(rival) for rival in rivals) < order.index(address):
                raise UpdateMismatch(f"{address} delivered a copy of another's ciphertext")
            updates.check(blob, self._parameters, self._values)
            self._remove(rivals)
        most = self._party.config.encryption.max_updates
        if len(self._accepted) >= most:
            raise RoundError(
                f"round {self._record.number} has more than {most} updates, which is all that "
                "encryption.max_contributors and group_size allow: it cannot be added up; cancel it"
            )
        self._sum.add(blob)
        # The key holder and auditors look there, whatever the contributor put there.
        self._party.store.put(digest, blob)
        self._accepted[address] = digest
        self._marks |= dict.fromkeys(marks, address)

    def _remove(self, addresses: set[str]) -> None:
        """Leaves out updates that turned out to be copies: adds up the others again."""
        log.warning(
            "round %d: dropped, as copies of an update committed before: %s",
            self._record.number,
            ", ".join(sorted(addresses)),
            extra=about("update_dropped", self._record.number),
        )
        kept = {a: digest for a, digest in self._accepted.items() if a not in addresses}
        rest = updates.accumulator(self._parameters, self._values)
        for digest in kept.values():
            rest.add(self._party.store.get(digest))
        self._sum, self._accepted = rest, kept
        self._marks = {mark: a for mark, a in self._marks.items() if a not in addresses}

    def add_from_store(self) -> tuple[str, ...]:
        """Takes in what was committed and stored but not delivered by message; all accepted.

        Reads no more of a blob than an update has, and ever more rarely one that was none: whoever
        may write to the store may put anything there.
        """
        now = time.monotonic()
        for item in self._party.federation.round(self._record.number).submissions:
            unfit = self._unfit.get(item.digest)
            if item.address in self._accepted or (unfit is not None and now < unfit.again_at):
                continue
            if not self._party.store.has(item.digest):
                continue
            try:
                blob = self._party.store.get(item.digest, self._most_bytes + 1)
                self.add(item.address, blob)
            except BlobMissing:
                continue
            except (UpdateMismatch, MalformedError):
                # Left off the list, unless it is mended: its deposit is forfeited.
                pause_s = min(_LONGEST_S, 2 * unfit.pause_s if unfit is not None else _FIRST_S)
                self._unfit[item.digest] = _Unfit(now + pause_s, pause_s)
        return self.accepted

    def sum_blob(self) -> bytes:
        """The encrypted sum in wire form."""
        return self._sum.to_blob()
