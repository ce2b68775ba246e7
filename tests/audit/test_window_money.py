"""Every wei of a federation whose updates are judged is found, at every stage of its windows."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ddcai.audit import claims
from ddcai.audit.assessment_queries import AssessmentQueries
from ddcai.audit.claims import Claim
from ddcai.audit.history import History
from ddcai.audit.window_money import check_windows
from ddcai.audit.windows import Entry
from ddcai.chain.assessment import WindowState
from ddcai.chain.records import RoundState
from tests.audit.walking import BOND_WEI, BOUNTY_WEI, DEPOSIT_WEI, Walk, of


def test_every_stage_is_told_and_adds_up(walk: Walk) -> None:
    """`Walk.see` compared each with both balances."""
    seen = walk.histories
    assert seen["committed"].rounds[0].state is RoundState.COMMITTED
    states = {
        stage: of(history).windows[-1].state
        for stage, history in seen.items()
        if of(history).windows
    }
    assert states == {
        "filling": WindowState.FILLING,
        "judged": WindowState.JUDGED,
        "standing": WindowState.STANDING,
        "claimed": WindowState.STANDING,
        "swept": WindowState.STANDING,
        "disputed": WindowState.JUDGED,
        "resolved": WindowState.STANDING,
        "fallen": WindowState.FALLEN,
        "closed": WindowState.STANDING,
        "swept to the pool": WindowState.STANDING,
        "lapsed": WindowState.LAPSED,
        "reclaimed": WindowState.LAPSED,
    }
    last = of(seen["reclaimed"])
    assert {entry.name for entry in last.entries} == {
        "RoundTaken",
        "VerdictPosted",
        "VerdictDisputed",
        "DisputeResolved",
        "DisputeClosed",
        "Refunded",
        "Taken",
        "Swept",
        "BondReleased",
        "Funded",
        "Reclaimed",
        "Withdrawn",
    }


def test_a_round_s_rows_say_where_it_stands(walk: Walk) -> None:
    running = walk.answers["committed"]
    assert [row.state for row in running.rounds()] == ["committed"]
    assert [row.action for row in running.round(1)][-1] == "commit"
    address = walk.made.addresses[0]
    [row] = running.contributor(address).rounds
    assert (row.outcome, row.held_wei) == ("committed", DEPOSIT_WEI)
    claimed = walk.answers["claimed"]
    assert [row.action for row in claimed.round(2)][-4:] == ["commit", "draw", "seal", "finalize"]
    report = claimed.contributor(address)
    assert [row.outcome for row in report.rounds] == ["returned", "assessed"]
    assert (report.assessed_wei, report.held_wei) == (DEPOSIT_WEI, 0)
    share = (DEPOSIT_WEI + 2 * BOUNTY_WEI) * 3 // 7
    assert report.windows_wei == DEPOSIT_WEI + share
    assert report.net_wei == share


def failing(history: History, **changes: Any) -> list[Claim]:
    """Claims about windows that fail once the contract's history is changed."""
    changed = dataclasses.replace(of(history), **changes)
    return [one for one in check_windows(history, changed) if not one.passed]


def with_entry(history: History, name: str, **changes: Any) -> dict[str, Any]:
    """Its last event of a name, changed."""
    entries = list(of(history).entries)
    place = max(i for i, one in enumerate(entries) if one.name == name)
    entries[place] = dataclasses.replace(entries[place], **changes)
    return {"entries": tuple(entries)}


MOVING = (
    "Refunded", "Taken", "Swept", "BondReleased", "Reclaimed", "Withdrawn", "Funded",
    "VerdictPosted", "DisputeResolved", "DisputeClosed",
)  # fmt: skip


@pytest.mark.parametrize("name", MOVING)
@pytest.mark.parametrize("difference", [-1, 1])
def test_a_wei_more_or_less_in_any_event_is_found(walk: Walk, name: str, difference: int) -> None:
    history = walk.histories["reclaimed"]
    last = max((one for one in of(history).entries if one.name == name), key=_place(history))
    changes = with_entry(history, name, amount_wei=last.amount_wei + difference)
    found = failing(history, **changes)
    assert found, name
    assert found[0].name == claims.WINDOW_MONEY


def _place(history: History) -> Any:
    return list(of(history).entries).index


def test_what_is_paid_to_another_is_found(walk: Walk) -> None:
    """The second window's forfeiter is paid in place of who agreed."""
    history = walk.histories["claimed"]
    forfeiter = walk.made.addresses[2]
    [found] = failing(history, **with_entry(history, "Taken", account=forfeiter))
    assert (found.name, found.window, found.subject) == (claims.WINDOW_MONEY, 1, forfeiter)
    assert "share of 0 wei" in found.expected


def test_what_the_contract_holds_otherwise_is_found(walk: Walk) -> None:
    history = walk.histories["resolved"]
    assessment = of(history)
    *others, window = assessment.windows
    pot = dataclasses.replace(window, pot_wei=window.pot_wei - 1)
    assert failing(history, windows=(*others, pot))[0].window == window.number
    assert failing(history, pool_wei=assessment.pool_wei + 1)
    account = walk.made.addresses[0]
    owed = {**assessment.owed_wei, account: assessment.owed_wei[account] - 1}
    assert failing(history, owed_wei=owed)[0].subject == account
    *earlier, standings = assessment.members
    for change in ({"agreed": False}, {"points": 8}, {"updates": 2}, {"refund_wei": 1}):
        standing = dataclasses.replace(standings[0], **change)
        [found] = failing(history, members=(*earlier, {**standings, 0: standing}))
        assert (found.window, found.subject) == (window.number, account)


def test_a_wei_that_is_gone_is_found_and_a_gift_is_no_fault(walk: Walk) -> None:
    history = walk.histories["standing"]
    balance = of(history).balance_wei
    assert [one.name for one in failing(history, balance_wei=balance - 1)] == [
        claims.WINDOW_SOLVENT
    ]
    assert failing(history, balance_wei=balance + 1) == []


def test_a_round_that_was_not_handed_over_is_found(walk: Walk) -> None:
    history = walk.histories["swept"]
    fewer: tuple[Entry, ...] = tuple(e for e in of(history).entries if e.name != "RoundTaken")
    assert failing(history, entries=fewer)
    [one] = [e for e in of(history).entries if e.name == "RoundTaken"]
    [found] = failing(history, **with_entry(history, "RoundTaken", updates=one.updates - 1))[:1]
    assert "updates of round 2 of 3" in found.expected


def test_payouts_follow_every_account(walk: Walk) -> None:
    one, two, three, _ = walk.made.addresses
    poster = walk.made.coordinator.party.address
    rows = {
        stage: {(row.window, row.account): row for row in AssessmentQueries(found).payouts()}
        for stage, found in walk.histories.items()
    }
    pot = DEPOSIT_WEI + 2 * BOUNTY_WEI
    standing = rows["standing"]
    assert list(standing) == [(1, one), (1, two), (1, three), (1, poster), (None, "all")]
    assert standing[1, one].claimable_wei == DEPOSIT_WEI + pot * 3 // 7
    assert (standing[1, three].forfeited_wei, standing[1, three].claimable_wei) == (DEPOSIT_WEI, 0)
    assert (standing[1, poster].bonds_wei, standing[1, poster].released_wei) == (BOND_WEI, 0)

    claimed = rows["claimed"]
    mine = claimed[1, one]
    assert (mine.refunded_wei, mine.taken_wei) == (DEPOSIT_WEI, pot * 3 // 7)
    assert mine.claimable_wei == 0
    assert claimed[1, poster].released_wei == claimed[None, poster].claimable_wei == BOND_WEI
    swept = rows["swept"]
    assert swept[1, three].taken_wei == pot - pot * 3 // 7
    assert swept[None, poster].withdrawn_wei == BOND_WEI

    resolved = rows["resolved"]
    for account, won in (
        (one, BOND_WEI + BOND_WEI // 2),
        (two, 0),
        (three, BOND_WEI + BOND_WEI // 2),
    ):
        assert resolved[2, account].bonds_wei == BOND_WEI
        assert resolved[2, account].released_wei == won
    assert resolved[None, one].claimable_wei == BOND_WEI + BOND_WEI // 2

    # Everything that came in is somewhere.
    last = of(walk.histories["reclaimed"])
    total = rows["reclaimed"][None, "all"]
    funded, reclaimed = (
        sum(entry.amount_wei for entry in last.entries if entry.name == name)
        for name in ("Funded", "Reclaimed")
    )
    paid_out = total.refunded_wei + total.taken_wei + total.withdrawn_wei + reclaimed
    assert total.deposited_wei + total.bonds_wei + funded - paid_out == last.balance_wei
    alone = AssessmentQueries(walk.histories["reclaimed"]).payouts(2)
    assert {row.window for row in alone} == {2}
    assert alone[-1].deposited_wei == 3 * DEPOSIT_WEI


def test_the_index_tells_of_windows_verdicts_and_disputes(walk: Walk) -> None:
    one, two, three, _ = walk.made.addresses
    last = walk.answers["reclaimed"]
    points = {
        who: [(row.window, row.agreed, row.points) for row in last.contributor(who).windows]
        for who in (one, two, three)
    }
    assert points[one] == [(1, True, 3), (2, True, 7), (3, True, 0), (4, True, 0), (5, None, 0)]
    assert points[two][1:4] == [(2, True, 5), (3, True, 5), (4, True, 0)]
    assert points[three][:4] == [(1, False, 0), (2, True, 1), (3, True, 0), (4, False, 0)]
    assert last.contributor(one).points == 10
    signed = {
        (row.what, row.window): row.signed is not None and row.digest != ""
        for row in last.attestations()
        if row.window is not None
    }
    assert set(signed) == {(what, window) for what in ("verdict",) for window in (1, 2, 3, 4)} | {
        ("resolution", 2),
        ("resolution", 4),
    }
    assert all(signed.values())
    kinds = {(row.kind, row.window) for row in last.anomalies() if row.window is not None}
    assert kinds == {("verdict lost", 2), ("dispute unresolved", 3), ("window lapsed", 5)}


@pytest.mark.parametrize("place", range(4))
def test_flows_are_what_the_contracts_hold(walk: Walk, place: int) -> None:
    """Over all accounts, what went in and did not come out is in the two contracts."""
    last, history = walk.answers["reclaimed"], walk.histories["reclaimed"]
    accounts = [*walk.made.addresses, history.sponsor]
    flows = {who: last.flows(who) for who in accounts}
    held = history.balance_wei + of(history).balance_wei
    assert -sum(rows[-1].balance_wei for rows in flows.values()) == held
    rows = flows[accounts[place]]
    assert rows[0].what == "stake"
    middle = rows[len(rows) // 2].time
    later = last.flows(accounts[place], since=middle)
    assert later == tuple(row for row in rows if row.time >= middle)
    assert last.flows(accounts[place], until=middle)[-1].time <= middle
