"""One contribution of data, as every incentive knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What never changes of a contribution, ``IIncentive.Contribution``.

    Attributes:
        id: from 1, consecutive.
        contributor: account.
        label: the class that was given.
        predicted: what the model said before it learned from it.
        price_wei: what was paid.
        time: of its block, unix seconds.
    """

    id: int
    contributor: str
    label: int
    predicted: int
    price_wei: int
    time: int

    def to_abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (self.id, self.contributor, self.label, self.predicted, self.price_wei, self.time)
