"""A federation whose updates are judged, through every stage of its windows."""

from __future__ import annotations

from pathlib import Path

from ddcai.audit import money
from ddcai.audit.history import History
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.ledger import Ledger as Answers
from ddcai.audit.window_ledger import Ledger
from ddcai.audit.window_money import check_windows
from ddcai.audit.windows import AssessmentHistory
from ddcai.chain.node.connection import connect
from ddcai.chain.records import WindowRules
from tests.audit.claimable import claimable_of
from tests.audit.colluding import assessment_of, empty_round, post, resolve, submit_nothing
from tests.audit.node_reading import read_history
from tests.federation import SmallFederation

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

    def __init__(self, made: SmallFederation, path: Path) -> None:
        self.made, self.path = made, path
        self.histories: dict[str, History] = {}
        self.answers: dict[str, Answers] = {}

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
        self.answers[stage] = self._indexed(stage, history)
        *_, everybody = self.answers[stage].money()
        paid = everybody.refunded_wei + everybody.taken_wei
        assert everybody.deposited_wei == paid + everybody.assessed_wei + everybody.held_wei
        self.histories[stage] = history
        return history

    def _indexed(self, stage: str, history: History) -> Answers:
        """The index of this stage; what it says can be claimed is what the contracts would pay."""
        path = self.path / f"{stage}.sqlite"
        with Index(path, writable=True) as writer:
            Sync(writer, connect(self.made.url), history.contract).run()
        answers, assessment = Answers.open(path), of(history)
        found = {
            (row.round, row.window, row.account): (row.refund_wei, row.take_wei)
            for row in answers.claimable()
        }
        addresses = {one.index: one.address for one in history.members}
        windows = {
            (None, window, addresses[index]): (one.refund_wei, one.take_wei)
            for window, standings in enumerate(assessment.members, start=1)
            for index, one in standings.items()
            if one.refund_wei or one.take_wei
        }
        due = claimable_of(connect(self.made.url), history)
        assert sum(map(sum, due.values())) == history.claimable_wei, stage
        rounds = {(number, None, who): wei for (number, who), wei in due.items()}
        bonds = {(None, None, who): (0, wei) for who, wei in assessment.owed_wei.items()}
        assert found == rounds | windows | bonds, stage
        assert [
            (row.number, row.state, row.rounds, row.updates, row.pot_wei, row.points, row.disputes)
            for row in answers.windows()
        ] == [
            (
                *(one.number, one.state.name.lower(), one.rounds, one.updates),
                *(one.pot_wei, one.points, one.disputes),
            )
            for one in assessment.windows
        ], stage
        return answers

    def window(self) -> None:
        """Another round and its window, of one round, ready for a verdict."""
        empty_round(self.made)
        self.made.pass_time(WINDOWS.verdict_period_s // 2 + 1)

    def wait(self, seconds: int) -> None:
        self.made.pass_time(seconds + 1)


def of(history: History) -> AssessmentHistory:
    assert history.assessment is not None
    return history.assessment


def run_all(walk: Walk) -> None:
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
