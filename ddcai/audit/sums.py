"""Re-adding a round's ciphertexts, as whoever seals, opens or audits a round can."""

from __future__ import annotations

from functools import partial

from ddcai import digests
from ddcai.audit import claims
from ddcai.audit.claims import Claim, compare, judged, skipped
from ddcai.audit.history import History, RoundHistory, Sealing
from ddcai.encryption.opening import update_marks
from ddcai.encryption.summation import SumAccumulator
from ddcai.encryption.wire import open_blob
from ddcai.errors import DdcaiError, RoundError


class Addition:
    """A sum under way: what was added, what could not be had, and what is wrong with the rest.

    Args:
        accumulator: empty.
        seen: whose each ciphertext is, of earlier rounds too; added to.
    """

    def __init__(self, accumulator: SumAccumulator, seen: dict[bytes, str]) -> None:
        self._accumulator, self._seen = accumulator, seen
        self._absent: list[str] = []
        self._faults: list[str] = []

    def add(self, update: str, blob: bytes | None) -> None:
        """Adds an update, named for people; None for one that cannot be had."""
        if blob is None:
            self._absent.append(update)
            return
        try:
            marks = update_marks(blob, open_blob(blob).parameters)
            owners = {self._seen.setdefault(mark, update) for mark in marks} - {update}
            self._faults += [f"{update}: a copy of that of {owner}" for owner in sorted(owners)]
            self._accumulator.add(blob)
        except DdcaiError as error:
            self._faults.append(f"{update}: {error}")

    def check(self, history: History, round_: RoundHistory, sealing: Sealing) -> Claim:
        """That the sealed sum is the sum of enough updates, each committed and there once.

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
        try:
            blob = self._accumulator.to_blob()
        except RoundError as error:
            return judge(False, expected, str(error))
        found = digests.sum_digest(history.context(round_.number), blob)
        return compare(claims.SUM, expected, "0x" + found.hex(), round_=round_.number)
