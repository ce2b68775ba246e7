"""What a node used of its policy: rounds, and money of a day. On disk before anything is done.

One small JSON file, written whole, synced and renamed, under a lock: a node's messages run in
processes of their own. Nothing that comes from a server changes it but a round or a payment that
the node takes part in. A damaged file stops the node; it is no fresh start.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ddcai import strict_json
from ddcai.digests import canonical_json
from ddcai.errors import PolicyError, PolicyLimit
from ddcai.keyfile import write_atomically

_FORMAT = "ddcai-policy-counters-1"


def utc_now() -> datetime:
    """The node's own clock."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Reservation:
    """An amount that was set aside for a transaction, and on which day."""

    day: str
    wei: int


class Counters:
    """A node's counters in one federation.

    A day is the clock's, in UTC, but never one before the last that was counted on: a clock that
    is moved back gives nothing back.

    Args:
        path: the file; made, with its folder, when something is counted.
        now: the clock.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = utc_now) -> None:
        self._path, self._now = path, now

    def __repr__(self) -> str:
        return f"Counters({str(self._path)!r})"

    def rounds(self) -> frozenset[int]:
        """All rounds that were ever counted.

        Raises:
            PolicyError: the file is damaged.
        """
        return frozenset(int(number) for number in self._read()["rounds"])

    def count_round(self, number: int, most_per_day: int | None) -> None:
        """Counts a round, once, on the day of its first call.

        Raises:
            PolicyLimit: it would be one too many today; not counted.
            PolicyError: the file is damaged.
        """
        with self._locked():
            used = self._today()
            if str(number) not in used["rounds"]:
                _require_room(used, number, most_per_day)
                used["rounds"][str(number)] = used["day"]
                self._write(used)

    def check_round(self, number: int, most_per_day: int | None) -> None:
        """Raises PolicyLimit as `count_round` would, and counts nothing."""
        used = self._today()
        if str(number) not in used["rounds"]:
            _require_room(used, number, most_per_day)

    def check_payment(self, wei: int, most_wei: int) -> None:
        """Raises PolicyLimit if an amount would bring today's payments above the limit."""
        _require_within(self._today(), wei, most_wei)

    def reserve(self, wei: int, most_wei: int) -> Reservation:
        """Counts an amount as spent today, before it is.

        Raises:
            PolicyLimit: today's payments would be above the limit; not counted.
            PolicyError: the file is damaged.
        """
        with self._locked():
            used = self._today()
            _require_within(used, wei, most_wei)
            used["spent_wei"] = str(int(used["spent_wei"]) + wei)
            self._write(used)
            return Reservation(used["day"], wei)

    def settle(self, reserved: Reservation, spent_wei: int) -> None:
        """Puts what a transaction did cost in place of what was set aside for it."""
        with self._locked():
            used = self._today()
            if used["day"] == reserved.day:
                left = int(used["spent_wei"]) - reserved.wei + spent_wei
                used["spent_wei"] = str(max(0, left))
                self._write(used)

    def _today(self) -> dict[str, Any]:
        used = self._read()
        today = self._now().date().isoformat()
        if used["day"] < today:
            used |= {"day": today, "spent_wei": "0"}
        return used

    def _read(self) -> dict[str, Any]:
        try:
            found = strict_json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {"format": _FORMAT, "day": "", "spent_wei": "0", "rounds": {}}
        except (OSError, ValueError) as error:
            raise self._damaged() from error
        if not _well_formed(found):
            raise self._damaged()
        return found  # type: ignore[no-any-return]

    def _damaged(self) -> PolicyError:
        return PolicyError(f"the policy's counters {self._path} are damaged: restore a backup")

    def _write(self, used: dict[str, Any]) -> None:
        write_atomically(self._path, canonical_json(used) + b"\n")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self._path.with_suffix(".lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Purse:
    """What an account may spend in a day; who sends transactions asks before each.

    Attributes:
        counters: where it is counted.
        most_wei: ``money.max_spend_wei_per_day``.
    """

    counters: Counters
    most_wei: int

    def check(self, wei: int) -> None:
        """As `Counters.check_payment`."""
        self.counters.check_payment(wei, self.most_wei)

    def reserve(self, wei: int) -> Reservation:
        """As `Counters.reserve`."""
        return self.counters.reserve(wei, self.most_wei)

    def settle(self, reserved: Reservation, spent_wei: int) -> None:
        """As `Counters.settle`."""
        self.counters.settle(reserved, spent_wei)


def _require_room(used: dict[str, Any], number: int, most_per_day: int | None) -> None:
    today = sum(day == used["day"] for day in used["rounds"].values())
    if most_per_day is not None and today >= most_per_day:
        raise PolicyLimit(
            f"round {number} would be number {today + 1} of {used['day']}, and "
            f"rounds.max_rounds_per_day is {most_per_day}: wait for tomorrow, or raise it"
        )


def _require_within(used: dict[str, Any], wei: int, most_wei: int) -> None:
    spent = int(used["spent_wei"])
    if spent + wei > most_wei:
        raise PolicyLimit(
            f"{wei} wei more, with {spent} spent on {used['day']}, would be above "
            f"money.max_spend_wei_per_day, {most_wei}: wait for tomorrow, or raise it"
        )


def _well_formed(found: Any) -> bool:
    if not isinstance(found, dict) or set(found) != {"format", "day", "spent_wei", "rounds"}:
        return False
    wei, rounds, days = found["spent_wei"], found["rounds"], [found["day"]]
    if found["format"] != _FORMAT or not isinstance(rounds, dict):
        return False
    days += rounds.values()
    return (
        isinstance(wei, str)
        and _digits(wei)
        and all(_digits(number) for number in rounds)
        and all(_is_day(day) for day in days)
    )


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 80


def _is_day(text: object) -> bool:
    if text == "":
        return True
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


__all__ = ["Counters", "Purse", "Reservation", "utc_now"]
