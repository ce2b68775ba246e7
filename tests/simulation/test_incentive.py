from __future__ import annotations

import pytest

from ddcai.simulation.incentive import START_UNITS, UNIT_WEI, Outcome
from ddcai.simulation.task import Task, heart_task, sms_task
from ddcai.simulation.world import FirstSystemLedger
from tests.simulation.support import run


@pytest.fixture(scope="module")
def sms() -> Task:
    return sms_task(5)


def _balance(outcome: Outcome, name: str) -> float:
    [found] = [one.balance for one in outcome.summaries if one.agent == name]
    return found


@pytest.mark.parametrize("seed", [5, 6])
def test_the_published_outcome(sms: Task, seed: int) -> None:
    # Harris and Waggoner 2019: the honest agent ends near 197 %, the malicious one near 0,
    # and the model stays as good as it was; it deposits twice as much, a sixth as often.
    outcome, _ = run(sms, ["honest", "flipper"], days=7, seed=seed)
    assert _balance(outcome, "honest") > 1.9
    assert _balance(outcome, "flipper") < 0.1
    assert outcome.accuracy_least > outcome.accuracy_start - 0.02


def test_the_malicious_agent_pays_twice_as_much_a_sixth_as_often(sms: Task) -> None:
    # Few days, so that it has not run out of money.
    outcome, _ = run(sms, ["honest", "flipper"], days=3, seed=5)
    honest, flipper = outcome.summaries
    assert 5 < honest.contributions / flipper.contributions < 8
    assert 1.7 < flipper.deposit_wei / honest.deposit_wei < 2.3


def test_on_heart_data_the_model_holds_and_the_honest_gain() -> None:
    outcome, _ = run(heart_task(5), ["honest", "flipper"], days=7, seed=5)
    assert _balance(outcome, "honest") > 1.3
    assert _balance(outcome, "flipper") < 0.7
    assert outcome.accuracy_end > outcome.accuracy_start - 0.02


def test_money_is_conserved_to_the_wei(sms: Task) -> None:
    everybody = ["honest", "flipper", "random", "farmer", "copycat", "sybil:4", "sniper"]
    outcome, world = run(sms, everybody, days=1, seed=5)
    held = sum(one.balance_wei + one.locked_wei for one in outcome.summaries)
    assert held == 7 * START_UNITS * UNIT_WEI
    assert world.ledger.held_wei == sum(one.locked_wei for one in outcome.summaries)


def test_with_the_first_systems_rule_a_farmer_takes_what_the_honest_would(sms: Task) -> None:
    # Both end with deposits that the flipper lost. What differs is by what right: with the first
    # system's rule the farmer has as many points as the honest one, and half of each report.
    wanted = ["honest", "flipper", "farmer"]
    _, ours = run(sms, wanted, days=3, seed=5)
    _, theirs = run(sms, wanted, days=3, seed=5, ledger=FirstSystemLedger)
    assert ours.points(2) == 0
    assert theirs.points(2) > 0.9 * theirs.points(0) > 100


def test_a_run_can_be_repeated(sms: Task) -> None:
    first, _ = run(sms, ["honest", "flipper", "sybil"], days=0.5, seed=8)
    again, _ = run(sms, ["honest", "flipper", "sybil"], days=0.5, seed=8)
    other, _ = run(sms, ["honest", "flipper", "sybil"], days=0.5, seed=9)
    assert first == again
    assert first != other
