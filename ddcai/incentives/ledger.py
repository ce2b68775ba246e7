"""The twin of `contracts/src/incentives/Ledger.sol`, with the self-assessment's claims.

Integers alone. A call that the contract reverts raises `IncentiveRefused` with the same name and
changes nothing.
"""

from __future__ import annotations

from collections import defaultdict

from ddcai.errors import IncentiveRefused
from ddcai.incentives.contribution import Contribution
from ddcai.incentives.self_assessment import Rules, price_wei, refund_points, report_wei


class SelfAssessmentLedger:
    """Deposits, records and points of one trainer.

    Attributes:
        last_id, ended_id: numbers of the last contribution, and of the last of ended releases.
        closed: whether nothing is contributed any more.
        left_wei: what is left of each open contribution, by id.
        owed_wei, points: by account.
        held_wei: all the money that is here.
    """

    def __init__(self, rules: Rules, now: int) -> None:
        """Starts empty, at the time of its deployment in unix seconds."""
        self.rules = rules
        self.last_id = 0
        self.ended_id = 0
        self.closed = False
        self.left_wei: dict[int, int] = {}
        self.owed_wei: defaultdict[str, int] = defaultdict(int)
        self.points: defaultdict[str, int] = defaultdict(int)
        self.held_wei = 0
        self._last_time = now
        self._contributions: dict[int, Contribution] = {}
        self._reported: set[tuple[int, str]] = set()

    def price_wei(self, now: int) -> int:
        """The price of one contribution at this time."""
        return price_wei(self.rules.cost_weight_wei, now - self._last_time)

    def has_reported(self, id_: int, account: str) -> bool:
        """Whether an account had its share of a contribution."""
        return (id_, account) in self._reported

    def contribute(
        self,
        contributor: str,
        label: int,
        predicted: int,
        *,
        now: int,
        sent_wei: int,
        maximum_wei: int,
    ) -> Contribution:
        """Takes the price from what is sent and what is on the account.

        Raises:
            IncentiveRefused: ``ReleaseClosed``, ``PriceTooHigh`` or ``DepositTooSmall``.
        """
        if self.closed:
            raise IncentiveRefused("ReleaseClosed")
        price = self.price_wei(now)
        if price > maximum_wei:
            raise IncentiveRefused("PriceTooHigh", priceWei=price, maximumWei=maximum_wei)
        available = self.owed_wei[contributor] + sent_wei
        if available < price:
            raise IncentiveRefused("DepositTooSmall", availableWei=available, priceWei=price)
        self.owed_wei[contributor] = available - price
        self.held_wei += sent_wei
        self.last_id += 1
        self._last_time = now
        made = Contribution(
            id=self.last_id,
            contributor=contributor,
            label=label,
            predicted=predicted,
            price_wei=price,
            time=now,
        )
        if price > 0:  # a free one has no deposit that anybody could claim
            self.left_wei[made.id] = price
            self._contributions[made.id] = made
        return made

    def refund(self, id_: int, caller: str, predicted: int, *, now: int) -> tuple[int, int]:
        """Puts a deposit back on its contributor's account; the wei and the points.

        Raises:
            IncentiveRefused: ``NoClaim``, or as `self_assessment.refund_points`.
        """
        one, left = self._open(id_)
        earned = refund_points(
            self.rules, one, caller, predicted, now=now, ended=id_ <= self.ended_id
        )
        del self.left_wei[id_]
        self.owed_wei[caller] += left
        self.points[caller] += earned
        return left, earned

    def report(self, id_: int, caller: str, predicted: int, *, now: int) -> int:
        """Puts what the caller may have of a deposit on its account; the wei.

        Raises:
            IncentiveRefused: ``NoClaim``, or as `self_assessment.report_wei`.
        """
        one, left = self._open(id_)
        amount = report_wei(
            self.rules,
            one,
            caller,
            predicted,
            now=now,
            ended=id_ <= self.ended_id,
            left_wei=left,
            own_points=self.points[caller],
            all_points=sum(self.points.values()),
            has_reported=self.has_reported(id_, caller),
        )
        if amount == left:
            del self.left_wei[id_]
        else:
            self._reported.add((id_, caller))
            self.left_wei[id_] = left - amount
        self.owed_wei[caller] += amount
        return amount

    def withdraw(self, account: str) -> int:
        """Pays what is owed.

        Raises:
            IncentiveRefused: ``NothingToWithdraw``.
        """
        amount = self.owed_wei[account]
        if amount == 0:
            raise IncentiveRefused("NothingToWithdraw", account=account)
        self.owed_wei[account] = 0
        self.held_wei -= amount
        return amount

    def end_release(self) -> None:
        """Every open deposit up to now is its contributor's."""
        self.ended_id = self.last_id

    def close(self) -> None:
        """The same, and nothing is contributed any more.

        Raises:
            IncentiveRefused: ``ReleaseClosed``.
        """
        if self.closed:
            raise IncentiveRefused("ReleaseClosed")
        self.closed = True
        self.end_release()

    def _open(self, id_: int) -> tuple[Contribution, int]:
        if id_ not in self.left_wei:
            raise IncentiveRefused("NoClaim", id=id_)
        return self._contributions[id_], self.left_wei[id_]
