"""Who signed what a quorum signed: results of rounds, verdicts on windows."""

from __future__ import annotations

from ddcai.audit.ledger.asking import Asking, moment
from ddcai.audit.ledger.findings import AttestationRow
from ddcai.audit.ledger.windows import windows

_WHAT = ("verdict", "resolution")


def attestations(asking: Asking, number: int | None) -> tuple[AttestationRow, ...]:
    """A row for each contributor that could sign, of all rounds or of one."""
    one = "" if number is None else "AND number = :round "
    finalised = {
        round_: (digest, moment(ended))
        for round_, digest, ended in asking.rows(
            "SELECT number, model_digest, ended FROM rounds "
            f"WHERE federation_id = :id AND state = 'finalized' {one}",
            round=number,
        )
    }
    one = "" if number is None else "AND round = :round "
    results = [
        AttestationRow(
            what="result",
            round=round_,
            window=None,
            account=account,
            digest=finalised[round_][0],
            signed=bool(attested),
            time=finalised[round_][1],
        )
        for round_, account, attested in asking.rows(
            "SELECT round, account, attested FROM submissions "
            f"WHERE federation_id = :id AND listed {one}ORDER BY round, member_index",
            round=number,
        )
        if round_ in finalised
    ]
    return (*results, *_verdicts(asking, number))


def _verdicts(asking: Asking, number: int | None) -> list[AttestationRow]:
    if asking.federation.facts["window_rules"] is None:
        return []
    found = []
    for window in windows(asking).values():
        last = window.rounds[-1]
        if number not in (None, last):
            continue
        sealed = list(
            asking.rows(
                "SELECT member_index, account FROM submissions WHERE federation_id = :id "
                "AND round = :round AND listed ORDER BY member_index",
                round=last,
            )
        )
        for attempt, digest, signers, time in window.posted:
            found += [
                AttestationRow(
                    what=_WHAT[attempt],
                    round=last,
                    window=window.number,
                    account=account,
                    digest=digest,
                    signed=None if signers is None else index in signers,
                    time=moment(time),
                )
                for index, account in sealed
            ]
    return found
