"""A node's policy file: what may leave, in which rounds, for how much money and privacy.

The node's operator writes it; nothing that a coordinator sends is read here. Every key may be left
out: its default is what a node without a policy file does. What is not a key is refused, since a
limit with a misspelt name would limit nothing. `docs/policy.md` has all keys.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from ddcai.errors import ConfigurationError
from ddcai.privacy.configuration import LEAST_DELTA, MOST_EPSILON
from ddcai.strict_toml import loads, read, shown

_MOST_WEI = 2**256 - 1
# What a coordinator takes (`ddcai.flower.messages`).
_METRIC_NAME = re.compile(r"[ \w.,:/+-]{1,64}", re.ASCII)
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)


def _require(good: bool, name: str, value: object, remedy: str) -> None:
    if not good:
        raise ConfigurationError(f"{name} is {shown(value)}: {remedy}")


def _flag(name: str, value: object) -> None:
    _require(isinstance(value, bool), name, value, "give true or false")


def _whole(name: str, value: object, least: int, most: int, remedy: str) -> None:
    """A whole number in a range, or nothing."""
    if value is not None:
        good = type(value) is int and least <= value <= most
        _require(good, name, value, f"give a whole number {remedy}")


def _number(name: str, value: object, low: float, high: float, remedy: str) -> None:
    """A number in a range, or nothing."""
    if value is not None:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        good = good and low <= value <= high  # type: ignore[operator]
        _require(good, name, value, f"give a number {remedy}")


@dataclass(frozen=True, kw_only=True)
class Leave:
    """What may leave the node.

    Attributes:
        updates: encrypted updates.
        metrics: names of the app's own metrics.
        work: the node's measures of its work, ``encrypt_s`` and ``clamped_share``.
        evaluation: answers to evaluation, which carry the metrics listed.
        scalars: numbers of single updates, where updates are judged: a contributor takes part,
            and a key holder opens them.
    """

    updates: bool = True
    metrics: tuple[str, ...] = ()
    work: bool = True
    evaluation: bool = False
    scalars: bool = True

    def __post_init__(self) -> None:
        for name in ("updates", "work", "evaluation", "scalars"):
            _flag(f"leave.{name}", getattr(self, name))
        given: object = self.metrics
        listed = isinstance(given, list | tuple) and all(isinstance(one, str) for one in given)
        _require(listed, "leave.metrics", given, "give a list of names")
        good = all(_METRIC_NAME.fullmatch(one) for one in self.metrics)
        good = good and len(set(self.metrics)) == len(self.metrics)
        _require(good, "leave.metrics", given, "give each name once, of 1 to 64 plain characters")
        object.__setattr__(self, "metrics", tuple(self.metrics))
        if self.evaluation:
            _require(bool(self.metrics), "leave.metrics", given, "evaluation sends nothing else")


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Which rounds the node takes part in.

    Attributes:
        min_contributors: updates that a sum is of, at least, 2 to 1024. A contributor takes part
            only where the contract demands as many; a key holder opens no list of fewer.
        max_rounds_per_day: new rounds in a day, UTC, from 1.
        hours: ``HH:MM-HH:MM``, UTC, past midnight too: when a new round may be begun.
    """

    min_contributors: int | None = None
    max_rounds_per_day: int | None = None
    hours: str | None = None

    def __post_init__(self) -> None:
        _whole("rounds.min_contributors", self.min_contributors, 2, 1024, "from 2 to 1024")
        most = 2**31
        _whole("rounds.max_rounds_per_day", self.max_rounds_per_day, 1, most, "from 1 to 2**31")
        if self.hours is not None:
            found = _HOURS.fullmatch(self.hours) if isinstance(self.hours, str) else None
            good = found is not None and found.group(1, 2) != found.group(3, 4)
            _require(good, "rounds.hours", self.hours, 'give two times of UTC, as "22:00-06:00"')

    def open_at(self, now: datetime) -> bool:
        """Whether a time, in UTC, is within the hours: the first minute is, the last is not."""
        if self.hours is None:
            return True
        begin, end = self.hours.split("-")
        minute = f"{now:%H:%M}"
        if begin < end:
            return begin <= minute < end
        return minute >= begin or minute < end


@dataclass(frozen=True, kw_only=True)
class Money:
    """What the account may pay, in wei.

    Attributes:
        max_deposit_wei: deposit of a round.
        max_gas_price_wei: price of a unit of gas, tip included.
        max_spend_wei_per_day: deposits and gas in a day, UTC; deposits that come back count.
    """

    max_deposit_wei: int | None = None
    max_gas_price_wei: int | None = None
    max_spend_wei_per_day: int | None = None

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            _whole(f"money.{item.name}", getattr(self, item.name), 0, _MOST_WEI, "of wei, from 0")


@dataclass(frozen=True, kw_only=True)
class PrivacyLimit:
    """How much may be told by noisy sums.

    Attributes:
        require: take part only in federations whose updates get noise.
        max_epsilon: no round is taken part in that brings epsilon above it, over all rounds that
            this node was in; above 0, at most 50. Without noise epsilon has no end.
        delta: that epsilon is reckoned at, 1e-12 to 0.01.
    """

    require: bool = False
    max_epsilon: float | None = None
    delta: float | None = None

    def __post_init__(self) -> None:
        _flag("privacy.require", self.require)
        least = math.ulp(0.0)
        _number("privacy.max_epsilon", self.max_epsilon, least, MOST_EPSILON, "above 0, at most 50")
        _number("privacy.delta", self.delta, LEAST_DELTA, 0.01, "from 1e-12 to 0.01")
        if (self.max_epsilon is None) != (self.delta is None):
            name = "delta" if self.delta is None else "max_epsilon"
            raise ConfigurationError(f"privacy.{name} is missing: give max_epsilon and delta")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The whole file."""

    leave: Leave = field(default_factory=Leave)
    rounds: Rounds = field(default_factory=Rounds)
    money: Money = field(default_factory=Money)
    privacy: PrivacyLimit = field(default_factory=PrivacyLimit)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads TOML.

        Raises:
            ConfigurationError: not TOML, an unknown key, a value of another type or out of range.
        """
        document = loads(text)
        kinds = {"leave": Leave, "rounds": Rounds, "money": Money, "privacy": PrivacyLimit}
        _only_known(document, kinds, "section")
        return cls(**{name: _section(kinds[name], name, one) for name, one in document.items()})

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Reads a file of at most 16 KiB.

        Raises:
            ConfigurationError: it cannot be read, or as `parse`.
        """
        text = read(path, "the policy")
        try:
            return cls.parse(text)
        except ConfigurationError as error:
            raise ConfigurationError(f"the policy {path}: {error}") from error


def _section(kind: Any, name: str, value: object) -> Any:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name} is {shown(value)}: give a table, [{name}]")
    _only_known(value, {item.name for item in dataclasses.fields(kind)}, f"key of [{name}]")
    return kind(**value)


def _only_known(given: dict[str, Any], known: Any, what: str) -> None:
    for name in given:
        if name not in known:
            raise ConfigurationError(
                f"{shown(name)} is no {what}: known are {', '.join(sorted(known))}"
            )


__all__ = ["Leave", "Money", "Policy", "PrivacyLimit", "Rounds"]
