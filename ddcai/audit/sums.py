"""Re-adding a round's ciphertexts, as whoever seals, opens or audits a round can."""

from __future__ import annotations

from functools import partial

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.claims import Claim, compare, judged, skipped
from ddcai.audit.history import History, RoundHistory, Sealing
from ddcai.encryption import updates
from ddcai.encryption.updates import Accumulator, AnySet
from ddcai.errors import DdcaiError, RoundError

# Of each update, named for people, what copies of it have in common with it.
Marks = tuple[tuple[str, tuple[bytes, ...]], ...]


class Addition:
    """A sum under way: what was added, what could not be had, and what is wrong with the rest.

    Args:
        parameters: of the federation; None where it is not known: the first update's.
        values: how many integers each update has, as far as that is known.

    Attributes:
        marks: of the updates that were added; a mark that two have makes a copy
            (`ddcai.audit.journal`).
    """

    def __init__(self, parameters: AnySet | None, values: int | None) -> None:
        self._parameters, self._values = parameters, values
        self.marks: Marks = ()
        self._accumulator: Accumulator | None = None
        self._absent: list[str] = []
        self._faults: list[str] = []

    def add(self, update: str, blob: bytes | None) -> None:
        """Adds an update, named for people; None for one that cannot be had."""
        if blob is None:
            self._absent.append(update)
            return
        try:
            if self._parameters is None:
                self._parameters = updates.set_of(blob)
            if self._accumulator is None:
                self._accumulator = updates.accumulator(self._parameters, self._values)
            self.marks += ((update, tuple(updates.marks(blob, self._parameters))),)
            self._accumulator.add(blob)
        except DdcaiError as error:
            self._faults.append(f"{update}: {error}")

    def check(self, history: History, round_: RoundHistory, sealing: Sealing) -> Claim:
        """That the sealed sum is the sum of enough updates, each committed.

        Skipped where an update cannot be had: that is a claim of its own.
        """
        judge = partial(judged, claims.SUM, round_=round_.number)
        listed, minimum = len(sealing.indices), history.rules.min_contributors
        if listed < minimum:
            return judge(False, f"at least {minimum} contributors", str(listed))
        if len(round_.sealed) != listed:
            return judge(False, f"{listed} committed updates", str(len(round_.sealed)))
        expected = "0x" + sealing.sum_digest.hex()
        if self._faults:
            return judge(False, expected, "; ".join(self._faults))
        if self._absent:
            why = f"missing or damaged: {', '.join(self._absent)}"
            return skipped(claims.SUM, expected, why, round_=round_.number)
        assert self._accumulator is not None  # something was added
        try:
            blob = self._accumulator.to_blob()
        except RoundError as error:
            return judge(False, expected, str(error))
        found = digests.sum_digest(history.context(round_.number), blob)
        return compare(claims.SUM, expected, "0x" + found.hex(), round_=round_.number)
