"""One claim that an audit makes about a federation, and how it turned out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

CONFIG = "configuration matches its digest"
ENCRYPTION_KEY = "encryption key matches its digest"
INITIAL_MODEL = "initial model matches its digest"
POSSESSION = "registered keys prove possession"
ROUND_CHAIN = "rounds form one chain"
UPDATES = "updates match their digests"
SUM = "sum equals the sealed updates"
SUM_BLOB = "sum matches its digest"
OPENED = "opened sum matches its digest"
OPENING = "key holder signed the opened sum"
MODEL = "model follows from base and opened sum"
MODEL_BLOB = "model blob matches its digest"
QUORUM = "quorum signed the result"
HEAD = "head on chain equals the model's last layer"
RELEASES = "head makes releases by the configuration"
MONEY = "money is conserved"
SOLVENT = "contract holds what it owes"
# Of a federation whose updates are judged.
ROOT_SET = "root set matches its commitment"
COMMITTED = "committed list matches its digest"
DRAW = "randomness is the draw block's"
SCORES_BLOB = "scores match their digest"
SCORES = "scores follow from opened scalars"
ACCEPTED = "sealed list is whom the gate accepted"
VERDICT_BLOB = "verdict matches its digest"
VERDICT = "verdict follows from opened scalars"
OUTCOME = "deposits and points are the verdict's"
VERDICT_QUORUM = "quorum signed the verdict"
WINDOW_MONEY = "money of windows is conserved"
WINDOW_SOLVENT = "assessment holds what it owes"

# In the order in which an audit makes them; the names are part of the interface.
NAMES = (
    CONFIG,
    ENCRYPTION_KEY,
    INITIAL_MODEL,
    POSSESSION,
    ROUND_CHAIN,
    UPDATES,
    SUM,
    SUM_BLOB,
    OPENED,
    OPENING,
    MODEL,
    MODEL_BLOB,
    QUORUM,
    HEAD,
    RELEASES,
    MONEY,
    SOLVENT,
)
# The further claims about a federation with an assessment, likewise.
ASSESSED = (
    ROOT_SET,
    COMMITTED,
    DRAW,
    SCORES_BLOB,
    SCORES,
    ACCEPTED,
    VERDICT_BLOB,
    VERDICT,
    OUTCOME,
    VERDICT_QUORUM,
    WINDOW_MONEY,
    WINDOW_SOLVENT,
)


class Status(StrEnum):
    """How a claim turned out.

    SKIPPED: neither shown nor refuted, because something that it needs failed a claim of its
    own (which is reported) or cannot be had from the chain; `Claim.found` says what.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One line of an audit.

    Attributes:
        name: one of `NAMES` or `ASSESSED`.
        status: how it turned out.
        round: the round that it is about; None for the federation or a window.
        window: the window that it is about; None for the federation or a round.
        subject: the account that it is about; empty where it is about none.
        expected, found: the two values that were compared, as text; digests as 0x and hex.
            ``found`` is ``missing`` for a blob that the store does not hold.
    """

    name: str
    status: Status
    round: int | None = None
    window: int | None = None
    subject: str = ""
    expected: str
    found: str

    @property
    def where(self) -> str:
        """What it is about, as a line begins: ``round 2: `` or ``window 1: ``; empty for all."""
        for name, number in (("round", self.round), ("window", self.window)):
            if number is not None:
                return f"{name} {number}: "
        return ""

    @property
    def passed(self) -> bool:
        """Whether the claim was shown to hold."""
        return self.status is Status.PASS


def compare(
    name: str,
    expected: str,
    found: str,
    *,
    round_: int | None = None,
    window: int | None = None,
    subject: str = "",
) -> Claim:
    """A claim that two values are equal."""
    holds = expected == found
    return judged(name, holds, expected, found, round_=round_, window=window, subject=subject)


def judged(
    name: str,
    holds: bool,
    expected: str,
    found: str,
    *,
    round_: int | None = None,
    window: int | None = None,
    subject: str = "",
) -> Claim:
    """A claim that was evaluated."""
    return Claim(
        name=name,
        status=Status.PASS if holds else Status.FAIL,
        round=round_,
        window=window,
        subject=subject,
        expected=expected,
        found=found,
    )


def skipped(
    name: str,
    expected: str,
    why: str,
    *,
    round_: int | None = None,
    window: int | None = None,
    subject: str = "",
) -> Claim:
    """A claim that could not be evaluated."""
    return Claim(
        name=name,
        status=Status.SKIPPED,
        round=round_,
        window=window,
        subject=subject,
        expected=expected,
        found=f"not checked: {why}",
    )


def all_hold(claims: Iterable[Claim]) -> bool:
    """Whether no claim failed. A skipped one does not fail: what it lacked did, or nothing did."""
    return all(claim.status is not Status.FAIL for claim in claims)
