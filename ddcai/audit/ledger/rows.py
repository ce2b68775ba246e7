"""Rows of the audit about rounds, contributors, models and money: plain, ready for a table.

Digests and transaction hashes are 0x and hex, addresses checksum strings, amounts wei, times
UTC. Others: `ddcai.audit.ledger.findings`. Those of which an answer has thousands are not frozen:
a frozen one takes four times as long to make.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
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


@dataclass(kw_only=True, slots=True)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class StandingRow:
    """One contributor in one window of judged rounds.

    Attributes:
        judged: when the verdict that counts now came; None before one.
        updates: deposits in the window.
        agreed: whether they come back; None before a verdict.
        points: its weight in the pot.
    """

    window: int
    judged: datetime | None
    updates: int
    agreed: bool | None
    points: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ContributorReport:
    """One contributor over all rounds.

    Attributes:
        active: whether it takes part now.
        points: of all windows together.
        windows_wei: of assessed deposits and their pots, what was paid to it.
        net_wei: refunded + taken + windows - deposited; gas, stake and bonds are not in it.
        gas: of all its transactions, registration included.
    """

    address: str
    index: int
    active: bool
    rounds: tuple[ContributionRow, ...]
    windows: tuple[StandingRow, ...]
    points: int
    deposited_wei: int
    refunded_wei: int
    taken_wei: int
    forfeited_wei: int
    assessed_wei: int
    held_wei: int
    windows_wei: int
    net_wei: int
    gas: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ContributorRow:
    """One contributor's sums, as in its `ContributorReport`.

    Attributes:
        rounds: how many it submitted an update in.
    """

    address: str
    index: int
    active: bool
    rounds: int
    points: int
    deposited_wei: int
    refunded_wei: int
    taken_wei: int
    forfeited_wei: int
    assessed_wei: int
    held_wei: int
    windows_wei: int
    net_wei: int


@dataclass(kw_only=True, slots=True)
class AncestorRow:
    """One round that a model descends from, with the updates that are in it.

    Attributes:
        updates: (contributor, update digest), by member index.
    """

    round: int
    base_model_digest: str
    model_digest: str
    updates: tuple[tuple[str, str], ...]


@dataclass(kw_only=True, slots=True)
class DescendantRow:
    """One round that went on from a model, or that an update is part of.

    Attributes:
        head_digest: of the classifier that the round wrote on chain.
        release: of a head that contributions teach, the number that its contract gave to what
            the round wrote; None for other heads.
        updates: in the round's sum, as in `AncestorRow`.
    """

    round: int
    model_digest: str
    head_digest: str
    release: int | None
    updates: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """Where a model, or an update, comes from, and what came of it.

    Attributes:
        kind: model or update.
        digest: the model's, or the update's.
        current: whether it is the model that the federation has now.
        rounds: that it descends from, from the first to its own; none for the first model. Of an
            update: those that its base model descends from.
        descendants: rounds from then on whose models rest on it; of an update that is in no sum,
            none.
    """

    kind: str
    digest: str
    initial_model_digest: str
    current: bool
    rounds: tuple[AncestorRow, ...]
    descendants: tuple[DescendantRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MoneyRow:
    """One contributor's money, or (address ``all``) everybody's: see
    `ddcai.audit.ledger.Ledger.money`.

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


@dataclass(kw_only=True, slots=True)
class FlowRow:
    """One amount that an account paid to a contract, or got from it.

    Attributes:
        round, window: that it was for; both None for stakes and for what bonds brought.
        contract: the contract's address.
        direction: out (from the account to the contract) or in.
        what: deposit, refund, take, stake, stake back, bond, bonds withdrawn, swept, funded,
            reclaimed; of a trainer: contribution, contribution refund, report, withdrawal.
        amount_wei: never negative.
        balance_wei: all that came in, less all that went out, up to and with this row, those
            before the asked time too. Fees are not in it: see `ddcai.audit.ledger.Ledger.gas`.
    """

    time: datetime
    block: int
    tx_hash: str
    round: int | None
    window: int | None
    contract: str
    direction: str
    what: str
    amount_wei: int
    balance_wei: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimableRow:
    """What an account can claim at the time of the last synced block.

    Attributes:
        round, window: of which; both None for what bonds brought.
        refund_wei: own deposits.
        take_wei: a share of others'; or what bonds brought.
    """

    account: str
    round: int | None
    window: int | None
    refund_wei: int
    take_wei: int


def plain(row: Any) -> Any:
    """Rows as JSON values: times as ISO 8601 with Z, tuples as lists."""
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: plain(getattr(row, field.name)) for field in dataclasses.fields(row)}
    if isinstance(row, list | tuple):
        return [plain(item) for item in row]
    if isinstance(row, datetime):
        return row.strftime("%Y-%m-%dT%H:%M:%SZ")
    return row
