"""What a key holder opens, and what it refuses.

A key that opens a sum opens a single update just as well, so everything depends on what it
is applied to. The coordinator never chooses that: the key holder reads the sealed list from
the chain, fetches the ciphertexts named there, adds them itself, and opens its own sum.

BFV is secure against those who look, not against those who forge, and there is no proof of
what a contributor encrypted. What is left to attack, and what stands in the way:

* A forged ciphertext such as (0, q/t) makes the sum a decryption oracle: it opens to the
  secret key's own slots. A sum outside what honest updates add up to is therefore never given
  out (`ForgedUpdate`), which leaves a forger one bit a round, plus one slot at a time with
  the chance that random lanes fall inside the range: (contributors * value_limit /
  2**(lane_bits - 1)) ** lanes, so keep encryption.max_contributors well above the number of
  contributors, and make a new key for every federation.
* A contributor that conspires with the coordinator may submit a re-randomised copy or a
  multiple of another's ciphertext, if it sees that before its own digest is committed, or
  in a later round. Copies that share c1 are refused; others look like any ciphertext.
* All contributors but one always learn the last one's update from the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ddcai import digests
from ddcai.digests import DIGEST_BYTES, RoundContext
from ddcai.encryption import wire
from ddcai.encryption.journal import Journal
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.scheme import Opener
from ddcai.encryption.summation import SumAccumulator
from ddcai.errors import (
    BlobMissing,
    DuplicateUpdate,
    ForgedUpdate,
    MalformedError,
    NotSealed,
    RoundError,
    SumMismatch,
    TooFewContributors,
    TooManyContributors,
    UpdateMismatch,
    WrongEncryptionKey,
)

# A sum of one is that update: whatever a federation's rules say, it is not opened.
LEAST_CONTRIBUTORS = 2
_VALUE_BYTES = 4


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
class OpenedSum:
    """An opened sum.

    Attributes:
        values: int64[v].
        blob: their canonical form, whose digest the contributors sign.
    """

    values: NDArray[np.int64]
    blob: bytes


class KeyHolder:
    """Opens sealed sums and nothing else.

    Args:
        secret: the federation's secret key.
        journal: folder in which opened rounds are remembered, made when missing. It must
            outlive the process, be backed up with the key, and never be shared by two keys.
        fetch: update digest to blob; from anywhere, for what it returns is checked.
        value_limit: largest magnitude of one contributor's integer, from the federation's
            configuration (`ParameterSet.value_limit` of encryption.max_contributors).
    """

    def __init__(
        self,
        secret: Opener,
        journal: Path,
        fetch: Callable[[bytes], bytes],
        *,
        value_limit: int,
    ) -> None:
        self._secret = secret
        self._value_limit = value_limit
        self._journal = Journal(journal)
        self._fetch = fetch

    def __repr__(self) -> str:
        return f"KeyHolder({self._secret!r}, {self._journal!r})"

    def open(self, sealed: SealedRound) -> OpenedSum:
        """Recomputes the sum of a sealed list and opens it.

        Guarantees:
            what is decrypted is the sum that this process computed from ciphertexts whose
            digests the chain sealed, and nothing else;
            for one round at most one list is ever opened, over restarts and by several
            processes at once: it is on disk before anything is decrypted;
            asked again for the same list, it gives the same bytes;
            a refusal leaves no entry, so that the right list can still be opened; except
            ForgedUpdate, which is found after decrypting and holds for ever.

        | sealed | refused with |
        |---|---|
        | no sum digest, or an empty list | NotSealed |
        | another key, or a key that served another federation | WrongEncryptionKey |
        | fewer updates than min_contributors (or than 2) | TooFewContributors |
        | more than the parameter set can add | TooManyContributors |
        | this round was opened with another list or sum | AlreadyOpened |
        | an update that is missing, malformed or not of its digest | UpdateMismatch |
        | an address twice; a ciphertext twice, in this round or an earlier one | DuplicateUpdate |
        | a sum that is not the sum of the list, such as a single update | SumMismatch |
        | a sum that opens to more than value_limit a contributor | ForgedUpdate |
        """
        self._check_list(sealed)
        self._journal.check(sealed.context, self._key(), sealed.sum_digest, sealed.updates)
        blob, fingerprints = self._add(sealed)
        if digests.sum_digest(sealed.context, blob) != sealed.sum_digest:
            raise SumMismatch(
                f"round {sealed.context.round}: the sum of the sealed updates has digest "
                f"{digests.sum_digest(sealed.context, blob).hex()}, the chain names "
                f"{sealed.sum_digest.hex()}: not opened; cancel the round"
            )
        self._journal.record(
            sealed.context, self._key(), sealed.sum_digest, sealed.updates, fingerprints
        )
        values = self._secret.decrypt(blob)
        if np.abs(values).max() > len(sealed.updates) * self._value_limit:
            # The values are not shown: they may be the key's.
            raise ForgedUpdate(
                f"round {sealed.context.round} opens to more than {self._value_limit} a "
                "contributor: one of them encrypted something else than an update; cancel "
                "the round"
            )
        return OpenedSum(values=values, blob=opened_to_blob(values))

    def opened(self, context: RoundContext) -> frozenset[int]:
        """The rounds of the context's federation that this key holder ever opened."""
        return self._journal.rounds(context)

    def _key(self) -> bytes:
        return self._secret.public_key_digest

    def _check_list(self, sealed: SealedRound) -> None:
        number, updates = sealed.context.round, sealed.updates
        if len(sealed.sum_digest) != DIGEST_BYTES or not any(sealed.sum_digest) or not updates:
            raise NotSealed(f"round {number} has no sealed sum: seal it on chain first")
        if sealed.encryption_key_digest != self._key():
            raise WrongEncryptionKey(
                f"round {number} is encrypted under key {sealed.encryption_key_digest.hex()}, "
                f"this key holder opens {self._key().hex()}: give the federation's key"
            )
        least = max(LEAST_CONTRIBUTORS, sealed.min_contributors)
        if len(updates) < least:
            raise TooFewContributors(
                f"round {number} has {len(updates)} updates: at least {least} are needed to "
                "hide each one; cancel the round"
            )
        most = self._secret.parameters.max_contributors
        if len(updates) > most:
            raise TooManyContributors(
                f"round {number} has {len(updates)} updates: {self._secret.parameters.id} adds "
                f"at most {most}; cancel the round"
            )
        addresses = {address.lower() for address, _ in updates}
        if len(addresses) < len(updates):
            raise DuplicateUpdate(f"round {number} lists one contributor twice: not opened")

    def _add(self, sealed: SealedRound) -> tuple[bytes, list[str]]:
        """Fetches, checks and adds the listed updates; the sum, and a mark of each update."""
        accumulator = SumAccumulator(self._secret.parameters)
        seen: dict[bytes, str] = {}
        fingerprints: list[str] = []
        for address, digest in sealed.updates:
            blob = fetch_update(self._fetch, sealed.context, address, digest)
            try:
                ciphertexts = wire.open_blob(blob, self._secret.parameters)
                marks = [_mark(ciphertexts, block) for block in range(len(ciphertexts))]
                for mark in marks:
                    if mark in seen:
                        raise DuplicateUpdate(
                            f"{address} and {seen[mark]} sent the same ciphertext in round "
                            f"{sealed.context.round}: not opened; cancel the round"
                        )
                    seen[mark] = address
                accumulator.add(blob)
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


def fetch_update(
    fetch: Callable[[bytes], bytes], context: RoundContext, address: str, digest: bytes
) -> bytes:
    """An update's blob, from anywhere, checked against the digest that the chain names.

    Raises:
        UpdateMismatch: it cannot be had, or is another one.
    """
    try:
        blob = fetch(digest)
    except BlobMissing as error:
        raise UpdateMismatch(
            f"the update of {address} in round {context.round} cannot be had: {error}"
        ) from error
    found = digests.update_digest(context, address, blob)
    if found != digest:
        raise UpdateMismatch(
            f"the update of {address} in round {context.round} has digest {found.hex()}, "
            f"the chain names {digest.hex()}: fetch it again from another copy"
        )
    return blob


def update_marks(blob: bytes, parameters: ParameterSet) -> list[bytes]:
    """The marks by which copies of ciphertexts are known, one a ciphertext of a blob.

    A coordinator that drops an update of which a mark was seen before is not refused for it.

    Raises:
        MalformedError: header or length are wrong.
    """
    ciphertexts = wire.open_blob(blob, parameters)
    return [_mark(ciphertexts, block) for block in range(len(ciphertexts))]


def first_mark(start: bytes, parameters: ParameterSet) -> bytes:
    """The first of `update_marks`, from the first `mark_bytes` of a blob of that set.

    It is what a key holder remembers of a round that it opened.

    Raises:
        MalformedError: they are the start of something else.
    """
    set_number, _, body = wire.read_header(start, wire.CIPHERTEXTS)
    wire.known_set(set_number, parameters)
    packed = body[: parameters.bytes_per_ciphertext]
    return blake2b(packed[len(packed) // 2 :], digest_size=DIGEST_BYTES).digest()


def mark_bytes(parameters: ParameterSet) -> int:
    """How much of a blob `first_mark` needs."""
    return wire.HEADER_BYTES + parameters.bytes_per_ciphertext


def _mark(ciphertexts: wire.Ciphertexts, block: int) -> bytes:
    """A mark of a ciphertext's c1: fresh at every encryption, unchanged if c0 is altered."""
    packed = ciphertexts.packed(block)
    return blake2b(packed[len(packed) // 2 :], digest_size=DIGEST_BYTES).digest()


def opened_to_blob(values: NDArray[np.int64]) -> bytes:
    """The canonical form of an opened sum int64[v]: header, then int32 little-endian.

    Raises:
        RoundError: for no values, another dtype, or values that no lane could hold.
    """
    if values.dtype != np.int64 or values.ndim != 1 or values.size == 0:
        raise RoundError(f"an opened sum is int64[v], not {values.dtype}{values.shape}")
    narrow = values.astype("<i4")
    if (narrow != values).any():
        raise RoundError("an opened sum does not fit 32 bits: it comes of no parameter set")
    return wire.header(wire.OPENED, 0, values.size) + narrow.tobytes()


def opened_from_blob(blob: bytes) -> NDArray[np.int64]:
    """The values int64[v] of an opened sum's canonical form.

    Raises:
        MalformedError: for anything that `opened_to_blob` does not write.
    """
    set_number, values, body = wire.read_header(blob, wire.OPENED)
    if set_number != 0 or values < 1:
        raise MalformedError(f"an opened sum with set number {set_number} and {values} values")
    if len(body) != values * _VALUE_BYTES:
        raise MalformedError(
            f"{values} values take {values * _VALUE_BYTES} bytes, the blob has {len(body)}"
        )
    return np.frombuffer(body, dtype="<i4").astype(np.int64)
