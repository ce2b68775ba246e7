"""Rows about judged rounds and windows; as in `ddcai.audit.ledger.rows`.

Scores are of the documents whose digests are on chain, as they say themselves: whether these
follow from the opened scalars is what `ddcai.audit.verify` checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One committed update of a judged round.

    Attributes:
        size: estimate of its length over the bound that it is held against; above 1 it is refused.
        length: that estimate, in integer steps.
        anchor: cosine with the root set's update, or with past movement, -1 to 1.
        replay: share of its energy that repeats past movement.
        standing: decaying mean of the contributor's anchor scores, after the round.
        accepted: by the document; None where it cannot be had.
        reason: why it was refused (`ddcai.audit.judged.reason`), or ``missing`` or ``unusable``
            of the document; None where it was accepted.
        sealed: whether it is in the sum, by the chain.

    The scores are None where nothing was opened.
    """

    round: int
    account: str
    size: float | None
    length: float | None
    anchor: float | None
    replay: float | None
    standing: float | None
    accepted: bool | None
    reason: str | None
    sealed: bool


@dataclass(frozen=True, kw_only=True)
class VerdictRow:
    """One member in one window.

    Attributes:
        state: filling, full, lapsed, judged, disputed, fallen or standing.
        dispute_until: the last moment to dispute; None before a verdict.
        updates: deposits in the window.
        agreed: whether they come back, by the chain; None before a verdict.
        points: its weight in the pot, by the chain.
        judged: in how many of the window's judged rounds it was; this and what follows by the
            document, None or empty where that cannot be had.
        size, anchor, movement, replay: means that it was judged by.
        failed: the tests that it failed.
        disputed: whether it disputed the verdict.
    """

    window: int
    state: str
    dispute_until: datetime | None
    account: str
    updates: int
    agreed: bool | None
    points: int
    judged: int | None
    size: float | None
    anchor: float | None
    movement: float | None
    replay: float | None
    failed: tuple[str, ...]
    disputed: bool


@dataclass(frozen=True, kw_only=True)
class PayoutRow:
    """One account in one window; or (window None) what bonds brought it, in all windows; or
    (account ``all``) everybody.

    Attributes:
        deposited_wei: its deposits in the window.
        refunded_wei: of them, what it took back.
        forfeited_wei: of them, what went into the pot.
        taken_wei: of the pot, its share, or what it swept.
        bonds_wei, released_wei: bonds that it paid, and what bonds put on its account.
        withdrawn_wei: of that, what it took.
        claimable_wei: what it may take now.
    """

    window: int | None
    account: str
    deposited_wei: int = 0
    refunded_wei: int = 0
    forfeited_wei: int = 0
    taken_wei: int = 0
    bonds_wei: int = 0
    released_wei: int = 0
    withdrawn_wei: int = 0
    claimable_wei: int = 0
