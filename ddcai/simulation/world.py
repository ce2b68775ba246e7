"""Where agents act: what they see, what they may do, and what it costs them.

A world is integer twins alone: a model's, and the incentive's ledger. `ContractWorld` does the
same and sends each step to the contracts, and refuses to go on where the two differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ddcai.incentives.ledger import SelfAssessmentLedger
from ddcai.models.heads import Classifier
from ddcai.simulation.task import Row


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A contribution as everybody sees it.

    Attributes:
        id: from 1.
        account: who contributed, a number of the simulation.
        row, label: what.
        price_wei, time: as recorded.
    """

    id: int
    account: int
    row: Row
    label: int
    price_wei: int
    time: int


class FirstSystemLedger(SelfAssessmentLedger):
    """The ledger with the first system's rule: a point for every refund.

    No contract of ours has it; it shows what our rule is good for.
    """

    def refund(self, id_: int, caller: str, predicted: int, *, now: int) -> tuple[int, int]:
        left, earned = super().refund(id_, caller, predicted, now=now)
        self.points[caller] += 1 - earned
        return left, 1


class World:
    """One trainer with its model and its money, in simulated time.

    Attributes:
        model: as it stands; asking it is free.
        ledger: deposits, points and what is owed.
        accounts: addresses, by number.
        now: unix seconds.
        open: contributions that are not settled, by id.
        wallets_wei: what each account holds outside of the incentive, gas aside.
        last: the latest contribution.
    """

    def __init__(
        self,
        model: Classifier,
        ledger: SelfAssessmentLedger,
        accounts: Sequence[str],
        wallets_wei: Sequence[int],
        now: int,
    ) -> None:
        self.model = model
        self.ledger = ledger
        self.accounts = tuple(accounts)
        self.now = now
        self.open: dict[int, Sample] = {}
        self.wallets_wei = list(wallets_wei)
        self.last: Sample | None = None

    def balance_wei(self, account: int) -> int:
        """What an account can spend: its wallet, and what it is owed."""
        return self.wallets_wei[account] + self.ledger.owed_wei[self.accounts[account]]

    def locked_wei(self, account: int) -> int:
        """What is left of an account's deposits."""
        left = self.ledger.left_wei
        return sum(left[one.id] for one in self.open.values() if one.account == account)

    def points(self, account: int) -> int:
        """Points of an account."""
        return self.ledger.points[self.accounts[account]]

    def predict(self, row: Row) -> int:
        """What the model says to a sample."""
        return int(self.model.predict([row])[0])

    def refundable(self, one: Sample) -> bool:
        """Whether its contributor may have the deposit back now."""
        if self.now < one.time + self.ledger.rules.refund_wait_s:
            return False
        return self.predict(one.row) == one.label

    def reportable(self, one: Sample, account: int) -> bool:
        """Whether an account may have something of the deposit now."""
        age, address = self.now - one.time, self.accounts[account]
        if age < self.ledger.rules.refund_wait_s:
            return False
        if age < self.ledger.rules.anyone_wait_s:
            had = self.ledger.has_reported(one.id, address)
            if one.account == account or had or self.ledger.points[address] == 0:
                return False
        return self.predict(one.row) != one.label

    def contribute(self, account: int, row: Row, label: int) -> Sample | None:
        """Contributes a sample, if the account can pay for it."""
        address = self.accounts[account]
        price = self.ledger.price_wei(self.now)
        if self.balance_wei(account) < price:
            return None
        sent = max(0, price - self.ledger.owed_wei[address])
        predicted, _ = self.model.update(row, label)
        made = self.ledger.contribute(
            address, label, predicted, now=self.now, sent_wei=sent, maximum_wei=price
        )
        self.wallets_wei[account] -= sent
        self.last = Sample(
            id=made.id, account=account, row=row, label=label, price_wei=price, time=self.now
        )
        if price:
            self.open[made.id] = self.last
        return self.last

    def claim(
        self, account: int, refunds: Sequence[Sample], reports: Sequence[Sample]
    ) -> list[int]:
        """Refunds and reports, all of which must be possible; the wei of each, in order."""
        address, paid = self.accounts[account], []
        for one in refunds:
            amount, _ = self.ledger.refund(one.id, address, self.predict(one.row), now=self.now)
            paid.append(amount)
        for one in reports:
            paid.append(self.ledger.report(one.id, address, self.predict(one.row), now=self.now))
        for one in (*refunds, *reports):
            if one.id not in self.ledger.left_wei:
                del self.open[one.id]
        return paid

    def close(self) -> None:
        """Pays out all that is owed, at the end."""
        for number, address in enumerate(self.accounts):
            if self.ledger.owed_wei[address]:
                self.wallets_wei[number] += self.ledger.withdraw(address)
