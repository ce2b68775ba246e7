"""Who takes part: honest ones, and those who want money for nothing.

An agent sees what everybody sees: the model, all contributions, the price. It acts when it wakes
and says when it wants to wake next. Honest labels come from the data; nobody sees the test set.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ddcai.errors import ConfigurationError
from ddcai.simulation.task import Row, Task
from ddcai.simulation.world import Sample, World

MINUTE_S = 60
HOUR_S = 3600
# The published simulation's means: an honest agent comes every ten minutes, a malicious one, with
# twice the deposit, every hour.
HONEST_WAIT_S, HONEST_SPREAD_S = 10 * MINUTE_S, MINUTE_S
MALICIOUS_WAIT_S, MALICIOUS_SPREAD_S = HOUR_S, 10 * MINUTE_S
# A deposit falls with the square root of the time since the last contribution, so whoever comes
# after a quarter of the usual time pays twice as much.
HURRY_S = HONEST_WAIT_S // 4
# Claims in one transaction, within its gas.
CLAIMS = 40


class Supply:
    """Samples of the pool, each once before any comes again, in an order of the seed."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        self._generator = np.random.default_rng([seed, 2])
        self._order = self._endless()

    def _endless(self) -> Iterator[int]:
        while True:
            yield from self._generator.permutation(len(self._task.pool)).tolist()

    def next(self) -> tuple[Row, int]:
        """A sample and its true label."""
        row = next(self._order)
        return self._task.pool[row], int(self._task.pool_labels[row])


@dataclass(kw_only=True)
class Agent(ABC):
    """One participant, with one account or several.

    Attributes:
        name: for people.
        accounts: numbers of its accounts; the first one unless it says otherwise.
        supply: where its samples come from.
        classes: number of classes.
        generator: its randomness.
        contributes: False when contributing is over and only claims are left.
        contributions: how many it made, for `deposited_wei` in all.
        claimed: when it last looked for claims.
    """

    name: str
    accounts: list[int]
    supply: Supply
    classes: int
    generator: np.random.Generator
    contributes: bool = True
    contributions: int = 0
    deposited_wei: int = 0
    claimed: int = 0

    @abstractmethod
    def act(self, world: World) -> int:
        """Acts; seconds until it wakes again."""

    def claim(self, world: World) -> None:
        """Claims all that its accounts can, at most once an hour."""
        if world.now < self.claimed + HOUR_S:
            return
        self.claimed = world.now
        for account in self.accounts:
            refunds: list[Sample] = []
            reports: list[Sample] = []
            for one in world.open.values():
                if len(refunds) + len(reports) >= CLAIMS:
                    break
                if one.account == account and world.refundable(one):
                    refunds.append(one)
                elif one.account != account and world.reportable(one, account):
                    reports.append(one)
            if refunds or reports:
                world.claim(account, refunds, reports)

    def teach(self, world: World, row: Row, label: int, account: int | None = None) -> None:
        """Contributes, if contributing is not over and there is money."""
        which = self.accounts[0] if account is None else account
        made = world.contribute(which, row, label) if self.contributes else None
        if made is not None:
            self.contributions += 1
            self.deposited_wei += made.price_wei

    def about(self, mean_s: int, spread_s: int) -> int:
        """A normal wait, in whole seconds, one at least."""
        return max(1, round(self.generator.normal(mean_s, spread_s)))

    def wrong(self, label: int) -> int:
        """Another class than this one."""
        return (label + 1 + int(self.generator.integers(self.classes - 1))) % self.classes


class Honest(Agent):
    """Teaches true labels."""

    def act(self, world: World) -> int:
        self.teach(world, *self.supply.next())
        self.claim(world)
        return self.about(HONEST_WAIT_S, HONEST_SPREAD_S)


@dataclass(kw_only=True)
class Flipper(Agent):
    """Teaches wrong labels, seldom and dear: soon after somebody else, at twice the deposit."""

    due: int = field(default=0)

    def act(self, world: World) -> int:
        self.claim(world)
        if self.contributes and world.now >= self.due:
            last = world.now if world.last is None else world.last.time
            wait = last + HURRY_S - world.now
            if wait > 0:
                return wait
            if wait < -MINUTE_S:  # too late for the price that it wants: after the next one
                return MINUTE_S
            row, label = self.supply.next()
            self.teach(world, row, self.wrong(label))
            self.due = world.now + self.about(MALICIOUS_WAIT_S, MALICIOUS_SPREAD_S)
        return max(MINUTE_S, self.due - world.now)


class Random(Agent):
    """Teaches a label by lot."""

    def act(self, world: World) -> int:
        row, _ = self.supply.next()
        self.teach(world, row, int(self.generator.integers(self.classes)))
        self.claim(world)
        return self.about(HONEST_WAIT_S, HONEST_SPREAD_S)


class Farmer(Agent):
    """Repeats what the model says, for points without a risk."""

    def act(self, world: World) -> int:
        row, _ = self.supply.next()
        self.teach(world, row, world.predict(row))
        self.claim(world)
        return self.about(HONEST_WAIT_S, HONEST_SPREAD_S)


class Copycat(Agent):
    """Contributes the latest contribution of another once more."""

    def act(self, world: World) -> int:
        if world.last is not None and world.last.account not in self.accounts:
            self.teach(world, world.last.row, world.last.label)
        self.claim(world)
        return self.about(HONEST_WAIT_S, HONEST_SPREAD_S)


@dataclass(kw_only=True)
class Sybil(Agent):
    """Flips labels from many accounts, and has the deposits taken by one that earned points.

    The first account teaches true labels every other time, for points; the others flip, in turn.
    Each reports what the others lost, so that a deposit may stay in the family.
    """

    turn: int = 0

    def act(self, world: World) -> int:
        row, label = self.supply.next()
        self.turn += 1
        if self.turn % 2 or len(self.accounts) == 1:
            self.teach(world, row, label)
        else:
            flipper = self.accounts[1 + self.turn // 2 % (len(self.accounts) - 1)]
            self.teach(world, row, self.wrong(label), flipper)
        self.claim(world)
        return self.about(HONEST_WAIT_S, HONEST_SPREAD_S)


class Sniper(Agent):
    """Contributes nothing, and takes what anyone may take in the first second that it may."""

    def act(self, world: World) -> int:
        self.claimed = 0  # it is there in the first second
        self.claim(world)
        wait = world.ledger.rules.anyone_wait_s
        times = [one.time + wait - world.now for one in world.open.values()]
        return min((time for time in times if time > 0), default=HOUR_S)


KINDS: dict[str, type[Agent]] = {
    "honest": Honest,
    "flipper": Flipper,
    "random": Random,
    "farmer": Farmer,
    "copycat": Copycat,
    "sybil": Sybil,
    "sniper": Sniper,
}
MAX_ACCOUNTS = 64


def make_agents(wanted: list[str], task: Task, seed: int) -> list[Agent]:
    """Agents from words such as ``honest`` and, with five accounts, ``sybil:5``.

    Raises:
        ConfigurationError: no such kind, or a wrong number of accounts.
    """
    supply = Supply(task, seed)
    agents: list[Agent] = []
    accounts = 0
    for place, word in enumerate(wanted):
        kind, _, number = word.partition(":")
        if kind not in KINDS:
            raise ConfigurationError(f"agent is {word!r}: give one of {', '.join(KINDS)}")
        count = int(number) if number.isdecimal() else (3 if kind == "sybil" else 1)
        good = not number or (kind == "sybil" and number.isdecimal())
        if not good or not 1 <= count <= MAX_ACCOUNTS:
            raise ConfigurationError(
                f"agent is {word!r}: a sybil alone has a number of accounts, sybil:2 to "
                f"sybil:{MAX_ACCOUNTS}"
            )
        same = sum(one.partition(":")[0] == kind for one in wanted[:place])
        agents.append(
            KINDS[kind](
                name=f"{kind} {same + 1}" if same else kind,
                accounts=list(range(accounts, accounts + count)),
                supply=supply,
                classes=len(task.classes),
                generator=np.random.default_rng([seed, 3, place]),
            )
        )
        accounts += count
    return agents
