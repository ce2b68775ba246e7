"""What a trainer's contributions cost and bring: `IIncentive`, one facade a kind.

A new kind is a subclass of `Incentive` in `ddcai.chain.kinds`, and a function like
`self_assessment` that says how it is deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from eth_utils.address import to_checksum_address
from web3 import Web3

from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.transactions import Receipt, Sender
from ddcai.errors import ChainError
from ddcai.incentives.points import PointsRules
from ddcai.incentives.self_assessment import Rules, price_wei


@dataclass(frozen=True, kw_only=True)
class NewIncentive:
    """An incentive that is to be deployed.

    Attributes:
        kind: of `ddcai.chain.kinds.KINDS`.
        arguments: of its constructor, after the trainer's address.
        value_wei: paid to its constructor.
        made: whether the contract at an address was made with these arguments, so that a
            deployment that was broken off is recognised. By default it is recognised by its code:
            then every argument must be immutable there.
    """

    kind: str
    arguments: tuple[Any, ...]
    value_wei: int = 0
    made: Callable[[Web3, str], bool] | None = None


@dataclass(frozen=True)
class Record:
    """What the chain holds of one contribution.

    Attributes:
        digest: 32 bytes, of which the first 21 count; zero if it is settled, or never was.
        left_wei: of its deposit.
    """

    digest: bytes
    left_wei: int

    @property
    def open(self) -> bool:
        """Whether anything can be claimed of it still."""
        return any(self.digest)


@dataclass(frozen=True)
class Points:
    """Points of an account, and of all accounts together."""

    own: int
    total: int


class Incentive:
    """What every kind has.

    Attributes:
        kind: the name that people choose it by.
        contract_name: its artifact.
        price_moves: whether the price depends on what others do meanwhile.
        address: its contract.
        sender: who pays for writes; None for a facade that only reads.
    """

    kind: ClassVar[str]
    contract_name: ClassVar[str]
    price_moves: ClassVar[bool] = False

    def __init__(self, w3: Web3, address: str, sender: Sender | None = None) -> None:
        self.address: str = to_checksum_address(address)
        self.sender = sender
        self._contract = Contract(w3, self.address, artifact.load(self.contract_name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address})"

    def trainer_address(self) -> str:
        """The only contract that contributions come through."""
        return str(to_checksum_address(self._contract.call("trainer")))

    def price_wei(self) -> int:
        """What one contribution would cost in the next block."""
        return int(self._contract.call("priceWei"))

    def batch_price_wei(self, count: int) -> int:
        """What `count` contributions in one transaction would cost in the next block."""
        return count * self.price_wei()

    def last_id(self) -> int:
        """The number of the last contribution; 0 before the first."""
        return int(self._contract.call("lastId"))

    def ended_id(self) -> int:
        """The last contribution of releases that have ended; 0 while the first one runs."""
        return int(self._contract.call("endedId"))

    def is_closed(self) -> bool:
        """Whether nothing is contributed or reported any more."""
        return bool(self._contract.call("isClosed"))

    def points(self, account: str) -> Points:
        """Points of an account, and of all."""
        own, total = self._contract.call("points", to_checksum_address(account))
        return Points(int(own), int(total))

    def owed_wei(self, account: str) -> int:
        """What `withdraw` would pay this account now."""
        return int(self._contract.call("owedWei", to_checksum_address(account)))

    def record_of(self, id_: int) -> Record:
        """What the chain holds of a contribution."""
        return self.records_of([id_])[0]

    def records_of(self, ids: Sequence[int]) -> list[Record]:
        """The same for many, in few round trips."""
        calls: list[tuple[str, Sequence[Any]]] = [("recordOf", [id_]) for id_ in ids]
        answers = self._contract.call_many(calls)
        return [Record(bytes(digest), int(left)) for digest, left in answers]

    def bounty(self) -> tuple[str | None, int]:
        """The bounty that was attached last, None if none, and the last second that it pays."""
        address, until = self._contract.call("bounty")
        return (to_checksum_address(address) if int(address, 16) else None), int(until)

    def attach_bounty(self, address: str) -> Receipt:
        """Lets a bounty pay for points; the trainer's owner only.

        Raises:
            ContractReverted: ``NotTrainersOwner``, ``BountyRuns`` or ``WrongBounty``.
        """
        if self.sender is None:
            raise ChainError("no account to attach a bounty from: give --keystore")
        data = self._contract.encode("attachBounty", [to_checksum_address(address)])
        return self.sender.send(self.address, data)

    def withdraw(self) -> Receipt:
        """Pays the sender everything that is owed to it.

        Raises:
            ContractReverted: ``NothingToWithdraw``.
        """
        if self.sender is None:
            raise ChainError("no account to withdraw to: give --keystore")
        return self.sender.send(self.address, self._contract.encode("withdraw", []))


class SelfAssessment(Incentive):
    """Deposit, refund, take: the model judges, later, what was contributed."""

    kind = "self-assessment"
    contract_name = "SelfAssessment"
    price_moves = True
    _rules: Rules | None = None

    def rules(self) -> Rules:
        """The rules that it was deployed with; they never change."""
        if self._rules is None:
            self._rules = Rules.from_abi(self._contract.call("rules"))
        return self._rules

    def batch_price_wei(self, count: int) -> int:
        """After the first, no time has passed."""
        rest = (count - 1) * price_wei(self.rules().cost_weight_wei, 0)
        return self.price_wei() + rest if count > 0 else 0

    def have_reported(self, ids: Sequence[int], account: str) -> list[bool]:
        """Whether an account had its share, for each of these contributions."""
        account = to_checksum_address(account)
        calls: list[tuple[str, Sequence[Any]]] = [("hasReported", [id_, account]) for id_ in ids]
        return [bool(answer) for answer in self._contract.call_many(calls)]


class PointsIncentive(Incentive):
    """Points and badges, no money: a limited number of contributions a day, and a wait."""

    kind = "points"
    contract_name = "Points"

    def rules(self) -> PointsRules:
        """The rules that it was deployed with; they never change."""
        return PointsRules.from_abi(self._contract.call("rules"))

    def left_today(self, account: str) -> int:
        """How often an account may still contribute today (UTC)."""
        return int(self._contract.call("leftToday", to_checksum_address(account)))

    def badges(self, account: str) -> list[int]:
        """The numbers of points that an account has a badge for, ascending."""
        account = to_checksum_address(account)
        thresholds = self.rules().badge_thresholds
        calls: list[tuple[str, Sequence[Any]]] = [("hasBadge", [account, n]) for n in thresholds]
        has = self._contract.call_many(calls)
        return [n for n, there in zip(thresholds, has, strict=True) if there]


def points(rules: PointsRules) -> NewIncentive:
    """A `Points` contract with these rules."""
    return NewIncentive(kind=PointsIncentive.kind, arguments=(rules.to_abi(),))


def self_assessment(rules: Rules) -> NewIncentive:
    """A `SelfAssessment` with these rules."""
    return NewIncentive(kind=SelfAssessment.kind, arguments=(rules.to_abi(),))
