"""What the chain says of the contract that judges updates: its events and reads, once.

Part of a `ddcai.audit.history.History`. The events are kept in their order: what the bounty pool
had when a verdict came depends on all that was before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

from ddcai.audit.stored import Grouped
from ddcai.chain.assessment import WindowRecord
from ddcai.chain.records import WindowRules

if TYPE_CHECKING:
    from ddcai.audit.history import Step


@dataclass(frozen=True, kw_only=True)
class PostedVerdict:
    """A window's verdict, or what replaced it after a dispute, as the contract took it.

    Attributes:
        attempt: 0; 1 for the one that settled a dispute.
        scores_digest: of the document that it follows from.
        agreed: member indices whose deposits come back, ascending.
        points: one for each.
        agreed_words: the bitmap of `agreed` as it was sent, and signed.
        signers, signature: the quorum's, from the transaction's input; None where another
            contract sent it.
    """

    attempt: int
    scores_digest: bytes
    agreed: tuple[int, ...]
    points: tuple[int, ...]
    agreed_words: tuple[int, ...]
    signers: tuple[int, ...] | None
    signature: bytes | None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One event of the contract.

    Attributes:
        name: the event's, as in ``IAssessment``.
        window: that it is about; None for the pool and for what bonds brought.
        account: who paid or was paid; empty where nobody was.
        amount_wei: what moved, or the pot that a verdict made; 0 where the rules alone say it.
        round, updates: of a round that was handed over.
        verdict: of one that was posted, or settled a dispute.
        right: indices of disputers that were right, by the event.
    """

    name: str
    step: Step
    window: int | None = None
    account: str = ""
    amount_wei: int = 0
    round: int = 0
    updates: int = 0
    verdict: PostedVerdict | None = None
    right: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MemberStanding:
    """One member in one window, as the contract has it now.

    Attributes:
        updates: deposits in the window.
        agreed, points: by the verdict; False and 0 before.
        refund_wei, take_wei: what `claim` would pay now.
    """

    updates: int
    agreed: bool
    points: int
    refund_wei: int
    take_wei: int


@dataclass(frozen=True, kw_only=True)
class AssessmentHistory:
    """The contract that judges, at one moment.

    Attributes:
        entries: its events, in their order; of many, as `ddcai.audit.stored` has them, like
            windows and members.
        windows: as the contract has them, by number from 1.
        members: of each window, everybody with an update in it, by member index.
        owed_wei: by account, what `withdraw` would pay; zeros are left out.
    """

    address: str
    rules: WindowRules
    entries: Sequence[Entry]
    windows: Sequence[WindowRecord]
    members: Sequence[Mapping[int, MemberStanding]]
    pool_wei: int
    owed_wei: Mapping[str, int]
    balance_wei: int

    def of(self, window: int, *names: str) -> tuple[Entry, ...]:
        """A window's events of these names."""
        found = (self.entries[place] for place in self._places.of(window))
        return tuple(one for one in found if one.name in names)

    def verdicts(self, window: int) -> tuple[tuple[PostedVerdict, Step], ...]:
        """The verdict of a window, and then what replaced it."""
        found = self.of(window, "VerdictPosted", "DisputeResolved")
        return tuple((one.verdict, one.step) for one in found if one.verdict is not None)

    def standings(self, window: int) -> Mapping[int, MemberStanding]:
        """Everybody with an update in a window, by member index."""
        return self.members[window - 1] if 0 < window <= len(self.members) else {}

    @cached_property
    def _places(self) -> Grouped:
        """Of entries, by window."""
        return Grouped(
            (one.window, place) for place, one in enumerate(self.entries) if one.window is not None
        )

    def __getstate__(self) -> dict[str, object]:
        """The facts alone: another process finds the places itself."""
        return {one.name: getattr(self, one.name) for one in fields(self)}
