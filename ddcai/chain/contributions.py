"""What a trainer and its incentive tell in events, as plain frozen values.

Each has the number of its block, its place among that block's logs, and its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from ddcai.chain.events import Event
from ddcai.incentives.contribution import Contribution


@dataclass(frozen=True, kw_only=True)
class Contributed(Contribution):
    """A contribution with its data: the features, as ``IClassifier`` takes them."""

    features: bytes
    block_number: int
    log_index: int
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class Refunded:
    """A contributor got its deposit back; `points` is what it earned besides."""

    id: int
    contributor: str
    amount_wei: int
    points: int
    time: int
    block_number: int
    log_index: int
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A reporter got this much of somebody's deposit."""

    id: int
    reporter: str
    amount_wei: int
    time: int
    block_number: int
    log_index: int
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """An account pulled what was owed to it."""

    account: str
    amount_wei: int
    time: int
    block_number: int
    log_index: int
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class ReleaseStarted:
    """The model was replaced: contributions are for this release from now on."""

    release: int
    time: int
    block_number: int
    log_index: int
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class ReleaseEnded:
    """Every open deposit up to this contribution is its contributor's."""

    last_id: int
    time: int
    block_number: int
    log_index: int
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class Closed:
    """Nothing is contributed any more; every open deposit is its contributor's."""

    time: int
    block_number: int
    log_index: int
    tx_hash: str


TrainerEvent = (
    Contributed | Refunded | Reported | Withdrawn | ReleaseStarted | ReleaseEnded | Closed
)

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(TrainerEvent)}
_NAMES = {
    "class": "label",
    "priceWei": "price_wei",
    "amountWei": "amount_wei",
    "lastId": "last_id",
}


def typed(events: Iterable[Event]) -> list[TrainerEvent]:
    """The events that are of these kinds, in the order in which they happened."""
    found: list[TrainerEvent] = []
    for event in sorted(events, key=lambda one: (one.block_number, one.log_index)):
        kind = _KINDS.get(event.name)
        if kind is None:
            continue
        named = {_NAMES.get(name, name): value for name, value in event.args.items()}
        found.append(
            kind(
                **{"time": event.timestamp} | named,
                block_number=event.block_number,
                log_index=event.log_index,
                tx_hash=event.tx_hash,
            )
        )
    return found
