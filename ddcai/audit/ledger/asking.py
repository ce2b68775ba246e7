"""One federation's part of the index, as questions read it: of one moment, whoever writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from ddcai.audit.index.reading import Indexed

# Amounts have up to 78 digits and SQLite's integers 63 bits: sums are made of two halves each.
_LOW_DIGITS = 12
_HALF: int = 10**_LOW_DIGITS


@dataclass(frozen=True)
class Asking:
    """A connection within a transaction, and the federation that is asked about."""

    connection: sqlite3.Connection
    federation: Indexed

    def rows(self, statement: str, **values: Any) -> Iterator[tuple[Any, ...]]:
        """Rows of a SELECT; ``:id`` is the federation, ``:chain`` its chain."""
        ids = {"id": self.federation.id, "chain": self.federation.chain_id}
        return self.connection.execute(statement, ids | values)

    def one(self, statement: str, **values: Any) -> tuple[Any, ...]:
        """The only row of a SELECT that has one."""
        return next(iter(self.rows(statement, **values)))

    @property
    def now(self) -> int:
        """Time of the last synced block, unix seconds; 0 before the first."""
        return self.federation.synced_time or 0


def wei_sum(column: str) -> str:
    """Two columns of a SELECT that together are an exact sum: see `joined`."""
    high = f"CAST(substr({column}, 1, length({column}) - {_LOW_DIGITS}) AS INTEGER)"
    low = f"CAST(substr({column}, -{_LOW_DIGITS}) AS INTEGER)"
    long = f"length({column}) > {_LOW_DIGITS}"
    return f"coalesce(sum(CASE WHEN {long} THEN {high} END), 0), coalesce(sum({low}), 0)"


def joined(high: int, low: int) -> int:
    """The sum in wei."""
    return high * _HALF + low


@lru_cache(maxsize=8192)
def moment(seconds: int) -> datetime:
    """Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
