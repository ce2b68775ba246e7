"""Which scalars of a single update a key holder opens, and which it refuses.

An update is judged by inner products with public vectors. Each is a linear equation about one
contributor's update, so that enough of them are the update itself: a key holder opens a fixed
number a round, of vectors that it derives from the chain by itself, once, and remembers it.

With a single key holder this binds the coordinator alone: who has the key can read every update.

| what is asked | refused with |
|---|---|
| another key's round, or federation | WrongEncryptionKey |
| an empty list | NotSealed |
| vectors or a list other than those that this round was opened for | AlreadyOpened |
| more scalars than the budget has left | ScalarBudget |
| an update that the store does not hold | UpdateMissing |
| an update that is malformed or not of its digest | UpdateMismatch |
| an address twice, a ciphertext twice | DuplicateUpdate |

An update whose scalar is none that an honest one can have is not given out: its entry is empty.
That does not stop a forger: (0, q/t) is an encryption of the key, whose coefficients are -1, 0
and 1, in range, so that each of its scalars is a linear equation about the key. The budget bounds
how many one account gets, not how many accounts ask.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from eth_utils.crypto import keccak
from numpy.typing import NDArray

from ddcai.digests import RoundContext, tag
from ddcai.encryption import updates
from ddcai.encryption.blur import gaussian
from ddcai.encryption.journal import Journal
from ddcai.encryption.parameters import ParameterSet
from ddcai.encryption.sealed import Allowance, fetch_update
from ddcai.encryption.updates import AnySet
from ddcai.errors import (
    DuplicateUpdate,
    ForgedUpdate,
    MalformedError,
    NotSealed,
    ScalarBudget,
    UpdateMismatch,
    WrongEncryptionKey,
)


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What the chain says of updates whose scalars are wanted.

    Attributes:
        context: chain, contract and round.
        updates: (contributor's address, update digest) of the committed list, in its order.
        values: how many integers each update has.
        encryption_key_digest: of the federation's public key.
    """

    context: RoundContext
    updates: tuple[tuple[str, bytes], ...]
    values: int
    encryption_key_digest: bytes


@dataclass(frozen=True, eq=False, kw_only=True)
class Vectors:
    """Public vectors, derived by whoever opens.

    Attributes:
        lane: of all positions.
        positions: among an update's values, int64[m], ascending.
        rows: int8[k, m].
    """

    lane: int
    positions: NDArray[np.int64]
    rows: NDArray[np.int8]

    def digest(self) -> bytes:
        """32 bytes, by which a journal knows them again."""
        shape = np.array([self.lane, *self.rows.shape], "<i8").tobytes()
        body = self.positions.astype("<i8").tobytes() + self.rows.tobytes()
        return keccak(tag("vectors") + shape + body)


class LinearOpener(Protocol):
    """What a key holder's key can do for this."""

    @property
    def parameters(self) -> ParameterSet:
        """The parameter set."""

    @property
    def public_key_digest(self) -> bytes:
        """32 bytes that name the matching public key."""

    def inner_products(
        self, blob: bytes, lane: int, positions: NDArray[np.int64], vectors: NDArray[np.int8]
    ) -> NDArray[np.int64]:
        """Inner products, int64[k]. To be called here alone."""

    def derive(self, message: bytes) -> bytes:
        """32 bytes that the key holder alone can make of a message."""


class ScalarRules:
    """Which updates' scalars may be opened, whatever the key: one set a round and purpose.

    Args:
        parameters: the key's.
        public_key_digest: the key's, as the contract holds it.
        journal: folder in which openings of this purpose are remembered, made when missing;
            as dear as the key holder's journal of sums.
        fetch: update digest to blob; from anywhere, for what it returns is checked.
        budget: scalars of one contributor that may ever be opened.
        beside: journals of other purposes and keys, whose scalars count as well.
        allowance: how much the key may open, where that is bounded; none of the compact scheme.
    """

    def __init__(
        self,
        parameters: AnySet,
        public_key_digest: bytes,
        journal: Path,
        fetch: Callable[[bytes], bytes],
        *,
        budget: int,
        beside: Sequence[Path] = (),
        allowance: Allowance | None = None,
    ) -> None:
        self._parameters, self._key, self._fetch = parameters, public_key_digest, fetch
        self._allowance = allowance
        self._journal, self._beside = Journal(journal), [Journal(one) for one in beside]
        self._budget = budget

    def __repr__(self) -> str:
        return f"ScalarRules({self._parameters.id}, {self._journal!r}, budget={self._budget})"

    def admit(self, committed: Committed, vectors: Vectors) -> dict[str, bytes]:
        """The committed updates by contributor, checked; the round is on disk as opened.

        Guarantees:
            for one round it admits at most one list and one set of vectors, over restarts and
            by several processes at once; the same, asked again;
            a refusal leaves no entry.

        Raises:
            OpeningRefused: as the table of this module says.
        """
        context = committed.context
        self._check(committed)
        digest, scalars = vectors.digest(), len(vectors.rows)
        self._journal.check(context, self._key, digest, committed.updates)
        spent = self._journal.scalars_elsewhere(context)
        spent += sum(one.scalars_in_all(context) for one in self._beside)
        if spent + scalars > self._budget:
            raise ScalarBudget(
                f"round {context.round} asks for {scalars} scalars of each update; {spent} were "
                f"opened before, and the budget is {self._budget}: raise it in the key "
                "holder's settings, or end the federation"
            )
        blobs = self._collect(committed)
        spent_on = 0
        if self._allowance is not None:
            assert isinstance(self._parameters, ParameterSet)  # of a key that lasts
            one = self._allowance.scalars(scalars, self._parameters.ciphertexts(committed.values))
            spent_on = math.ceil(len(blobs) * one)
            self._allowance.check(self._journal, context, spent_on)
        self._journal.record(context, self._key, digest, committed.updates, [], scalars, spent_on)
        return blobs

    def _check(self, committed: Committed) -> None:
        number, updates = committed.context.round, committed.updates
        if not updates:
            raise NotSealed(f"round {number} has no committed update: commit the list first")
        if committed.encryption_key_digest != self._key:
            raise WrongEncryptionKey(
                f"round {number} is encrypted under key {committed.encryption_key_digest.hex()}, "
                f"this key holder opens {self._key.hex()}: give the "
                "federation's key"
            )
        if len({address.lower() for address, _ in updates}) < len(updates):
            raise DuplicateUpdate(f"round {number} lists one contributor twice: not opened")

    def _collect(self, committed: Committed) -> dict[str, bytes]:
        """The listed updates, checked; no ciphertext stands twice among them."""
        blobs: dict[str, bytes] = {}
        seen: dict[bytes, str] = {}
        for address, digest in committed.updates:
            blob = fetch_update(self._fetch, committed.context, address, digest)
            try:
                updates.check(blob, self._parameters, committed.values)
            except MalformedError as error:
                raise UpdateMismatch(
                    f"the update of {address} in round {committed.context.round} is malformed: "
                    f"{error}"
                ) from error
            for mark in updates.marks(blob, self._parameters):
                if mark in seen:
                    raise DuplicateUpdate(
                        f"{address} and {seen[mark]} sent the same ciphertext in round "
                        f"{committed.context.round}: not opened; cancel the round"
                    )
                seen[mark] = address
            blobs[address] = blob
        return blobs


def told(
    open_: Callable[[], NDArray[np.int64]],
    committed: Committed,
    address: str,
    vectors: Vectors,
    value_limit: int,
    deviation: float,
    derive: Callable[[bytes], bytes],
) -> tuple[int, ...]:
    """What is told of one update's scalars: nothing where no honest one can have them.

    Args:
        open_: gives its inner products int64[k]. Raises ForgedUpdate where it is none of an update.
        value_limit: largest magnitude of one contributor's integer.
        deviation: as `ScalarOpener.open`.
        derive: 32 bytes that the key's holders alone can make of a message.
    """
    try:
        found = open_()
    except ForgedUpdate:
        return ()
    most = value_limit * np.abs(vectors.rows.astype(np.int64)).sum(axis=1)
    if (np.abs(found) > most).any():
        return ()
    if deviation:
        lengths = np.sqrt((vectors.rows.astype(np.float64) ** 2).sum(axis=1))
        update = dict(committed.updates)[address]
        about = committed.context.words() + vectors.digest() + update
        found = found + gaussian(derive(tag("opening-noise") + about), lengths * deviation)
    return tuple(int(one) for one in found)


class ScalarOpener:
    """A single key holder: opens the scalars of committed updates.

    Args:
        secret: the federation's secret key.
        journal, fetch, budget, beside: as `ScalarRules`.
        value_limit: largest magnitude of one contributor's integer.
    """

    def __init__(
        self,
        secret: LinearOpener,
        journal: Path,
        fetch: Callable[[bytes], bytes],
        *,
        value_limit: int,
        budget: int,
        beside: Sequence[Path] = (),
    ) -> None:
        self._secret, self._value_limit = secret, value_limit
        self._rules = ScalarRules(
            secret.parameters,
            secret.public_key_digest,
            journal,
            fetch,
            budget=budget,
            beside=beside,
        )

    def __repr__(self) -> str:
        return f"ScalarOpener({self._secret!r}, {self._rules!r})"

    def open(
        self, committed: Committed, vectors: Vectors, deviation: float = 0.0
    ) -> Mapping[str, tuple[int, ...]]:
        """Inner products of each committed update with the vectors, by contributor.

        Args:
            committed: the updates.
            vectors: what is looked at.
            deviation: standard deviation of Gaussian noise on each scalar, for each unit of its
                vector's length.

        Guarantees:
            what is opened are inner products with these vectors of what `ScalarRules.admit`
            gives, and nothing else;
            asked again for the same, it gives the same;
            nothing for an update with a product that no honest one can have.
        """
        opened: dict[str, tuple[int, ...]] = {}
        for address, blob in self._rules.admit(committed, vectors).items():
            opened[address] = told(
                partial(
                    self._secret.inner_products,
                    blob,
                    vectors.lane,
                    vectors.positions,
                    vectors.rows,
                ),
                committed,
                address,
                vectors,
                self._value_limit,
                deviation,
                self._secret.derive,
            )
        return opened
