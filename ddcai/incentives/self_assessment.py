"""The twin of `contracts/src/incentives/SelfAssessment.sol`: deposit, refund, take.

Harris and Waggoner, "Decentralized and Collaborative AI on Blockchain" (2019), section IV-C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from math import isqrt
from typing import Any, Self

from eth_utils.address import to_checksum_address

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
