"""Things that an auditor should look at. None proves fraud: each has innocent causes.

| kind | what |
|---|---|
| stalled | a round whose time is over, and that was neither finalised nor cancelled |
| reopened | a round that was cancelled, and whose base model another round started from |
| re-sealed | the same, of a round whose sum was sealed, and so may have been opened |
| sealed late | a sum that was sealed in the last quarter of the time to finalise |
| never sealed | a contributor of two or more sealed rounds whose updates are on no list |
| never attests | a contributor of two or more finalised sums that signed none of the results |
| window lapsed | a window of judged rounds that no verdict came for in time |
| verdict lost | a verdict that a dispute replaced: some disputer was right |
| dispute unresolved | a dispute that nobody resolved in time |
"""

from __future__ import annotations

from collections.abc import Iterator

from ddcai.audit.ledger.asking import Asking, moment
from ddcai.audit.ledger.findings import AnomalyRow
from ddcai.audit.ledger.windows import window_rules, windows

_TWICE = 2
_ONE = (
    "SELECT 1 FROM submissions a WHERE a.federation_id = m.federation_id AND a.account = m.account"
)


def anomalies(asking: Asking) -> tuple[AnomalyRow, ...]:
    """All of them, by when they began."""
    found = [*_stalled(asking), *_again(asking), *_late(asking), *_members(asking)]
    found += _windows(asking)
    return tuple(sorted(found, key=lambda row: (row.since, row.kind, row.round or 0)))


def _row(
    kind: str,
    since: int,
    what: str,
    *,
    number: int | None = None,
    window: int | None = None,
    account: str | None = None,
) -> AnomalyRow:
    return AnomalyRow(
        kind=kind, round=number, window=window, account=account, since=moment(since), what=what
    )


def _coordinator(asking: Asking) -> str:
    return str(asking.federation.facts["rules"]["coordinator"])


def _stalled(asking: Asking) -> Iterator[AnomalyRow]:
    for number, state, deadline in asking.rows(
        "SELECT number, state, finalize_deadline FROM rounds WHERE federation_id = :id "
        "AND ended IS NULL AND finalize_deadline < :now",
        now=asking.now,
    ):
        what = f"it is still {state}, and can only be cancelled: anyone may"
        yield _row("stalled", deadline, what, number=number)


def _again(asking: Asking) -> Iterator[AnomalyRow]:
    for number, ended, sealed_at, after, sealed_after in asking.rows(
        "SELECT r.number, r.ended, r.sealed_at, n.number, n.sealed_at FROM rounds r JOIN rounds n "
        "ON n.federation_id = r.federation_id AND n.number = r.number + 1 "
        "WHERE r.federation_id = :id AND r.state = 'cancelled' "
        "AND n.base_model_digest = r.base_model_digest"
    ):
        twice = sealed_at is not None and sealed_after is not None
        what = f"it was cancelled, and round {after} started from the same model"
        if twice:
            what = (
                f"its sealed sum was given up, and round {after} sealed another on the same model"
            )
        kind = "re-sealed" if twice else "reopened"
        yield _row(kind, ended, what, number=number, account=_coordinator(asking))


def _late(asking: Asking) -> Iterator[AnomalyRow]:
    for number, sealed_at, deadline in asking.rows(
        "SELECT number, sealed_at, finalize_deadline FROM rounds WHERE federation_id = :id "
        "AND 4 * (finalize_deadline - sealed_at) < finalize_deadline - submit_deadline"
    ):
        what = f"it left {deadline - sealed_at} s to open the sum, check and sign"
        yield _row("sealed late", sealed_at, what, number=number, account=_coordinator(asking))


def _members(asking: Asking) -> Iterator[AnomalyRow]:
    for account, count, first, listed, finalised, signed in asking.rows(
        "SELECT s.account, count(*), min(s.time), sum(s.listed OR s.judged), "
        "sum(s.listed AND r.state = 'finalized'), sum(s.attested) FROM submissions s JOIN rounds r "
        "ON r.federation_id = s.federation_id AND r.number = s.round "
        "WHERE s.federation_id = :id AND r.sealed_at IS NOT NULL "
        # Few have no list and no signature at all: only their rounds are counted.
        f"AND s.account IN (SELECT m.account FROM members m WHERE m.federation_id = :id "
        f"AND (NOT EXISTS ({_ONE} AND (a.listed OR a.judged)) "
        f"OR NOT EXISTS ({_ONE} AND a.attested))) "
        "GROUP BY s.account"
    ):
        if count >= _TWICE and not listed:
            what = (
                f"none of its {count} updates is on a list: what arrived was not what it submitted"
            )
            yield _row("never sealed", first, what, account=account)
        if finalised >= _TWICE and not signed:
            what = f"it signed none of {finalised} results that its updates are in"
            yield _row("never attests", first, what, account=account)


def _windows(asking: Asking) -> Iterator[AnomalyRow]:
    rules = window_rules(asking)
    if rules is None:
        return
    for window in windows(asking).values():
        number, lapsed = window.number, window.lapsed_at(rules)
        if lapsed is not None and lapsed <= asking.now:
            what = "no verdict came: every deposit goes back"
            yield _row("window lapsed", lapsed, what, window=number)
        if window.right:
            what = f"a fresh quorum found {window.right} of {len(window.disputers)} disputers right"
            yield _row(
                "verdict lost", window.settled_at, what, window=number, account=window.poster
            )
        if window.fallen:
            what = "nobody resolved it: the disputers' deposits went back"
            yield _row("dispute unresolved", window.settled_at, what, window=number)
