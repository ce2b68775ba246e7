"""The twin of `contracts/src/incentives/SelfAssessment.sol`: deposit, refund, take.

Harris and Waggoner, "Decentralized and Collaborative AI on Blockchain" (2019), section IV-C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from math import isqrt
from typing import Any, Self

from eth_utils.address import to_checksum_address

from ddcai.errors import IncentiveRefused
from ddcai.incentives.contribution import Contribution

HOUR_S = 3600


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of one release, fixed when its incentive is deployed.

    Attributes:
        owner: may take what is left of a deposit that the model disagrees with from
            ``owner_wait_s`` on.
        cost_weight_wei: 0 makes contributions free: nothing is recorded or earned.
        refund_wait_s: seconds until anybody may claim anything.
        owner_wait_s: at least ``refund_wait_s``.
        anyone_wait_s: at least ``owner_wait_s``.
    """

    owner: str
    cost_weight_wei: int
    refund_wait_s: int
    owner_wait_s: int
    anyone_wait_s: int

    def to_abi(self) -> tuple[Any, ...]:
        """The fields in the order of ``SelfAssessment.Rules``."""
        return astuple(self)

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Self:
        """Rules from the fields in the contract's order."""
        owner, weight, refund_wait, owner_wait, anyone_wait = values
        return cls(
            owner=str(to_checksum_address(owner)),
            cost_weight_wei=weight,
            refund_wait_s=refund_wait,
            owner_wait_s=owner_wait,
            anyone_wait_s=anyone_wait,
        )


def price_wei(cost_weight_wei: int, elapsed_s: int) -> int:
    """What one contribution costs, floor(3600 w / max(1, floor(sqrt(e)))).

    Args:
        cost_weight_wei: w, from 0.
        elapsed_s: e, seconds since the last contribution, from 0.
    """
    return HOUR_S * cost_weight_wei // max(1, isqrt(elapsed_s))


def refund_points(
    rules: Rules, one: Contribution, caller: str, predicted: int, *, now: int, ended: bool
) -> int:
    """Points that its contributor earns when it takes an open deposit back, all that is left.

    Args:
        predicted: what the model says to the sample now.
        now: unix seconds.
        ended: whether the contribution's release has ended.

    Raises:
        IncentiveRefused: ``NotAllowed``, ``TooEarly`` or ``WrongPrediction``, in this order.
    """
    if caller != one.contributor:
        raise IncentiveRefused("NotAllowed", id=one.id, caller=caller)
    if ended:
        return 0
    _check_wait(rules, one, now)
    if predicted != one.label:
        raise _wrong_prediction(one, predicted)
    return int(one.predicted != one.label)


def report_wei(
    rules: Rules,
    one: Contribution,
    caller: str,
    predicted: int,
    *,
    now: int,
    ended: bool,
    left_wei: int,
    own_points: int,
    all_points: int,
    has_reported: bool,
) -> int:
    """What an account may have of an open deposit, in wei.

    Args:
        predicted, now, ended: as in `refund_points`.
        left_wei: of the deposit.
        own_points, all_points: of the caller, and of all accounts.
        has_reported: whether the caller had its share.

    Raises:
        IncentiveRefused: ``ReleaseOver``, ``TooEarly``, ``WrongPrediction``, ``NotAllowed`` or
            ``AlreadyReported``, in this order.
    """
    if ended:
        raise IncentiveRefused("ReleaseOver", id=one.id)
    _check_wait(rules, one, now)
    if predicted == one.label:
        raise _wrong_prediction(one, predicted)
    stranger = caller != one.contributor
    if now >= one.time + rules.anyone_wait_s:
        return left_wei
    if caller == rules.owner and stranger and now >= one.time + rules.owner_wait_s:
        return left_wei
    if not stranger or own_points == 0:
        raise IncentiveRefused("NotAllowed", id=one.id, caller=caller)
    if has_reported:
        raise IncentiveRefused("AlreadyReported", id=one.id, caller=caller)
    share = one.price_wei * own_points // all_points
    return left_wei if share == 0 or share > left_wei else share


def _check_wait(rules: Rules, one: Contribution, now: int) -> None:
    earliest = one.time + rules.refund_wait_s
    if now < earliest:
        raise IncentiveRefused("TooEarly", id=one.id, earliest=earliest)


def _wrong_prediction(one: Contribution, predicted: int) -> IncentiveRefused:
    arguments = {"id": one.id, "predicted": predicted, "class": one.label}
    return IncentiveRefused("WrongPrediction", **arguments)
