"""What an account can claim of a trainer's contributions, now or later, by the chain alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from ddcai.chain.contributions import Contributed, Refunded, ReleaseStarted, Reported, TrainerEvent
from ddcai.chain.incentive import Points, PointsIncentive, SelfAssessment
from ddcai.chain.prediction_market import Phase, PredictionMarket
from ddcai.chain.trainer import Trainer
from ddcai.errors import ConfigurationError, IncentiveRefused
from ddcai.incentives.self_assessment import Rules, refund_points, report_wei

Outcome = Literal["open", "refunded", "forfeited", "free"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One contribution that this account may have something of.

    Attributes:
        action: its own deposit back, or somebody else's that the model disagrees with.
        amount_wei, points: what it would bring.
        ready: whether it can be claimed now.
        earliest: the first second at which its wait is over, unix time.
        refused: why it cannot be claimed now; empty if it can.
    """

    action: Literal["refund", "report"]
    contribution: Contributed
    amount_wei: int
    points: int
    ready: bool
    earliest: int
    refused: str


@dataclass(frozen=True)
class _View:
    rules: Rules
    account: str
    now: int
    ended_id: int
    points: Points


def claims_of(trainer: Trainer, account: str, *, first_release: int = 0) -> list[Claim]:
    """What is open that this account has, or may come to have, a claim on; by id.

    Args:
        account: checksum address.
        first_release: the model's release when the trainer was deployed.

    Raises:
        ConfigurationError: nothing is claimed of such an incentive.
    """
    incentive = trainer.incentive
    if isinstance(incentive, PredictionMarket):
        return _stakes(trainer, incentive, account)
    if not isinstance(incentive, SelfAssessment | PointsIncentive):
        raise ConfigurationError(f"the incentive is {incentive.kind!r}: nothing is claimed of it")
    history = trainer.history()
    made = [one for one in history if isinstance(one, Contributed)]
    records = incentive.records_of([one.id for one in made])
    pairs = [(one, found) for one, found in zip(made, records, strict=True) if found.open]
    releases = [one.release for one in history if isinstance(one, ReleaseStarted)]
    # The next to come ends a release that the model has left: the claim itself does.
    pending = trainer.model_release() != (releases[-1] if releases else first_release)
    now = max(trainer.block_time(), int(time.time()))
    ended_id = len(made) if pending else incentive.ended_id()
    ask = [one for one, _ in pairs if one.id > ended_id]
    said = dict(
        zip(
            (one.id for one in ask),
            trainer.predict_many([one.features for one in ask]),
            strict=True,
        )
    )
    if isinstance(incentive, PointsIncentive):
        wait = incentive.rules().refund_wait_s
        return [
            _point(one, said[one.id], now=now, earliest=one.time + wait)
            for one in ask
            if one.contributor == account
        ]
    view = _View(
        rules=incentive.rules(),
        account=account,
        now=now,
        ended_id=ended_id,
        points=incentive.points(account),
    )
    had = incentive.have_reported([one.id for one, _ in pairs], account)
    found = [
        _claim(view, one, record.left_wei, said.get(one.id, one.label), reported)
        for (one, record), reported in zip(pairs, had, strict=True)
    ]
    return [one for one in found if one is not None]


def _stakes(trainer: Trainer, market: PredictionMarket, account: str) -> list[Claim]:
    """Stakes that no evaluation decides on any more: of a market that is over."""
    made = [one for one in trainer.contributions() if one.contributor == account]
    records = market.records_of([one.id for one in made])
    phase, rules = market.phase(), market.rules()
    share = market.forfeited_share_wei() if phase == Phase.FORFEITED else 0
    over = phase in (Phase.FORFEITED, Phase.FINISHED)
    return [
        Claim(
            action="refund",
            contribution=one,
            amount_wei=record.left_wei + share,
            points=0,
            ready=over,
            earliest=rules.evaluate_by + 1,
            refused="" if over else "WrongPhase",
        )
        for one, record in zip(made, records, strict=True)
        if record.open
    ]


def _point(one: Contributed, predicted: int, *, now: int, earliest: int) -> Claim:
    """A point that its contributor may ask for; nobody else has a claim."""
    refused = ""
    if now < earliest:
        refused = "TooEarly"
    elif predicted != one.label:
        refused = "WrongPrediction"
    return Claim(
        action="refund",
        contribution=one,
        amount_wei=0,
        points=1,
        ready=not refused,
        earliest=earliest,
        refused=refused,
    )


def _claim(
    view: _View, one: Contributed, left_wei: int, predicted: int, reported: bool
) -> Claim | None:
    own, ended = one.contributor == view.account, one.id <= view.ended_id
    earliest = one.time + view.rules.refund_wait_s
    if own and (ended or predicted == one.label):
        points, refused = 0, ""
        try:
            points = refund_points(
                view.rules, one, view.account, predicted, now=view.now, ended=ended
            )
        except IncentiveRefused as error:
            refused = error.name
        return Claim(
            action="refund",
            contribution=one,
            amount_wei=left_wei,
            points=points if not refused else int(one.predicted != one.label),
            ready=not refused,
            earliest=one.time if ended else earliest,
            refused=refused,
        )
    if ended or predicted == one.label:
        return None
    amount, refused = left_wei, ""
    try:
        amount = report_wei(
            view.rules,
            one,
            view.account,
            predicted,
            now=view.now,
            ended=ended,
            left_wei=left_wei,
            own_points=view.points.own,
            all_points=view.points.total,
            has_reported=reported,
        )
    except IncentiveRefused as error:
        refused = error.name
        if own or view.points.own == 0 or reported:
            by_owner = view.account == view.rules.owner and not own
            wait = view.rules.owner_wait_s if by_owner else view.rules.anyone_wait_s
            earliest = one.time + wait
    return Claim(
        action="report",
        contribution=one,
        amount_wei=amount,
        points=0,
        ready=not refused,
        earliest=earliest,
        refused=refused,
    )


def outcomes(history: list[TrainerEvent]) -> dict[int, Outcome]:
    """What became of each contribution, by id."""
    found: dict[int, Outcome] = {}
    left: dict[int, int] = {}
    for one in history:
        if isinstance(one, Contributed):
            found[one.id] = "open" if one.price_wei else "free"
            left[one.id] = one.price_wei
        elif isinstance(one, Refunded):
            found[one.id] = "refunded"
        elif isinstance(one, Reported):
            left[one.id] -= one.amount_wei
            if left[one.id] == 0:
                found[one.id] = "forfeited"
    return found
