"""The twins of head and incentive beside the contracts, in random steps of four accounts.

After each step all that can be read from the contracts equals the twins; what a contract refuses,
the twin refuses with the same error and arguments, and is as it was before.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from web3 import Web3

from ddcai.chain.incentive import SelfAssessment
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.node.evm import EvmChain
from ddcai.chain.trainer import Trainer
from ddcai.chain.transactions import Receipt
from ddcai.errors import ContractReverted, IncentiveRefused
from ddcai.incentives import self_assessment
from ddcai.incentives.ledger import SelfAssessmentLedger
from ddcai.incentives.self_assessment import Rules
from tests.chain import trainers
from tests.incentives.taught_head import CLASSES, FEATURES, InProcess, TaughtHead, head_for, row

OWNER, *PEOPLE = dev_accounts()[:4]
EVERYBODY = [OWNER, *PEOPLE]
ADDRESSES = [one.address for one in EVERYBODY]
R, OWNERS, A = 50, 70, 90
BOUNDS = [wait + off for wait in (R, OWNERS, A) for off in (-1, 0, 1)]
START = 2_000_000_000
FAULTS = ["over", "short", "below", "late", "release", "label"]


class SideBySide(RuleBasedStateMachine):
    """One trainer; its owner, who may contribute as well, and three others."""

    twin_kind: type[SelfAssessmentLedger] = SelfAssessmentLedger
    met: ClassVar[Counter[str]] = Counter()  # steps and how they ended

    @initialize(weight=st.sampled_from([1_000_003, 1_000_003, 1, 0]))
    def deploy(self, weight: int) -> None:
        self.now = START
        w3 = Web3(InProcess(EvmChain(clock=lambda: self.now)))
        rules = Rules(
            owner=OWNER.address,
            cost_weight_wei=weight,
            refund_wait_s=R,
            owner_wait_s=OWNERS,
            anyone_wait_s=A,
        )
        self.head = TaughtHead(w3, OWNER, rules)
        self.by: list[Trainer] = [
            trainers.trainer(w3, self.head.deployment, one) for one in EVERYBODY
        ]
        incentive = self.by[0].incentive
        assert isinstance(incentive, SelfAssessment)
        self.incentive = incentive
        self.twin = self.twin_kind(incentive.rules(), self.now)
        self.model = self.head.twin
        self.followed = self.rounds = 0
        self.made: list[Any] = []

    # What both do.

    def _said(self, feature: int) -> int:
        return int(self.model.predict(row(feature)[None])[0])

    def _follow(self) -> None:
        """As the trainer: whoever comes first after the model was replaced ends its release."""
        if self.followed != self.model.release:
            self.followed = self.model.release
            self.twin.end_release()

    def _same(
        self, step: str, contract: Callable[[], Receipt], twin: Callable[[], str]
    ) -> Receipt | None:
        """Both do it, or both refuse it for the same reason, and nothing has changed."""
        saved = copy.deepcopy(vars(self.twin)), self.followed, self.model.to_words()
        refused = None
        try:
            how = twin()
        except IncentiveRefused as error:
            refused, how = error, error.name
        self.met[f"{step}: {how}"] += 1
        if refused is None:
            return contract()
        # The transaction takes all back: a batch's first samples, a release's end.
        vars(self.twin).update(saved[0])
        self.followed = saved[1]
        self.model._load(saved[2])
        with pytest.raises(ContractReverted) as caught:
            contract()
        assert (caught.value.name, caught.value.arguments) == (refused.name, refused.arguments)
        return None

    def _unchanged_if_refused(self, function: Callable[[], Any]) -> Any:
        """A single call of the twin's own: it takes nothing back, it changes nothing first."""
        before = _plain(self.twin)
        try:
            return function()
        except IncentiveRefused:
            assert _plain(self.twin) == before
            raise

    # Contributions.

    @precondition(lambda self: len(self.made) < 12)
    @rule(
        who=st.integers(0, 3),
        samples=st.lists(
            st.tuples(st.integers(0, FEATURES - 1), st.integers(0, CLASSES - 1)),
            min_size=1,
            max_size=3,
        ),
        fault=st.sampled_from([None] * 8 + FAULTS),
        then_wait_s=st.sampled_from([0, 0, 1, 3, R]),
    )
    def contribute(
        self, who: int, samples: list[tuple[int, int]], fault: str | None, then_wait_s: int
    ) -> None:
        """Batches of right and wrong labels; at times too late, for too little, of no class."""
        account = ADDRESSES[who]
        first = self.twin.price_wei(self.now)
        later = self_assessment.price_wei(self.twin.rules.cost_weight_wei, 0)
        price = first + later * (len(samples) - 1)
        sent = price + {"short": -1, "over": 7}.get(fault or "", 0) - self.twin.owed_wei[account]
        call = {
            "release": self.model.release + (fault == "release"),
            "maximum_wei": max(0, price - (fault == "below")),
            "deadline": self.now - (fault == "late"),
            "value_wei": max(0, sent),
        }
        labels = [label for _, label in samples]
        if fault == "label":
            labels[-1] = CLASSES
        features = [feature for feature, _ in samples]
        made: list[Any] = []
        receipt = self._same(
            "contribute",
            lambda: self.by[who].teach([row(one).tobytes() for one in features], labels, **call),
            lambda: self._contribute(account, features, labels, made, **call),
        )
        if len(samples) > 1:
            self.met[f"a batch: {'refused' if receipt is None else 'taken'}"] += 1
        if receipt is not None:
            told = self.by[who].contributed_in(receipt)
            assert [one.to_abi() for one in told] == [one.to_abi() for one in made]
            self.made += zip(told, features, strict=True)
            self.now += then_wait_s

    def _contribute(
        self,
        account: str,
        features: list[int],
        labels: list[int],
        made: list[Any],
        *,
        release: int,
        maximum_wei: int,
        deadline: int,
        value_wei: int,
    ) -> str:
        """The trainer's own checks; then sample by sample."""
        if deadline < self.now:
            raise IncentiveRefused("DeadlinePassed", deadline=deadline, now_=self.now)
        if self.twin.closed:
            raise IncentiveRefused("ReleaseClosed")
        self._follow()
        if release != self.model.release:
            raise IncentiveRefused("WrongRelease", given=release, current=self.model.release)
        wrong = 0
        for feature, label in zip(features, labels, strict=True):
            if label >= CLASSES:
                raise IncentiveRefused("UnknownClass", **{"class": label, "classes": CLASSES})
            said, _ = self.model.update(row(feature), label)
            wrong += said != label
            one = self._unchanged_if_refused(
                lambda label=label, said=said: self.twin.contribute(
                    account,
                    label,
                    said,
                    now=self.now,
                    sent_wei=0 if made else value_wei,
                    maximum_wei=maximum_wei - sum(one.price_wei for one in made),
                )
            )
            made.append(one)
        return "taught" if wrong else "agreed"

    # Claims.

    def _refund(self, who: int, one: Any, feature: int) -> None:
        def on_twin() -> str:
            self._follow()
            said = self._said(feature)
            _, points = self._unchanged_if_refused(
                lambda: self.twin.refund(one.id, ADDRESSES[who], said, now=self.now)
            )
            if one.id <= self.twin.ended_id:
                return "ended"
            return f"{points} points"

        self._at("refund", one)
        self._same("refund", lambda: self.by[who].refund(one), on_twin)

    def _report(self, who: int, one: Any, feature: int) -> None:
        def on_twin() -> str:
            self._follow()
            said = self._said(feature)
            self._unchanged_if_refused(
                lambda: self.twin.report(one.id, ADDRESSES[who], said, now=self.now)
            )
            waited = self.now - one.time
            if waited >= A:
                return "anyone's"
            if waited >= OWNERS and who == 0 and one.contributor != OWNER.address:
                return "the owner's"
            return "a share" if one.id in self.twin.left_wei else "a last share"

        self._at("report", one)
        self._same("report", lambda: self.by[who].report(one), on_twin)

    def _at(self, step: str, one: Any) -> None:
        waited = self.now - one.time
        if waited in BOUNDS and one.id in self.twin.left_wei:
            self.met[f"{step} after {waited} s"] += 1

    @precondition(lambda self: self.made)
    @rule(data=st.data(), who=st.integers(0, 3), own=st.booleans(), other=st.integers(0, 4))
    def claim(self, data: st.DataObject, who: int, own: bool, other: int) -> None:
        """Anybody's, by anybody or by its contributor; at a wait's end, or next to it."""
        one, feature = data.draw(st.sampled_from(self._open() or self.made), label="one")
        ahead = [wait for wait in BOUNDS if one.time + wait >= self.now]
        if ahead:
            self.now = one.time + data.draw(st.sampled_from(ahead), label="waited")
        if own:
            who = ADDRESSES.index(one.contributor)
        # Mostly what may succeed; at times what may not.
        if (self._said(feature) == one.label) == (other > 0):
            self._refund(who, one, feature)
        else:
            self._report(who, one, feature)

    @precondition(lambda self: self._open())
    @rule(seconds=st.sampled_from([0, R, R, R - 1]))
    def refund_their_own(self, seconds: int) -> None:
        """Everybody, as soon as it may be: so there are points."""
        self.now += seconds
        for one, feature in self._open()[-4:]:
            self._refund(ADDRESSES.index(one.contributor), one, feature)

    @precondition(lambda self: self._open())
    @rule(
        data=st.data(),
        after_s=st.sampled_from([R, R, R, OWNERS, OWNERS + 1]),
        order=st.permutations([0, 1, 1, 2, 2, 3]),
    )
    def everybody_reports(self, data: st.DataObject, after_s: int, order: list[int]) -> None:
        """The same one, some twice: shares, until nothing is left or nobody may have more."""
        wrong = [each for each in self._open() if self._said(each[1]) != each[0].label]
        one, feature = data.draw(st.sampled_from(wrong or self._open()))
        self.now = max(self.now, one.time + after_s)
        for who in order:
            self._report(who, one, feature)

    @precondition(lambda self: self._open())
    @rule(
        data=st.data(),
        stranger=st.integers(0, 3),
        start=st.sampled_from(range(len(BOUNDS))),
        end=st.sampled_from(range(1, len(BOUNDS) + 1)),
    )
    def wait_bound_by_bound(self, data: st.DataObject, stranger: int, start: int, end: int) -> None:
        """One account tries before, at and after the end of each wait; then who surely may."""
        self._bound_by_bound(*data.draw(st.sampled_from(self._open())), stranger, start, end)

    def _bound_by_bound(self, one: Any, feature: int, stranger: int, start: int, end: int) -> None:
        agrees = self._said(feature) == one.label
        right = ADDRESSES.index(one.contributor) if agrees else 0
        claim = self._refund if agrees else self._report
        for place, wait in list(enumerate(BOUNDS))[start:]:
            if one.time + wait >= self.now and one.id in self.twin.left_wei:
                self.now = one.time + wait
                claim(stranger if place < end else right, one, feature)

    @precondition(lambda self: len(self.made) < 8 and not self.twin.closed)
    @rule(
        order=st.permutations(range(4)),
        feature=st.integers(0, FEATURES - 1),
        bounds=st.integers(1, 7),
    )
    def disagree(self, order: list[int], feature: int, bounds: int) -> None:
        """Two learn and earn points; a third's label is taught away again; all ask for it."""
        for who in order[:2]:
            said = self._said(feature)
            self.contribute(who, [(feature, (said + 1) % CLASSES)], None, R)
            self._refund(who, *self.made[-1])
        for who in (order[2], order[3]):
            said = self._said(feature)
            self.contribute(who, [(feature, (said + 1) % CLASSES)], None, 0)
        one = self.made[-2][0]
        asking = [order[0]] * bounds + order[:1:-1] + [order[1]] * len(BOUNDS)
        for wait, who in zip(BOUNDS, asking, strict=False):
            self.now = one.time + wait
            self._report(who, one, feature)

    def _open(self) -> list[Any]:
        return [each for each in self.made if each[0].id in self.twin.left_wei]

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def claim_with_other_data(self, data: st.DataObject) -> None:
        """A label, a price or a feature that is not the contribution's."""
        one, feature = data.draw(st.sampled_from(self.made))
        changes: dict[str, Any] = data.draw(
            st.sampled_from(
                [
                    {"label": (one.label + 1) % CLASSES},
                    {"price_wei": one.price_wei + 1},
                    {"time": one.time - R},
                    {"features": row(1 - feature).tobytes()},
                    {"contributor": ADDRESSES[-1]}
                    if one.contributor != ADDRESSES[-1]
                    else {"id": len(self.made) + 1},
                ]
            )
        )
        forged = dataclasses.replace(one, **changes)
        for function in (self.by[-1].refund, self.by[-1].report):
            with pytest.raises(ContractReverted) as caught:
                function(forged)
            assert (caught.value.name, caught.value.arguments) == ("NoClaim", {"id": forged.id})
        self.met["claim with other data"] += 1

    @rule(seconds=st.sampled_from([1, 3, OWNERS - R, R]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    # Money and ends.

    @precondition(lambda self: any(self.twin.owed_wei.values()))
    @rule(who=st.integers(0, 3))
    def withdraw(self, who: int) -> None:
        def on_twin() -> str:
            self._unchanged_if_refused(lambda: self.twin.withdraw(ADDRESSES[who]))
            return "paid"

        self._same("withdraw", self.by[who].incentive.withdraw, on_twin)

    @precondition(lambda self: len(self.made) > 3 * (self.rounds + 1))
    @rule(class_=st.integers(0, CLASSES - 1), lessons=st.integers(1, 3))
    def finish_round(self, class_: int, lessons: int) -> None:
        """The federation writes its head: one round moves the live one, the next replaces it."""
        self.rounds += 1
        before = self.model.release
        head = head_for(class_, lessons)
        self.head.write(head)
        self.model.write(head, self.rounds)
        self.met[f"round: {'replaced' if self.model.release > before else 'moved'}"] += 1

    @precondition(lambda self: len(self.made) > 8)
    @rule(who=st.sampled_from([0, 0, 1, 2, 3]))
    def close(self, who: int) -> None:
        def on_twin() -> str:
            if who:
                raise IncentiveRefused("OwnableUnauthorizedAccount", account=ADDRESSES[who])
            self._unchanged_if_refused(self.twin.close)
            return "closed"

        self._same("close", self.by[who].close, on_twin)

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "twin"):
            return
        ids = list(range(len(self.made) + 2))
        assert self.head.state() == (
            self.model.to_words(),
            self.model.written.to_words(),
            self.model.release,
        )
        assert self.incentive.price_wei() == self.twin.price_wei(self.now)
        assert self.incentive.last_id() == self.twin.last_id
        assert self.incentive.ended_id() == self.twin.ended_id
        assert self.incentive.is_closed() == self.twin.closed
        records = self.incentive.records_of(ids)
        assert {
            id_: record.left_wei for id_, record in zip(ids, records, strict=True) if record.open
        } == self.twin.left_wei
        open_ = list(self.twin.left_wei)
        all_points = sum(self.twin.points.values())
        for address in ADDRESSES:
            assert self.incentive.owed_wei(address) == self.twin.owed_wei[address]
            own_and_all = self.incentive._contract.call("points", address)
            assert own_and_all == (self.twin.points[address], all_points)
            reported = self.incentive.have_reported(open_, address)
            assert reported == [self.twin.has_reported(id_, address) for id_ in open_]
        balance = self.by[0].held_wei()
        assert balance == self.twin.held_wei
        assert balance == sum(self.twin.owed_wei.values()) + sum(self.twin.left_wei.values())


def _plain(twin: SelfAssessmentLedger) -> dict[str, Any]:
    """All that a twin holds; an account that was looked up and has nothing is not there."""
    return {
        key: {account: n for account, n in value.items() if n}
        if isinstance(value, dict)
        else copy.copy(value)
        for key, value in vars(twin).items()
    }
