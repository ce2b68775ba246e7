"""The twin and the deployed contracts, side by side: random steps, real transactions.

The chain runs in this process on a clock that the test sets, so that every wait is met to the
second. After each step all that can be read from the contracts equals the twin; what a contract
refuses, the twin refuses with the same error and arguments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from web3 import Web3
from web3.providers.base import BaseProvider

from ddcai.chain.contract import Contract
from ddcai.chain.incentive import SelfAssessment
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.node.evm import EvmChain
from ddcai.chain.node.methods import Methods
from ddcai.chain.node.rpc_error import RpcError
from ddcai.chain.trainer import Trainer
from ddcai.chain.transactions import Receipt
from ddcai.errors import ContractReverted, IncentiveRefused
from ddcai.incentives import self_assessment
from ddcai.incentives.contribution import Contribution
from ddcai.incentives.ledger import SelfAssessmentLedger
from ddcai.models.heads import SparsePerceptron
from tests.chain import trainers

OWNER, *PEOPLE = dev_accounts()[:4]
EVERYBODY = [OWNER, *PEOPLE]
R, A = 50, 90
OWNERS = 70
START = 2_000_000_000
CLASSES = 3
SEED = 20


class _InProcess(BaseProvider):
    """A node in this thread."""

    def __init__(self, methods: Methods) -> None:
        super().__init__()
        self._methods = methods

    def make_request(self, method: Any, params: Any) -> Any:
        try:
            return {"result": self._methods.handle(method, params)}
        except RpcError as error:
            told = {"code": error.code, "message": error.message, "data": error.data}
            return {"error": told}


class SideBySide(RuleBasedStateMachine):
    """One trainer; its owner, who may contribute as well, and three others."""

    twin_kind: type[SelfAssessmentLedger] = SelfAssessmentLedger

    @initialize(weight=st.sampled_from([1_000_003, 1, 0]))
    def deploy(self, weight: int) -> None:
        self.chain = EvmChain()
        self.now = START
        self.chain.now = lambda: self.now  # type: ignore[method-assign]
        w3 = Web3(_InProcess(Methods(self.chain)))
        deployed = trainers.deploy(
            w3,
            OWNER,
            owner=OWNER.address,
            cost_weight_wei=weight,
            refund_wait_s=R,
            owner_wait_s=OWNERS,
            anyone_wait_s=A,
        )
        self.by: list[Trainer] = [trainers.trainer(w3, deployed, one) for one in EVERYBODY]
        incentive = self.by[0].incentive
        assert isinstance(incentive, SelfAssessment)
        self.incentive, self.w3 = incentive, w3
        self.twin = self.twin_kind(incentive.rules(), self.now)
        self.model = SparsePerceptron.from_words(
            [0] * SparsePerceptron._count_words(trainers.FEATURES, CLASSES),
            trainers.FEATURES,
            CLASSES,
            1,
        )
        self.made: list[Any] = []

    def _said(self, feature: int) -> int:
        return int(self.model.predict([[feature]])[0])  # type: ignore[list-item]

    def _same(self, contract: Callable[[], Receipt], twin: Callable[[], Any]) -> Receipt | None:
        """Both do it, or both refuse it for the same reason."""
        refused = None
        try:
            twin()
        except IncentiveRefused as error:
            refused = error
        if refused is None:
            return contract()
        with pytest.raises(ContractReverted) as caught:
            contract()
        assert (caught.value.name, caught.value.arguments) == (refused.name, refused.arguments)
        return None

    @precondition(lambda self: len(self.made) < 12)
    @rule(
        who=st.integers(0, 3),
        samples=st.lists(
            st.tuples(st.integers(0, 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=3
        ),
        fault=st.sampled_from([None] * 12 + ["over", "short", "below", "late", "release"]),
        then_wait_s=st.sampled_from([R, R + 1, OWNERS, 0, 1]),
    )
    def contribute(
        self, who: int, samples: list[tuple[int, int]], fault: str | None, then_wait_s: int
    ) -> None:
        """Batches of right and wrong labels; sometimes too late, or for too little."""
        account = EVERYBODY[who].address
        short_wei = {"short": 1, "over": -7}.get(fault or "", 0)
        below_wei, late_s, other_release = (
            fault == "below",
            int(fault == "late"),
            fault == "release",
        )
        first = self.twin.price_wei(self.now)
        later = self_assessment.price_wei(self.twin.rules.cost_weight_wei, 0)
        price = first + later * (len(samples) - 1)
        maximum = max(0, price - below_wei)
        value = max(0, price - short_wei - self.twin.owed_wei[account])
        call = {
            "release": int(other_release),
            "maximum_wei": maximum,
            "deadline": self.now - late_s,
            "value_wei": value,
        }
        rows = [trainers.sample(feature) for feature, _ in samples]
        labels = [label for _, label in samples]

        def on_twin() -> None:
            """The trainer's own checks; then sample by sample, all or none."""
            if late_s:
                named = {"deadline": self.now - late_s, "now_": self.now}
                raise IncentiveRefused("DeadlinePassed", **named)
            if self.twin.closed:
                raise IncentiveRefused("ReleaseClosed")
            if other_release:
                raise IncentiveRefused("WrongRelease", given=1, current=0)
            saved = vars(self.twin).copy()
            saved = {key: _copy(value) for key, value in saved.items()}
            words, bound, sent, made = self.model.to_words(), maximum, value, []
            try:
                for feature, label in samples:
                    said = self._said(feature)
                    self.model.update([feature], label)  # type: ignore[arg-type]
                    one = self.twin.contribute(
                        account, label, said, now=self.now, sent_wei=sent, maximum_wei=bound
                    )
                    made.append((one, feature))
                    bound, sent = bound - one.price_wei, 0
            except IncentiveRefused:
                vars(self.twin).update(saved)
                self.model._load(words)
                raise
            self.made += made

        before = len(self.made)
        if len(samples) == 1:
            receipt = self._same(
                lambda: self.by[who].contribute(rows[0], labels[0], **call), on_twin
            )
        else:
            receipt = self._same(
                lambda: self.by[who].contribute_many(rows, labels, **call), on_twin
            )
        if receipt is not None:
            told = self.by[who].contributed_in(receipt)
            assert [one.to_abi() for one in told] == [one.to_abi() for one, _ in self.made[before:]]
            self.made[before:] = [
                (one, feature) for one, (_, feature) in zip(told, self.made[before:], strict=True)
            ]
            self.now += then_wait_s

    @rule(seconds=st.sampled_from([0, 1, 3, OWNERS - R, OWNERS - R - 1, R - 1, R, R + 1, A]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    def _refund(self, who: int, one: Any, feature: int) -> None:
        caller = EVERYBODY[who].address
        self._same(
            lambda: self.by[who].refund(one),
            lambda: self.twin.refund(one.id, caller, self._said(feature), now=self.now),
        )

    def _report(self, who: int, one: Any, feature: int) -> None:
        caller = EVERYBODY[who].address
        self._same(
            lambda: self.by[who].report(one),
            lambda: self.twin.report(one.id, caller, self._said(feature), now=self.now),
        )

    @precondition(lambda self: self.made)
    @rule(data=st.data(), who=st.integers(0, 3))
    def refund(self, data: st.DataObject, who: int) -> None:
        """Anybody's, by anybody."""
        self._refund(who, *data.draw(st.sampled_from(self.made)))

    @precondition(lambda self: self.made)
    @rule(seconds=st.sampled_from([0, R, R, R - 1]))
    def refund_their_own(self, seconds: int) -> None:
        """Everybody, as soon as it may be: so there are points."""
        self.now += seconds
        for one, feature in self.made[-6:]:
            who = [each.address for each in EVERYBODY].index(one.contributor)
            self._refund(who, one, feature)

    @precondition(lambda self: self.made)
    @rule(data=st.data(), who=st.integers(0, 3))
    def report(self, data: st.DataObject, who: int) -> None:
        """The owner, holders of points, and anyone."""
        self._report(who, *data.draw(st.sampled_from(self.made)))

    @precondition(lambda self: self.made)
    @rule(who=st.integers(0, 3), times=st.integers(1, 2))
    def report_all(self, who: int, times: int) -> None:
        """One after the other, and again."""
        for one, feature in self.made[-6:] * times:
            self._report(who, one, feature)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def claim_with_other_data(self, data: st.DataObject) -> None:
        """A label, a price or a feature that is not the contribution's."""
        one, _ = data.draw(st.sampled_from(self.made))
        changes: dict[str, Any] = data.draw(
            st.sampled_from(
                [
                    {"label": (one.label + 1) % CLASSES},
                    {"price_wei": one.price_wei + 1},
                    {"time": one.time - R},
                    {"features": trainers.sample(7)},
                    {"contributor": PEOPLE[-1].address}
                    if one.contributor != PEOPLE[-1].address
                    else {"id": len(self.made) + 1},
                ]
            )
        )
        forged = dataclasses.replace(one, **changes)
        for function in (self.by[-1].refund, self.by[-1].report):
            with pytest.raises(ContractReverted) as caught:
                function(forged)
            assert (caught.value.name, caught.value.arguments) == ("NoClaim", {"id": forged.id})

    @precondition(lambda self: any(self.twin.owed_wei.values()))
    @rule(who=st.integers(0, 3))
    def withdraw(self, who: int) -> None:
        self._same(
            lambda: self.by[who].incentive.withdraw(),
            lambda: self.twin.withdraw(EVERYBODY[who].address),
        )

    @precondition(lambda self: len(self.made) > 9)
    @rule(who=st.integers(0, 3))
    def close(self, who: int) -> None:
        def on_twin() -> None:
            if who:
                named = {"account": EVERYBODY[who].address}
                raise IncentiveRefused("OwnableUnauthorizedAccount", **named)
            self.twin.close()

        self._same(lambda: self.by[who].close(), on_twin)

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "twin"):
            return
        ids = list(range(len(self.made) + 2))
        contract: Contract = self.incentive._contract
        addresses = [one.address for one in EVERYBODY]
        assert self.incentive.price_wei() == self.twin.price_wei(self.now)
        assert self.incentive.last_id() == self.twin.last_id
        assert self.incentive.ended_id() == self.twin.ended_id
        assert self.incentive.is_closed() == self.twin.closed
        records = self.incentive.records_of(ids)
        assert {
            id_: record.left_wei for id_, record in zip(ids, records, strict=True) if record.open
        } == self.twin.left_wei
        all_points = sum(self.twin.points.values())
        for address in addresses:
            assert self.incentive.owed_wei(address) == self.twin.owed_wei[address]
            own, total = contract.call("points", address)
            assert (own, total) == (self.twin.points[address], all_points)
            reported = self.incentive.have_reported(ids, address)
            assert reported == [self.twin.has_reported(id_, address) for id_ in ids]
        balance = int(
            self.w3.provider.make_request(
                "eth_getBalance",
                [  # type: ignore[arg-type]
                    self.incentive.address,
                    "latest",
                ],
            )["result"],
            16,
        )
        assert balance == self.twin.held_wei
        assert balance == sum(self.twin.owed_wei.values()) + sum(self.twin.left_wei.values())


def _copy(value: Any) -> Any:
    return value.copy() if hasattr(value, "copy") else value


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
        stateful_step_count=30,
        deadline=None,
        database=None,
        phases=phases or tuple(Phase),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.slow
def test_contract_and_twin_agree_after_every_step() -> None:
    run_state_machine_as_test(seed(SEED)(SideBySide), settings=_settings(12))


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


def test_the_script_agrees() -> None:
    _script(SideBySide())


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_fault_of_the_twin_is_found(planted: type[SelfAssessmentLedger]) -> None:
    machine = SideBySide()
    machine.twin_kind = planted
    with pytest.raises((AssertionError, ContractReverted, pytest.fail.Exception)):
        _script(machine)
