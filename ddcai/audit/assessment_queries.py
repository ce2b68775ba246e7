"""What became of judged rounds and windows, in rows (`ddcai.audit.assessment_rows`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ddcai import digests, strict_json
from ddcai.audit.assessment_rows import PayoutRow, ScoreRow, VerdictRow
from ddcai.audit.claims import ABSENT
from ddcai.audit.history import History, RoundHistory
from ddcai.audit.judged import reason
from ddcai.audit.window_ledger import Books, Ledger
from ddcai.audit.windows import AssessmentHistory, MemberStanding
from ddcai.chain.assessment import WindowRecord
from ddcai.errors import BlobMissing, ConfigurationError, DdcaiError, MalformedError
from ddcai.store import Store

_UNUSABLE = "unusable"
_MEANS = ("size", "anchor", "movement", "replay")
_Document = Mapping[str, Any]


class AssessmentQueries:
    """Answers about the judging of one federation.

    Raises:
        ConfigurationError: its updates are not judged.
    """

    def __init__(self, history: History) -> None:
        if history.assessment is None:
            raise ConfigurationError(
                f"the updates of federation {history.contract} are not judged: its rules name no "
                "assessment"
            )
        self._history, self._assessment = history, history.assessment

    def scores(self, store: Store, number: int | None = None) -> tuple[ScoreRow, ...]:
        """A row for each committed update of each round that was judged, or of one.

        Raises:
            ConfigurationError: there is no such round.
        """
        if number is not None and self._history.round(number) is None:
            last = self._history.last_round
            raise ConfigurationError(f"no round {number}: this federation has {last} rounds")
        return tuple(
            row
            for round_ in self._history.rounds
            if number in (None, round_.number)
            and round_.judging is not None
            and round_.judging.scores_digest is not None
            for row in self._scores(store, round_, round_.judging.scores_digest)
        )

    def verdicts(self, store: Store, number: int | None = None) -> tuple[VerdictRow, ...]:
        """A row for each member with updates in each window, or in one.

        Raises:
            ConfigurationError: there is no such window.
        """
        return tuple(
            row for window in self._windows(number) for row in self._verdicts(store, window)
        )

    def payouts(self, number: int | None = None) -> tuple[PayoutRow, ...]:
        """A row for each account in each window, or in one; then what bonds brought accounts in
        all windows together, and a row for all.

        Raises:
            ConfigurationError: there is no such window.
        """
        ledger = Ledger(self._history, self._assessment)
        rows = [row for window in self._windows(number) for row in self._payouts(window, ledger)]
        if number is None:
            rows += self._bonds()
        names = [one.name for one in fields(PayoutRow) if one.name.endswith("_wei")]
        sums = {name: sum(getattr(row, name) for row in rows) for name in names}
        return (*rows, PayoutRow(window=number, account="all", **sums))

    def _windows(self, number: int | None) -> Sequence[WindowRecord]:
        windows = self._assessment.windows
        if number is None:
            return windows
        if not 1 <= number <= len(windows):
            raise ConfigurationError(
                f"no window {number}: this federation has {len(windows)} windows"
            )
        return (windows[number - 1],)

    # Rounds.

    def _scores(self, store: Store, round_: RoundHistory, digest: bytes) -> Iterator[ScoreRow]:
        digest_of = partial(digests.scores_digest, self._history.context(round_.number))
        document = _read(store, digest, digest_of)
        sealed = {one.address for one in round_.sealed}
        for one in round_.judged:
            row = partial(
                ScoreRow, round=round_.number, account=one.address, sealed=one.address in sealed
            )
            try:
                yield row(**_score(document, one.address))
            except MalformedError as error:
                yield row(
                    size=None,
                    length=None,
                    anchor=None,
                    replay=None,
                    standing=None,
                    accepted=None,
                    reason=str(error),
                )

    # Windows.

    def _members(self, window: int) -> Iterator[tuple[str, int, MemberStanding]]:
        standings = self._assessment.standings(window)
        for member in self._history.members:
            standing = standings.get(member.index)
            if standing is not None:
                yield member.address, member.index, standing

    def _verdicts(self, store: Store, window: WindowRecord) -> Iterator[VerdictRow]:
        number = window.number
        found = self._assessment.verdicts(number)
        document: _Document | str = ABSENT
        until = None
        if found:
            context = self._history.context(window.rounds[-1])
            digest_of = partial(digests.window_digest, context)
            document = _read(store, found[-1][0].scores_digest, digest_of)
            last = window.judged_at + self._assessment.rules.dispute_period_s
            until = datetime.fromtimestamp(last, UTC)
        disputers = {one.account for one in self._assessment.of(number, "VerdictDisputed")}
        for address, _, standing in self._members(number):
            yield VerdictRow(
                window=number,
                state=window.state.name.lower(),
                dispute_until=until,
                account=address,
                updates=standing.updates,
                agreed=standing.agreed if found else None,
                points=standing.points,
                disputed=address in disputers,
                **_verdict(document, address),
            )

    # Money.

    def _payouts(self, window: WindowRecord, ledger: Ledger) -> Iterator[PayoutRow]:
        number = window.number
        books = ledger.windows.get(number, Books())
        standings = {address: one for address, _, one in self._members(number)}
        swept = {
            one.account: one.amount_wei
            for one in self._assessment.of(number, "Swept")
            if one.account != self._assessment.address
        }
        paid = [
            one.account for one in self._assessment.of(number, "VerdictPosted", "VerdictDisputed")
        ]
        others = sorted({*swept, *paid, *books.released} - standings.keys())
        for account in (*standings, *others):
            standing = standings.get(account)
            deposits = claimable = forfeited = 0
            if standing is not None:
                deposits = standing.updates * self._history.rules.deposit_wei
                claimable = standing.refund_wei + standing.take_wei
                forfeited = deposits if window.judged_at and not standing.agreed else 0
            yield PayoutRow(
                window=number,
                account=account,
                deposited_wei=deposits,
                refunded_wei=books.refunded[account],
                forfeited_wei=forfeited,
                taken_wei=books.taken[account] + swept.get(account, 0),
                bonds_wei=paid.count(account) * self._assessment.rules.bond_wei,
                released_wei=books.released[account],
                claimable_wei=claimable,
            )

    def _bonds(self) -> Iterator[PayoutRow]:
        credited = {one.account for one in self._assessment.entries if one.name == "BondReleased"}
        for account in sorted(credited):
            yield PayoutRow(
                window=None,
                account=account,
                withdrawn_wei=_withdrawn(self._assessment, account),
                claimable_wei=self._assessment.owed_wei.get(account, 0),
            )


def _withdrawn(assessment: AssessmentHistory, account: str) -> int:
    entries = (one for one in assessment.entries if one.name == "Withdrawn")
    return sum(one.amount_wei for one in entries if one.account == account)


def _read(store: Store, digest: bytes, digest_of: Any) -> _Document | str:
    """A document whose digest is on chain; a word where it cannot be had."""
    try:
        blob = store.get(digest)
        value = strict_json.loads(blob) if digest_of(blob) == digest else None
    except BlobMissing:
        return ABSENT
    except (DdcaiError, ValueError):
        return _UNUSABLE
    return value if isinstance(value, dict) else _UNUSABLE


def _score(document: _Document | str, address: str) -> dict[str, Any]:
    """What a document says of one contributor.

    Raises:
        MalformedError: with the word for a document that does not say it.
    """
    if isinstance(document, str):
        raise MalformedError(document)
    try:
        accepted = address in document["accepted"]
        own = document["scores"].get(address)
        standing = document["standings"].get(address)
        known = {
            name: None if own is None else float(own[name])
            for name in ("size", "length", "anchor", "replay")
        }
        return {
            **known,
            "standing": None if standing is None else float(standing),
            "accepted": accepted,
            "reason": reason(accepted, known["size"], known["length"]) or None,
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MalformedError(_UNUSABLE) from error


def _verdict(document: _Document | str, address: str) -> dict[str, Any]:
    """What a document says of one member; nothing where it does not."""
    nothing = {"judged": None, "failed": (), **dict.fromkeys(_MEANS)}
    if isinstance(document, str):
        return nothing
    try:
        own = document["verdicts"][address]
        means = own["scores"] or {}
        return {
            "judged": int(own["judged"]),
            "failed": tuple(str(one) for one in own["failed"]),
            **{name: float(means[name]) if means else None for name in _MEANS},
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return nothing
