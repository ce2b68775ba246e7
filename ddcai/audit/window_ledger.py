"""The books of the contract that judges updates, made anew from its events by its rules.

A twin of ``WindowAssessment``: deposits, pots, the bounty pool and bonds, to the wei. What an
event says is compared on the way with what the rules say; what the contract holds, afterwards
(`ddcai.audit.money`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ddcai.audit.history import History
from ddcai.audit.stored import Changing
from ddcai.audit.windows import AssessmentHistory, Entry, PostedVerdict


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The first thing that is not as the rules say, with the values that were compared."""

    expected: str
    found: str
    window: int | None = None
    account: str = ""


@dataclass(kw_only=True)
class Books:
    """One window's.

    Attributes:
        updates: deposits in it, by member index.
        agreed: points of the members whose deposits come back, by index; None before a verdict.
        pot_wei: forfeited deposits, bounty, and what bonds left over.
        bounty_wei: of the pot.
        poster: who posted the verdict.
        disputers: member indices.
        settled: whether a dispute ended.
        bonds_wei: bonds that the contract still has.
        released: put on accounts, by account.
        refunded, taken: paid, by account.
        swept_wei: what nobody took; None while it may still be taken.
    """

    updates: Counter[int] = field(default_factory=Counter)
    agreed: dict[int, int] | None = None
    pot_wei: int = 0
    bounty_wei: int = 0
    poster: str = ""
    disputers: set[int] = field(default_factory=set)
    settled: bool = False
    bonds_wei: int = 0
    released: Counter[str] = field(default_factory=Counter)
    refunded: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    swept_wei: int | None = None

    def share_wei(self, index: int) -> int:
        """A member's part of the pot, rounded down."""
        agreed = self.agreed or {}
        total = sum(agreed.values())
        return self.pot_wei * agreed.get(index, 0) // total if total else 0


class Ledger:
    """All windows, the pool, and what bonds brought.

    Attributes:
        windows: by number; they are in a file.
        pool_wei, owed: as they should be in the end; `owed` by account.
        paid_in_wei, paid_out_wei: what came to the contract, and went.
        fault: the first, in the order of events; None where there is none.
    """

    def __init__(self, history: History, assessment: AssessmentHistory) -> None:
        self._history, self._assessment, self._rules = history, assessment, assessment.rules
        self._addresses = {one.index: one.address for one in history.members}
        self._indices = {one.address: one.index for one in history.members}
        self.windows = Changing[Books]()
        self.pool_wei = 0
        self.owed: Counter[str] = Counter()
        self.paid_in_wei = self.paid_out_wei = 0
        self.fault: Fault | None = None
        takes: Mapping[str, Callable[[Entry, Books], None]] = {
            "RoundTaken": self._take_round,
            "VerdictPosted": self._post,
            "VerdictDisputed": self._dispute,
            "DisputeResolved": self._resolve,
            "DisputeClosed": self._close,
            "BondReleased": self._release,
            "Refunded": self._refund,
            "Taken": self._take,
            "Swept": self._sweep,
            "Funded": self._fund,
            "Reclaimed": self._reclaim,
            "Withdrawn": self._withdraw,
        }
        for entry in assessment.entries:
            takes[entry.name](entry, self._books(entry))

    def held_wei(self) -> int:
        """What the contract must hold, by these books."""
        return self.paid_in_wei - self.paid_out_wei

    @property
    def deposit_wei(self) -> int:
        """The federation's."""
        return self._history.rules.deposit_wei

    def _books(self, entry: Entry) -> Books:
        if not entry.window:
            return Books()
        if entry.window not in self.windows:
            self.windows.add(entry.window, Books())
        return self.windows[entry.window]

    def _expect(self, entry: Entry, what: str, expected: object, found: object) -> None:
        if expected != found and self.fault is None:
            self.fault = Fault(
                expected=f"{what} of {expected}",
                found=str(found),
                window=entry.window,
                account=entry.account,
            )

    def _expect_wei(self, entry: Entry, what: str, expected: int) -> None:
        self._expect(entry, what, f"{expected} wei", f"{entry.amount_wei} wei")

    # Rounds.

    def _take_round(self, entry: Entry, books: Books) -> None:
        round_ = self._history.round(entry.round)
        listed = () if round_ is None else round_.assessed
        self._expect(entry, f"updates of round {entry.round}", len(listed), entry.updates)
        books.updates.update(one.index for one in listed)
        self.paid_in_wei += entry.updates * self.deposit_wei

    # Verdicts.

    def _post(self, entry: Entry, books: Books) -> None:
        assert entry.verdict is not None
        books.poster = entry.account
        self._pay_bond(books)
        self._judge(books, entry.verdict)
        self._expect_wei(entry, "pot", books.pot_wei)

    def _dispute(self, entry: Entry, books: Books) -> None:
        index = self._indices.get(entry.account, -1)
        self._expect(entry, "update in the window", True, books.updates[index] > 0)
        books.disputers.add(index)
        self._pay_bond(books)

    def _resolve(self, entry: Entry, books: Books) -> None:
        """The bonds' events come before it, in the same transaction."""
        assert entry.verdict is not None
        before = dict(books.agreed or {})
        self.pool_wei += books.bounty_wei
        self._judge(books, entry.verdict)
        after = books.agreed or {}
        right = tuple(i for i in sorted(books.disputers) if before.get(i) != after.get(i))
        self._expect(entry, "disputers that were right", right, entry.right)
        bond = self._rules.bond_wei
        wrong_wei = (len(books.disputers) - len(right)) * bond
        share = bond // len(right) if right else 0
        due = {self._addresses[index]: bond + share for index in right}
        if not right:
            due = {books.poster: bond + wrong_wei}
        left = (1 + len(books.disputers)) * bond - sum(due.values())
        books.pot_wei += left
        books.bonds_wei -= left
        books.settled = True
        self._expect(entry, "bonds to", _nonzero(due), _nonzero(books.released))
        self._expect_wei(entry, "pot", books.pot_wei)

    def _close(self, entry: Entry, books: Books) -> None:
        agreed = books.agreed if books.agreed is not None else {}
        due: Counter[str] = Counter({books.poster: self._rules.bond_wei})
        for index in books.disputers:
            if index not in agreed:
                books.pot_wei -= books.updates[index] * self.deposit_wei
            agreed[index] = 0
            due[self._addresses[index]] += self._rules.bond_wei
        books.agreed, books.settled = agreed, True
        self._expect(entry, "bonds to", _nonzero(due), _nonzero(books.released))
        self._expect_wei(entry, "pot", books.pot_wei)

    def _judge(self, books: Books, verdict: PostedVerdict) -> None:
        books.agreed = dict(zip(verdict.agreed, verdict.points, strict=True))
        updates = sum(books.updates[index] for index in books.agreed)
        books.bounty_wei = min(self.pool_wei, updates * self._rules.bounty_per_update_wei)
        self.pool_wei -= books.bounty_wei
        forfeited = books.updates.total() - updates
        books.pot_wei = forfeited * self.deposit_wei + books.bounty_wei

    # Bonds.

    def _pay_bond(self, books: Books) -> None:
        books.bonds_wei += self._rules.bond_wei
        self.paid_in_wei += self._rules.bond_wei

    def _release(self, entry: Entry, books: Books) -> None:
        if not books.disputers:
            self._expect(entry, "bond to", books.poster, entry.account)
            self._expect_wei(entry, "bond", self._rules.bond_wei)
            self._expect(entry, "bonds before", 0, books.released.total())
        books.released[entry.account] += entry.amount_wei
        books.bonds_wei -= entry.amount_wei
        self.owed[entry.account] += entry.amount_wei

    def _withdraw(self, entry: Entry, _: Books) -> None:
        self._expect_wei(entry, "withdrawal", self.owed[entry.account])
        self.owed[entry.account] = 0
        self.paid_out_wei += entry.amount_wei

    # Deposits and shares.

    def due_wei(self, window: int, account: str) -> tuple[int, int]:
        """What a member can ever claim of a window by its verdict: (own deposits, share).

        Own deposits of a window without a verdict, too: they come back when it lapses.
        """
        books, index = self.windows[window], self._indices.get(account, -1)
        if books.agreed is not None and index not in books.agreed:
            return 0, 0
        return books.updates[index] * self.deposit_wei, books.share_wei(index)

    def _refund(self, entry: Entry, books: Books) -> None:
        own, _ = self.due_wei(entry.window or 0, entry.account)
        self._expect_wei(entry, "refund", own - books.refunded[entry.account])
        books.refunded[entry.account] += entry.amount_wei
        self.paid_out_wei += entry.amount_wei

    def _take(self, entry: Entry, books: Books) -> None:
        _, share = self.due_wei(entry.window or 0, entry.account)
        left = 0 if books.swept_wei is not None else share - books.taken[entry.account]
        self._expect_wei(entry, "share", left)
        books.taken[entry.account] += entry.amount_wei
        self.paid_out_wei += entry.amount_wei

    def _sweep(self, entry: Entry, books: Books) -> None:
        left = 0 if books.swept_wei is not None else books.pot_wei - books.taken.total()
        self._expect_wei(entry, "rest of the pot", left)
        books.swept_wei = entry.amount_wei
        shared = any((books.agreed or {}).values())
        self._expect(entry, "sweep to the pool", not shared, self._to_pool(entry))
        if self._to_pool(entry):
            self.pool_wei += entry.amount_wei
        else:
            self.paid_out_wei += entry.amount_wei

    def _to_pool(self, entry: Entry) -> bool:
        return entry.account == self._assessment.address

    # The pool.

    def _fund(self, entry: Entry, _: Books) -> None:
        self.pool_wei += entry.amount_wei
        self.paid_in_wei += entry.amount_wei

    def _reclaim(self, entry: Entry, _: Books) -> None:
        self._expect(entry, "sponsor", self._history.sponsor, entry.account)
        self._expect_wei(entry, "pool", self.pool_wei)
        self.pool_wei = 0
        self.paid_out_wei += entry.amount_wei


def _nonzero(amounts: Mapping[str, int]) -> dict[str, int]:
    return {account: amounts[account] for account in sorted(amounts) if amounts[account]}
