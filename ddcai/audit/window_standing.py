"""Where windows of judged rounds stand, and what can be claimed of them: from the chain alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ddcai.chain.assessment import Assessment, WindowRecord, WindowState
from ddcai.chain.records import WindowRules

_PAYING = (WindowState.STANDING, WindowState.LAPSED)


@dataclass(frozen=True, kw_only=True)
class WindowStanding:
    """One window of which something is still to come.

    Attributes:
        state: filling, full, lapsed, judged, disputed, fallen or standing.
        rounds: in it, ascending.
        updates: deposits in it.
        disputes: how many members disputed its verdict.
        step: what it waits for, in words.
        until: the last moment for that; None where there is none.
        claimable_wei, claimants: what members could claim now, and how many of them.
    """

    number: int
    state: str
    rounds: tuple[int, ...]
    updates: int
    disputes: int
    step: str
    until: datetime | None
    claimable_wei: int
    claimants: int


class WindowStandings:
    """Reads of one federation's windows, one after the other.

    A window that is over, and of which everything was claimed, is not asked for again.
    """

    def __init__(self, assessment: Assessment) -> None:
        self._assessment, self._rules = assessment, assessment.rules()
        self._over: set[int] = set()

    def read(self, members: Sequence[str], now: int) -> tuple[WindowStanding, ...]:
        """Windows of which something is still to come, by number.

        Args:
            members: all accounts that ever joined.
            now: unix seconds of the last block.

        Raises:
            ChainError: the endpoint does not answer, or not as such a contract does.
        """
        found = []
        for number in range(1, self._assessment.window_count() + 1):
            if number in self._over:
                continue
            window = self._assessment.window(number)
            due = self._due(window, members)
            if window.state in _PAYING and not due and now > self._last_share_at(window):
                self._over.add(number)
            else:
                found.append(_standing(window, self._rules, due))
        return tuple(found)

    def _due(self, window: WindowRecord, members: Sequence[str]) -> list[int]:
        """What each member could claim; those that could nothing are left out."""
        if window.state not in _PAYING:
            return []
        found = self._assessment.claimable_by(window.number, members)
        return [own + share for own, share in found if own + share]

    def _last_share_at(self, window: WindowRecord) -> int:
        """No share of a pot falls due after this: a dispute ends by the end of its period."""
        if window.state is WindowState.LAPSED:
            return 0
        rules = self._rules
        return (
            window.judged_at + rules.dispute_period_s + rules.resolve_period_s + rules.take_wait_s
        )


def _standing(window: WindowRecord, rules: WindowRules, due: Sequence[int]) -> WindowStanding:
    step, until = _step(window, rules)
    return WindowStanding(
        number=window.number,
        state=window.state.name.lower(),
        rounds=window.rounds,
        updates=window.updates,
        disputes=window.disputes,
        step=step,
        until=None if until is None else datetime.fromtimestamp(until, UTC),
        claimable_wei=sum(due),
        claimants=len(due),
    )


def _step(window: WindowRecord, rules: WindowRules) -> tuple[str, int | None]:
    verdict_until = window.last_at + rules.verdict_period_s
    dispute_until = window.judged_at + rules.dispute_period_s
    match window.state:
        case WindowState.FILLING:
            return "rounds, or a verdict", verdict_until
        case WindowState.FULL:
            return "a verdict", verdict_until
        case WindowState.JUDGED:
            return "disputes, if any", dispute_until
        case WindowState.DISPUTED:
            return "a resolution", dispute_until + rules.resolve_period_s
        case WindowState.FALLEN:
            return "anyone to close the dispute", None
        case _:
            return "contributors to claim", None
