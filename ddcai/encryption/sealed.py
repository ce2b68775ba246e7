"""Which sums may be opened, whatever the key: recomputed from the sealed list, remembered on disk.

Every holder of a key, or of a part of one, opens what this gives it and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ddcai import digests
from ddcai.digests import DIGEST_BYTES, RoundContext
from ddcai.encryption import updates
from ddcai.encryption.journal import Journal
from ddcai.encryption.updates import AnySet
from ddcai.errors import (
    BlobMissing,
    DuplicateUpdate,
    KeyExhausted,
    MalformedError,
    NotSealed,
    RoundError,
    SumMismatch,
    TooFewContributors,
    TooManyContributors,
    UpdateMismatch,
    UpdateMissing,
    WrongEncryptionKey,
)

# A sum of one is that update: whatever a federation's rules say, it is not opened.
LEAST_CONTRIBUTORS = 2


@dataclass(frozen=True, kw_only=True)
class SealedRound:
    """What the chain says of one sealed round.

    Attributes:
        context: chain, contract and round.
        min_contributors: the federation's minimum.
        sum_digest: the sealed sum's digest, 32 bytes.
        updates: (contributor's address, update digest) of the sealed list, in its order.
        encryption_key_digest: of the federation's public key.
    """

    context: RoundContext
    min_contributors: int
    sum_digest: bytes
    updates: tuple[tuple[str, bytes], ...]
    encryption_key_digest: bytes


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """How much a key may open, of all kinds together.

    Attributes:
        ciphertexts: of sums.
        journals: of everything that the key opens.
        scalars: as how many of these so many scalars of one update count, which has so many
            ciphertexts itself.
    """

    ciphertexts: int
    journals: tuple[Path, ...]
    scalars: Callable[[int, int], float]

    def check(self, journal: Journal, context: RoundContext, wanted: int) -> None:
        """Refuses an opening, recorded in one of the journals, that goes beyond it.

        Raises:
            KeyExhausted: saying how much was opened.
        """
        others = [Journal(path) for path in self.journals if path != journal.folder]
        spent = journal.ciphertexts(context) + sum(other.ciphertexts() for other in others)
        if spent + wanted > self.ciphertexts:
            raise KeyExhausted(
                f"round {context.round} asks to open {wanted} ciphertexts; this key opened "
                f"{spent}, and its noise hides {self.ciphertexts}: the key holders make another "
                "one with `ddcai keys ceremony`"
            )


class SealedSums:
    """The sums that one key may open.

    Args:
        parameters: the key's.
        public_key_digest: the key's, as the contract holds it.
        journal: folder in which opened rounds are remembered, made when missing. It must
            outlive the process, be backed up with the key, and never be shared by two keys.
        fetch: update digest to blob; from anywhere, for what it returns is checked.
        allowance: how much the key may open, where that is bounded.
    """

    def __init__(
        self,
        parameters: AnySet,
        public_key_digest: bytes,
        journal: Path,
        fetch: Callable[[bytes], bytes],
        allowance: Allowance | None = None,
    ) -> None:
        self._parameters, self._key = parameters, public_key_digest
        self._journal = Journal(journal)
        self._fetch, self._allowance = fetch, allowance

    def __repr__(self) -> str:
        return f"SealedSums({self._parameters.id}, {self._journal!r})"

    def recompute(
        self, sealed: SealedRound, visit: Callable[[str, bytes], None] | None = None
    ) -> bytes:
        """The sum of a sealed list as a blob, computed here; the round is on disk as opened.

        Args:
            sealed: what the chain says.
            visit: called with each contributor's account and update, checked against the chain,
                before the round is on disk. What it refuses by MalformedError or UpdateMismatch,
                the whole round is refused for.

        Guarantees:
            what it returns is the sum of ciphertexts whose digests the chain sealed;
            for one round it returns at most one list's sum, over restarts and by several
            processes at once; the same, asked again;
            a refusal leaves no entry, so that the right list can still be opened.

        | sealed | refused with |
        |---|---|
        | no sum digest, or an empty list | NotSealed |
        | another key, or a key that served another federation | WrongEncryptionKey |
        | fewer updates than min_contributors (or than 2) | TooFewContributors |
        | more than the parameter set can add | TooManyContributors |
        | this round was opened with another list or sum | AlreadyOpened |
        | an update that the store does not hold | UpdateMissing |
        | an update that is malformed or not of its digest | UpdateMismatch |
        | an address twice; a ciphertext twice, in this round or an earlier one | DuplicateUpdate |
        | a sum that is not the sum of the list, such as a single update | SumMismatch |
        | more ciphertexts than the key may open | KeyExhausted |
        """
        p = self._parameters
        check_list(sealed, self._key, p.id, p.max_contributors)
        self._journal.check(sealed.context, self._key, sealed.sum_digest, sealed.updates)
        blob, fingerprints = self._add(sealed, visit)
        if digests.sum_digest(sealed.context, blob) != sealed.sum_digest:
            raise SumMismatch(
                f"round {sealed.context.round}: the sum of the sealed updates has digest "
                f"{digests.sum_digest(sealed.context, blob).hex()}, the chain names "
                f"{sealed.sum_digest.hex()}: not opened; cancel the round"
            )
        ciphertexts = updates.ciphertexts(blob, self._parameters)
        if self._allowance is not None:
            self._allowance.check(self._journal, sealed.context, ciphertexts)
        self._journal.record(
            sealed.context,
            self._key,
            sealed.sum_digest,
            sealed.updates,
            fingerprints,
            ciphertexts=ciphertexts,
        )
        return blob

    def opened(self, context: RoundContext) -> frozenset[int]:
        """The rounds of the context's federation that were ever opened."""
        return self._journal.rounds(context)

    def _add(
        self, sealed: SealedRound, visit: Callable[[str, bytes], None] | None
    ) -> tuple[bytes, list[str]]:
        """Fetches, checks and adds the listed updates; the sum, and a mark of each update."""
        accumulator = updates.accumulator(self._parameters)
        seen: dict[bytes, str] = {}
        fingerprints: list[str] = []
        for address, digest in sealed.updates:
            blob = fetch_update(self._fetch, sealed.context, address, digest)
            try:
                marks = updates.marks(blob, self._parameters)
                for mark in marks:
                    if mark in seen:
                        raise DuplicateUpdate(
                            f"{address} and {seen[mark]} sent the same ciphertext in round "
                            f"{sealed.context.round}: not opened; cancel the round"
                        )
                    seen[mark] = address
                accumulator.add(blob)
                if visit is not None:
                    visit(address, blob)
            except MalformedError as error:
                raise UpdateMismatch(
                    f"the update of {address} in round {sealed.context.round} is malformed: {error}"
                ) from error
            fingerprints.append(marks[0].hex())
        self._journal.check_unused(sealed.context, fingerprints)
        try:
            return accumulator.to_blob(), fingerprints
        except RoundError as error:
            raise UpdateMismatch(f"round {sealed.context.round}: {error}") from error


def check_list(sealed: SealedRound, key: bytes, name: str, most: int) -> None:
    """Refuses a sealed list of which no sum may be opened, before anything is fetched.

    Args:
        sealed: what the chain says.
        key: digest of the key that is asked to open.
        name: of the key's parameter set or shape.
        most: updates that it adds.

    Raises:
        NotSealed, WrongEncryptionKey, TooFewContributors, TooManyContributors, DuplicateUpdate:
            as `SealedSums.recompute` says.
    """
    number, updates = sealed.context.round, sealed.updates
    if len(sealed.sum_digest) != DIGEST_BYTES or not any(sealed.sum_digest) or not updates:
        raise NotSealed(f"round {number} has no sealed sum: seal it on chain first")
    if sealed.encryption_key_digest != key:
        raise WrongEncryptionKey(
            f"round {number} is encrypted under key {sealed.encryption_key_digest.hex()}, "
            f"this key holder opens {key.hex()}: give the federation's key"
        )
    least = max(LEAST_CONTRIBUTORS, sealed.min_contributors)
    if len(updates) < least:
        raise TooFewContributors(
            f"round {number} has {len(updates)} updates: at least {least} are needed to "
            "hide each one; cancel the round"
        )
    if len(updates) > most:
        raise TooManyContributors(
            f"round {number} has {len(updates)} updates: {name} adds "
            f"at most {most}; cancel the round"
        )
    addresses = {address.lower() for address, _ in updates}
    if len(addresses) < len(updates):
        raise DuplicateUpdate(f"round {number} lists one contributor twice: not opened")


def fetch_update(
    fetch: Callable[[bytes], bytes], context: RoundContext, address: str, digest: bytes
) -> bytes:
    """An update's blob, from anywhere, checked against the digest that the chain names.

    Raises:
        UpdateMissing: it is not there.
        UpdateMismatch: it is another one.
    """
    try:
        blob = fetch(digest)
    except BlobMissing as error:
        raise UpdateMissing(
            f"the update of {address} in round {context.round} cannot be had: {error}"
        ) from error
    found = digests.update_digest(context, address, blob)
    if found != digest:
        raise UpdateMismatch(
            f"the update of {address} in round {context.round} has digest {found.hex()}, "
            f"the chain names {digest.hex()}: fetch it again from another copy"
        )
    return blob
