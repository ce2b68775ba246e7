"""What the page shows that no chain says: measurements of the coordinator, claims of an audit.

``metrics.jsonl`` is the coordinator's own record (`coordinator.journal`), a JSON object a line.
Lines that are cut off, or of another kind, are passed over. A report is what ``audit verify
--report`` wrote: the page says whose it is, and whether its signature holds, and verifies none of
its claims again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ddcai import strict_json
from ddcai.audit.claims import Claim
from ddcai.audit.report.signed import Report
from ddcai.errors import ConfigurationError, MalformedError, VerificationError

MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class AccuracyRow:
    """One measurement of the model after a round, by the coordinator.

    Attributes:
        accuracy: 0 to 1, on the coordinator's own test data.
        log_loss: at least 0.
        time: by the coordinator's clock.
    """

    round: int
    accuracy: float
    log_loss: float
    time: datetime


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """What a report says.

    Attributes:
        contract, auditor: addresses.
        signed: whether the auditor's signature is under it as it is.
        block, time: the state that was verified is that after this block.
        round: the round that was verified; None for the whole federation.
        counts: of claims by status, without those that no claim has.
    """

    chain_id: int
    contract: str
    auditor: str
    signed: bool
    block: int
    time: datetime
    round: int | None
    software: str
    counts: Mapping[str, int]
    claims: tuple[Claim, ...]


def accuracy(path: Path) -> tuple[AccuracyRow, ...]:
    """The measurements of a coordinator's ``metrics.jsonl``, by round; the last of a round counts.

    Nothing where the file is not there: the coordinator writes it after the first round.

    Raises:
        ConfigurationError: larger than 64 MiB, or not to be read.
    """
    found: dict[int, AccuracyRow] = {}
    for line in _read(path).splitlines():
        row = _measurement(line)
        if row is not None:
            found[row.round] = row
    return tuple(found[number] for number in sorted(found))


def report(path: Path) -> ReportRow | None:
    """A report; None where the file is not there yet.

    Raises:
        ConfigurationError: no report of ours, or not to be read.
    """
    if not path.exists():
        return None
    try:
        found = Report.load(path)
    except (MalformedError, ConfigurationError) as error:
        # Readers of the page are not told where on this machine the file is.
        raise ConfigurationError(
            f"{path.name} is no report: give what `ddcai audit verify --report` wrote"
        ) from error
    try:
        found.check()
    except VerificationError:
        signed = False
    else:
        signed = True
    return ReportRow(
        chain_id=found.chain_id,
        contract=found.contract,
        auditor=found.auditor,
        signed=signed,
        block=found.block.number,
        time=found.time,
        round=found.round,
        software=found.software,
        counts={status: count for status, count in found.counts.items() if count},
        claims=found.claims,
    )


def _measurement(line: bytes) -> AccuracyRow | None:
    try:
        value = strict_json.loads(line)
        if not isinstance(value, dict) or value.get("event") != "evaluation":
            return None
        row = AccuracyRow(
            round=value["round"],
            accuracy=_number(value["accuracy"]),
            log_loss=_number(value["log_loss"]),
            time=datetime.fromtimestamp(_number(value["time"]), UTC),
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
    number = type(row.round) is int and 0 < row.round < 2**53
    return row if number and row.accuracy <= 1 else None


def _number(value: Any) -> float:
    """A number of at least 0.

    Raises:
        TypeError, ValueError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("no number")
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError("no number of at least 0")
    return number


def _read(path: Path) -> bytes:
    """A file's bytes; none where it is not there."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigurationError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise ConfigurationError(f"{path.name} has more than {MOST_BYTES} bytes: give another file")
    return data
