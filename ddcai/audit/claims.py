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
# Of groups, whose updates are sums (`ddcai.audit.groups`).
GROUP_LIST = "group's list matches its digest"
GROUP_ROOT = "group's list has the posted root and count"
GROUP_SIZE = "group has no more contributors than planned"
GROUP_SIGNED = "contributors signed for their group"
GROUP_UPDATES = "updates of a group match their digests"
GROUP_SUM = "group's update is the sum of its list"
GROUP_ONCE = "no contributor counts twice"

# What is found in the place of a blob that the store does not hold.
ABSENT = "missing"

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
# The claims about a round's groups, likewise.
GROUPED = (
    GROUP_LIST,
    GROUP_ROOT,
    GROUP_SIZE,
    GROUP_SIGNED,
    GROUP_UPDATES,
    GROUP_SUM,
    GROUP_ONCE,
)


class Status(StrEnum):
    """How a claim turned out.

    FAIL: it is refuted.
    MISSING: the store does not hold a blob that it is about, so that it is neither shown nor
    refuted: whoever has the blob can put it there.
    SKIPPED: likewise, because something that it needs has failed or is missing by a claim of its
    own, or cannot be had from the chain; `Claim.found` says what.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    MISSING = "MISSING"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One line of an audit.

    Attributes:
        name: one of `NAMES`, `ASSESSED` or `GROUPED`.
        status: how it turned out.
        round: the round that it is about; None for the federation or a window.
        window: the window that it is about; None for the federation or a round.
        subject: the account, or the key's epoch, that it is about; empty where it is about none.
        expected, found: the two values that were compared, as text; digests as 0x and hex.
            ``found`` begins with ``missing`` where the store does not hold a blob.
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


def missing(
    name: str,
    expected: str,
    *,
    what: str = "",
    round_: int | None = None,
    window: int | None = None,
    subject: str = "",
) -> Claim:
    """A claim about a blob that the store does not hold; `what` says which, if not its own."""
    return Claim(
        name=name,
        status=Status.MISSING,
        round=round_,
        window=window,
        subject=subject,
        expected=expected,
        found=f"{ABSENT}: {what}" if what else ABSENT,
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


def verdict(statuses: Iterable[Status]) -> Status:
    """What an audit comes to: FAIL if any claim failed, else MISSING if any blob was, else PASS.

    A skipped claim counts for nothing: what it lacked has a claim of its own, or nothing failed.
    """
    found = set(statuses)
    return next((one for one in (Status.FAIL, Status.MISSING) if one in found), Status.PASS)


def all_hold(claims: Iterable[Claim]) -> bool:
    """Whether no claim failed, and no blob was missing."""
    return verdict(claim.status for claim in claims) is Status.PASS
