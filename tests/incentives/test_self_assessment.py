"""The twin and the deployed contracts, side by side, by a state machine (`side_by_side`).

The chain runs in this process on a clock that the test sets, so that every wait is met to the
second.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from ddcai.errors import ContractReverted, IncentiveRefused
from ddcai.incentives.contribution import Contribution
from ddcai.incentives.ledger import SelfAssessmentLedger
from tests.incentives.side_by_side import BOUNDS, FAULTS, R, SideBySide

SEED, EXAMPLES, STEPS = 21, 12, 20
# Steps and how they end: the walk meets every one, or it has stopped testing something.
OUTCOMES = {
    "contribute": "taught, agreed, DeadlinePassed, WrongRelease, PriceTooHigh, DepositTooSmall, "
    "UnknownClass, ReleaseClosed",
    "a batch": "taken, refused",
    "refund": "1 points, 0 points, ended, NoClaim, NotAllowed, TooEarly, WrongPrediction",
    "report": "a share, a last share, the owner's, anyone's, NoClaim, NotAllowed, TooEarly, "
    "WrongPrediction, AlreadyReported, ReleaseOver",
    "withdraw": "paid, NothingToWithdraw",
    "close": "closed, ReleaseClosed, OwnableUnauthorizedAccount",
    "round": "moved, replaced",
}
EXPECTED = {f"{step}: {how}" for step, ways in OUTCOMES.items() for how in ways.split(", ")}
EXPECTED |= {f"{step} after {wait} s" for step in ("refund", "report") for wait in BOUNDS}
# Of these the walk alone; the others it meets at times, and scripted steps always.
WALKED = {
    "contribute: taught",
    "a batch: taken",
    "refund: 1 points",
    "refund: ended",
    "report: a share",
    "report: anyone's",
    "withdraw: paid",
    "round: moved",
    "round: replaced",
    "claim with other data",
}
EXPECTED |= {"claim with other data"}


class _PointForEach(SelfAssessmentLedger):
    """A refund earns a point, whatever the model said before it learned."""

    def refund(self, id_: int, caller: str, predicted: int, *, now: int) -> tuple[int, int]:
        left, earned = super().refund(id_, caller, predicted, now=now)
        extra = int(not earned and id_ > self.ended_id)
        self.points[caller] += extra
        return left, earned + extra


class _LeftIsShared(SelfAssessmentLedger):
    """A reporter's share is taken of what is left, not of the whole deposit."""

    def _open(self, id_: int) -> tuple[Contribution, int]:
        one, left = super()._open(id_)
        return dataclasses.replace(one, price_wei=left), left


class _ReportsAgain(SelfAssessmentLedger):
    """Whoever had its share of a deposit may have another."""

    def has_reported(self, id_: int, account: str) -> bool:
        return False


class _WaitsLonger(SelfAssessmentLedger):
    """At the second at which the wait is over, it is not."""

    def refund(self, id_: int, caller: str, predicted: int, *, now: int) -> tuple[int, int]:
        return super().refund(id_, caller, predicted, now=now - 1)


class _ClosesSlowly(SelfAssessmentLedger):
    """After the end, deposits must still agree with the model."""

    def close(self) -> None:
        if self.closed:
            raise IncentiveRefused("ReleaseClosed")
        self.closed = True


PLANTED = [_PointForEach, _LeftIsShared, _ReportsAgain, _WaitsLonger, _ClosesSlowly]


def _settings(examples: int, *phases: Phase) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=phases or tuple(Phase),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def _script(machine: SideBySide) -> None:
    """Steps of the machine that meet every rule of refunds and reports."""
    machine.deploy(weight=1_000_003)
    machine.everything_agrees()

    def step(function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)
        machine.everything_agrees()

    def teach(who: int, feature: int, label: int, wait_s: int) -> None:
        step(machine.contribute, who, [(feature, label)], None, wait_s)

    teach(3, 1, 0, R)  # what the model says already
    step(machine._refund, 3, *machine.made[0])
    teach(1, 0, 1, 0)
    teach(2, 1, 0, R)
    for who in (1, 2):
        step(machine._refund, who, *machine.made[who])
    teach(2, 0, 2, R)
    step(machine._refund, 2, *machine.made[3])
    teach(3, 1, 1, 0)
    teach(0, 1, 2, R)
    for who in (1, 1, 2):  # each has half of the points; the first tries twice
        step(machine._report, who, *machine.made[4])
    teach(1, 0, 0, 0)
    step(machine.close, 0)
    step(machine._refund, 1, *machine.made[6])


def _rare(machine: SideBySide) -> None:
    """What a walk may miss: each refusal of a contribution, each wait's end, ends of releases."""
    machine.deploy(weight=1_000_003)

    def step(function: Callable[..., None], *arguments: Any) -> None:
        function(*arguments)
        machine.everything_agrees()

    def teach(who: int, *samples: tuple[int, int], fault: str | None = None) -> None:
        step(machine.contribute, who, list(samples), fault, 0)

    def bound_by_bound(index: int, *arguments: int) -> None:
        step(machine._bound_by_bound, *machine.made[index], *arguments)

    for fault in FAULTS:
        teach(1, (0, 0), fault=fault)
    teach(1, (0, 0), (1, 0), fault="label")
    step(machine._refund, 1, *machine.made[0])
    bound_by_bound(0, 2, 0, len(BOUNDS))  # agreed with: a stranger's refunds
    step(machine._refund, 1, *machine.made[0])
    teach(2, (1, 1))
    step(machine.wait, R)
    step(machine._report, 3, *machine.made[-1])
    step(machine._refund, 2, *machine.made[-1])
    teach(1, (0, 1), (0, 2))
    step(machine.wait, R)
    step(machine._refund, 1, *machine.made[-2])
    step(machine._report, 2, *machine.made[-2])  # has all points: the whole deposit
    for _ in range(2):
        step(machine.withdraw, 2)
    for start, owner_from in ((0, len(BOUNDS)), (0, 4), (len(BOUNDS) - 1, len(BOUNDS))):
        teach(1, (0, 1), (0, 2))  # the second lesson takes the first one back
        bound_by_bound(-2, 3, start, owner_from)
    teach(2, (1, 1), (1, 2))
    step(machine.finish_round, 1, 1)
    step(machine._report, 3, *machine.made[-2])
    step(machine.finish_round, 2, 1)
    for claim in (machine._report, machine._refund, machine._refund):
        step(claim, 2, *machine.made[-1])
    for who in (1, 0, 0):
        step(machine.close, who)
    teach(1, (0, 0))


class Counted(SideBySide):
    met: ClassVar[Counter[str]] = Counter()


@pytest.mark.slow
def test_contract_and_twin_agree_after_every_step() -> None:
    Counted.met.clear()
    run_state_machine_as_test(seed(SEED)(Counted), settings=_settings(EXAMPLES))
    assert set(Counted.met) >= WALKED, dict(Counted.met)
    _script(Counted())
    _rare(Counted())
    assert not EXPECTED - set(Counted.met), dict(Counted.met)
    assert not set(Counted.met) - EXPECTED, "new outcomes: put them into the list"


def test_the_script_agrees() -> None:
    _script(SideBySide())


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_of_the_twin_is_found(planted: type[SelfAssessmentLedger]) -> None:
    machine = SideBySide()
    machine.twin_kind = planted
    with pytest.raises((AssertionError, ContractReverted, pytest.fail.Exception)):
        _script(machine)
