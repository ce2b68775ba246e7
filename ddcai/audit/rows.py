"""Rows of the audit: frozen, plain, ready for a table or JSON.

Digests and transaction hashes are 0x and hex, addresses checksum strings, amounts wei, times
UTC.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RoundRow:
    """One round.

    Attributes:
        state: open, committed, sealed, finalized or cancelled.
        opened: when.
        model_digest: the new model's; None unless finalised.
        contributors, sealed: committed updates, and those of them on the sealed list.
        gas: of every transaction of the round, settling included.
        deposits_wei: paid in.
        epsilon: spent up to and with this round, by every list that was sealed; None where
            updates get no noise, or the federation's configuration is not at hand.
    """

    number: int
    state: str
    opened: datetime
    base_model_digest: str
    model_digest: str | None
    contributors: int
    sealed: int
    gas: int
    deposits_wei: int
    epsilon: float | None = None


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """One party's step in a round.

    Attributes:
        action: open, submit, commit, draw, seal, finalize, cancel, refund or take; commit and
            draw where updates are judged.
        party: the account that took it.
        digest: what it put on chain: base model, update, committed list, randomness, sum, new
            model; None for payments.
        amount_wei: paid in (submit) or out (refund, take).
        gas: of its transaction, or its part of one that settles several rounds.
    """

    time: datetime
    action: str
    party: str
    digest: str | None
    amount_wei: int
    gas: int
    tx_hash: str


@dataclass(frozen=True, kw_only=True)
class ContributionRow:
    """One contributor in one round.

    Attributes:
        outcome: submitted, committed, sealed, agreed, assessed, forfeited or returned; assessed:
            a window of rounds decides, see `ddcai.audit.assessment_queries`.
        assessed_wei: handed over to the contract that judges.
        held_wei: what the contract still holds of it for this contributor.
        attested: whether its signature is under the round's result.
        gas: of its own transactions.
    """

    round: int
    outcome: str
    update_digest: str
    deposit_wei: int
    refunded_wei: int
    taken_wei: int
    forfeited_wei: int
    assessed_wei: int
    held_wei: int
    attested: bool
    gas: int


@dataclass(frozen=True, kw_only=True)
class ContributorReport:
    """One contributor over all rounds.

    Attributes:
        active: whether it takes part now.
        windows_wei: of assessed deposits and their pots, what was paid to it.
        net_wei: refunded + taken + windows - deposited; gas, stake and bonds are not in it.
        gas: of all its transactions, registration included.
    """

    address: str
    index: int
    active: bool
    rounds: tuple[ContributionRow, ...]
    deposited_wei: int
    refunded_wei: int
    taken_wei: int
    forfeited_wei: int
    assessed_wei: int
    held_wei: int
    windows_wei: int
    net_wei: int
    gas: int


@dataclass(frozen=True, kw_only=True)
class AncestorRow:
    """One round that a model descends from, with the updates that are in it.

    Attributes:
        updates: (contributor, update digest), by member index.
    """

    round: int
    base_model_digest: str
    model_digest: str
    updates: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Where a model comes from: rounds from the first to its own; none for the first model."""

    model_digest: str
    initial_model_digest: str
    current: bool
    rounds: tuple[AncestorRow, ...]


@dataclass(frozen=True, kw_only=True)
class MoneyRow:
    """One contributor's money, or (address ``all``) everybody's: see
    `ddcai.audit.queries.Queries.money`.

    Guarantees, for ``all``: deposited = refunded + taken + assessed + held.

    Attributes:
        assessed_wei: handed over to the contract that judges; what became of it is in
            `ddcai.audit.assessment_queries`.
    """

    address: str
    deposited_wei: int
    refunded_wei: int
    taken_wei: int
    forfeited_wei: int
    assessed_wei: int
    held_wei: int


def plain(row: Any) -> Any:
    """Rows as JSON values: times as ISO 8601 with Z, tuples as lists."""
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: plain(getattr(row, field.name)) for field in dataclasses.fields(row)}
    if isinstance(row, list | tuple):
        return [plain(item) for item in row]
    if isinstance(row, datetime):
        return row.strftime("%Y-%m-%dT%H:%M:%SZ")
    return row
