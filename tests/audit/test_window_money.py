"""Every wei of a federation whose updates are judged is found, at every stage of its windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from ddcai.audit import claims, money
from ddcai.audit.assessment_queries import AssessmentQueries
from ddcai.audit.claims import Claim
from ddcai.audit.history import History
from ddcai.audit.queries import Queries
from ddcai.audit.reading import read_history
from ddcai.audit.window_ledger import Ledger
from ddcai.audit.window_money import check_windows
from ddcai.audit.windows import AssessmentHistory, Entry
from ddcai.chain.assessment import WindowState
from ddcai.chain.node.connection import connect
from ddcai.chain.records import RoundState, WindowRules
from tests.audit.colluding import assessment_of, empty_round, post, resolve, submit_nothing
from tests.federation import SmallFederation, make_federation
from tests.rounds.judged import CONFIG

# Odd, so that nothing divides evenly.
DEPOSIT_WEI = 10**15 + 1
BOND_WEI = 10**14 + 1
BOUNTY_WEI = 10**13 + 1
STAKE_WEI = 10**12
WINDOWS = WindowRules(
    window_rounds=2,
    verdict_period_s=10_000,
    dispute_period_s=600,
    resolve_period_s=600,
    anyone_wait_s=900,
    bond_wei=BOND_WEI,
    bounty_per_update_wei=BOUNTY_WEI,
)


class Walk:
    """A federation, and what the audit said of it at each stage."""

    def __init__(self, made: SmallFederation) -> None:
        self.made = made
        self.histories: dict[str, History] = {}

    def see(self, stage: str) -> History:
        """Reads it, and holds every claim and total against both balances."""
        made = self.made
        history = read_history(connect(made.url), made.deployment.federation)
        assessment = of(history)
        assert money.check_conserved(history).passed, (stage, money.check_conserved(history))
        found = list(check_windows(history, assessment))
        assert all(claim.passed for claim in found), (stage, found)
        # Nobody forced a gift on them: what they hold is what they owe, to the wei.
        owed = sum(money.held_wei(round_) for round_ in history.rounds) + 4 * STAKE_WEI
        assert made.contract.balance() == history.balance_wei == owed, stage
        balance = made.contract.balance(assessment.address)
        assert balance == assessment.balance_wei == Ledger(history, assessment).held_wei(), stage
        *_, everybody = Queries(history).money()
        paid = everybody.refunded_wei + everybody.taken_wei
        assert everybody.deposited_wei == paid + everybody.assessed_wei + everybody.held_wei
        self.histories[stage] = history
        return history

    def window(self) -> None:
        """Another round and its window, of one round, ready for a verdict."""
        empty_round(self.made)
        self.made.pass_time(WINDOWS.verdict_period_s // 2 + 1)

    def wait(self, seconds: int) -> None:
        self.made.pass_time(seconds + 1)


def of(history: History) -> AssessmentHistory:
    assert history.assessment is not None
    return history.assessment


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[Walk]:
    rule = CONFIG.assessment
    assert rule is not None
    with make_federation(
        tmp_path_factory.mktemp("walk"),
        4,
        url=chain_url,
        config=dataclasses.replace(CONFIG, assessment=dataclasses.replace(rule, window=2)),
        windows=WINDOWS,
        deposit_wei=DEPOSIT_WEI,
        registration_stake_wei=STAKE_WEI,
        submit_period_s=10**6,
    ) as made:
        walk = Walk(made)
        _run(walk)
        yield walk


def _run(walk: Walk) -> None:
    made = walk.made
    sponsor = made.coordinator.party.federation.assessment()
    one, two, three = (assessment_of(made, index) for index in range(3))

    contract = made.coordinator.party.federation
    contract.commit_round(submit_nothing(made, (0, 1, 2)), (0, 1, 2))
    walk.see("committed")
    contract.cancel_round(1)
    made.contributors[0].settle()
    walk.see("cancelled")

    # 1: a verdict that nobody disputes; one of three forfeits.
    sponsor.fund(5 * BOUNTY_WEI)
    empty_round(made)
    walk.see("filling")
    walk.wait(WINDOWS.verdict_period_s // 2)
    post(made, 1, {0: 3, 1: 4})
    walk.see("judged")
    walk.wait(WINDOWS.dispute_period_s)
    walk.see("standing")
    one.claim([1])
    sponsor.release_bond(1)
    walk.see("claimed")
    sponsor.withdraw()
    walk.wait(WINDOWS.anyone_wait_s)
    three.sweep(1)
    walk.see("swept")
    two.claim([1])

    # 2: all dispute; the fresh quorum says that two of them are right: they share a bond.
    walk.window()
    post(made, 2, {1: 5})
    for disputer in (one, two, three):
        disputer.dispute(2)
    walk.see("disputed")
    walk.wait(WINDOWS.dispute_period_s)
    resolve(made, 2, {0: 7, 1: 5, 2: 1})
    walk.see("resolved")
    one.withdraw()
    one.claim([2])

    # 3: nobody resolves; one disputer had agreed, the other had not.
    walk.window()
    post(made, 3, {0: 2, 1: 5})
    one.dispute(3)
    three.dispute(3)
    walk.wait(WINDOWS.dispute_period_s + WINDOWS.resolve_period_s)
    walk.see("fallen")
    sponsor.close_dispute(3)
    walk.see("closed")
    three.claim([3])

    # 4: a dispute that is lost; nobody has points, so the pot is the pool's.
    walk.window()
    post(made, 4, {0: 0, 1: 0})
    three.dispute(4)
    walk.wait(WINDOWS.dispute_period_s)
    resolve(made, 4, {0: 0, 1: 0})
    sponsor.sweep(4)
    walk.see("swept to the pool")

    # 5: a round of four deposits and three updates; no verdict at all.
    empty_round(made, (0, 1, 2, 3), committed=(0, 1, 2))
    walk.wait(WINDOWS.verdict_period_s)
    two.claim([4, 5])
    made.contributors[1].party.federation.take([6])
    walk.see("lapsed")
    walk.wait(WINDOWS.verdict_period_s)
    sponsor.reclaim()
    walk.see("reclaimed")


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
    running = Queries(walk.histories["committed"])
    assert [row.state for row in running.rounds()] == ["committed"]
    assert [row.action for row in running.round_(1)][-1] == "commit"
    address = walk.made.addresses[0]
    [row] = running.contributor(address).rounds
    assert (row.outcome, row.held_wei) == ("committed", DEPOSIT_WEI)
    claimed = Queries(walk.histories["claimed"])
    assert [row.action for row in claimed.round_(2)][-4:] == ["commit", "draw", "seal", "finalize"]
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
    key = (window.number, 0)
    for change in ({"agreed": False}, {"points": 8}, {"updates": 2}, {"refund_wei": 1}):
        standing = dataclasses.replace(assessment.members[key], **change)
        [found] = failing(history, members={**assessment.members, key: standing})
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
