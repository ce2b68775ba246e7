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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ddcai.digests import RoundContext
from ddcai.encryption import wire
from ddcai.encryption.scheme import Opener
from ddcai.encryption.sealed import SealedRound, SealedSums
from ddcai.errors import ForgedUpdate, MalformedError, RoundError

_VALUE_BYTES = 4


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
    """A single key holder: opens sealed sums and nothing else.

    Args:
        secret: the federation's secret key.
        journal, fetch: as `SealedSums`.
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
        self._sums = SealedSums(secret.parameters, secret.public_key_digest, journal, fetch)

    def __repr__(self) -> str:
        return f"KeyHolder({self._secret!r}, {self._sums!r})"

    def open(self, sealed: SealedRound) -> OpenedSum:
        """Opens the sum that `SealedSums.recompute` gives; asked again, the same bytes.

        Raises:
            OpeningRefused: in all its cases.
            ForgedUpdate: the sum opens to more than value_limit a contributor. That is found
                after decrypting, and holds for ever.
        """
        values = self._secret.decrypt(self._sums.recompute(sealed))
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
        return self._sums.opened(context)


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
