"""One simulation: agents wake in order, act, and everything is written down."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ddcai.incentives.self_assessment import Rules
from ddcai.simulation.agents import HONEST_WAIT_S, HOUR_S, Agent
from ddcai.simulation.task import Task
from ddcai.simulation.world import World

DAY_S = 86_400
# An honest deposit and what everybody starts with, as in the published simulation: 50 and 10,000.
UNIT_WEI = 10**12
HONEST_DEPOSIT_UNITS, START_UNITS = 50, 10_000
REFUND_WAIT_S, OWNER_WAIT_S, ANYONE_WAIT_S = 9 * HOUR_S, 2 * DAY_S, 3 * DAY_S


def default_rules(owner: str) -> Rules:
    """Rules by which an honest agent that comes every ten minutes pays 50 units."""
    root = int(HONEST_WAIT_S**0.5)
    return Rules(
        owner=owner,
        cost_weight_wei=HONEST_DEPOSIT_UNITS * UNIT_WEI * root // 3600,
        refund_wait_s=REFUND_WAIT_S,
        owner_wait_s=OWNER_WAIT_S,
        anyone_wait_s=ANYONE_WAIT_S,
    )


@dataclass(frozen=True, kw_only=True)
class Moment:
    """How things stand at a time.

    Attributes:
        day: since the start.
        accuracy: of the model, on the test set.
        balances: each agent's, a share of what it started with; open deposits are not in it.
    """

    day: float
    accuracy: float
    balances: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How an agent ended.

    Attributes:
        agent: its name.
        contributions: how many.
    deposit_wei: of each, on average, rounded down.
        balance: a share of what it started with.
        balance_wei: what it has.
    locked_wei: what is left of its deposits.
        points: of all of its accounts.
    """

    agent: str
    contributions: int
    deposit_wei: int
    balance: float
    balance_wei: int
    locked_wei: int
    points: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A whole simulation.

    Attributes:
        names: of agents, in the order of `Moment.balances`.
        moments: one an hour, the start and the end included.
        summaries: one an agent.
    """

    names: tuple[str, ...]
    moments: tuple[Moment, ...]
    summaries: tuple[Summary, ...]

    @property
    def accuracy_start(self) -> float:
        """Before anybody contributed."""
        return self.moments[0].accuracy

    @property
    def accuracy_end(self) -> float:
        """When contributing was over."""
        return self.moments[-1].accuracy

    @property
    def accuracy_least(self) -> float:
        """At its worst hour."""
        return min(one.accuracy for one in self.moments)


def start_wallets_wei(agents: Sequence[Agent]) -> list[int]:
    """What each account starts with; an agent's accounts share its money."""
    wallets: list[int] = []
    for agent in agents:
        each, rest = divmod(START_UNITS * UNIT_WEI, len(agent.accounts))
        wallets += [each + rest] + [each] * (len(agent.accounts) - 1)
    return wallets


def simulate(
    world: World,
    agents: Sequence[Agent],
    task: Task,
    *,
    days: float,
    advance: Callable[[float], None] = lambda share: None,
) -> Outcome:
    """Runs agents for some days of contributing, and the time that claims take after it.

    Args:
        days: of contributing; afterwards agents only claim, until anyone may have had all.
        advance: is told the share that is done.
    """
    start = world.now
    stop = start + round(days * DAY_S)
    end = stop + world.ledger.rules.anyone_wait_s + DAY_S
    queue = [(start + agent.about(60, 20), place) for place, agent in enumerate(agents)]
    heapq.heapify(queue)
    moments = [_moment(world, agents, task, start)]
    hour = start + HOUR_S
    while queue and queue[0][0] <= end:
        time, place = heapq.heappop(queue)
        while hour <= time:
            world.now = hour
            moments.append(_moment(world, agents, task, start))
            hour += HOUR_S
        world.now = time
        agents[place].contributes = time < stop
        heapq.heappush(queue, (time + agents[place].act(world), place))
        advance((time - start) / (end - start))
    world.now = end
    moments.append(_moment(world, agents, task, start))
    world.close()
    return Outcome(
        names=tuple(agent.name for agent in agents),
        moments=tuple(moments),
        summaries=tuple(_summary(world, agent) for agent in agents),
    )


def _balance_wei(world: World, agent: Agent) -> int:
    return sum(world.balance_wei(account) for account in agent.accounts)


def _moment(world: World, agents: Sequence[Agent], task: Task, start: int) -> Moment:
    whole = START_UNITS * UNIT_WEI
    return Moment(
        day=(world.now - start) / DAY_S,
        accuracy=task.accuracy(world.model),
        balances=tuple(_balance_wei(world, agent) / whole for agent in agents),
    )


def _summary(world: World, agent: Agent) -> Summary:
    balance = _balance_wei(world, agent)
    return Summary(
        agent=agent.name,
        contributions=agent.contributions,
        deposit_wei=agent.deposited_wei // max(1, agent.contributions),
        balance=balance / (START_UNITS * UNIT_WEI),
        balance_wei=balance,
        locked_wei=sum(world.locked_wei(account) for account in agent.accounts),
        points=sum(world.points(account) for account in agent.accounts),
    )
