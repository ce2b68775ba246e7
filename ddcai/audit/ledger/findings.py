"""Rows of the audit about windows, signatures, gas, public contributions, oddities and the index.

As `ddcai.audit.ledger.rows`: digests 0x and hex, addresses checksum strings, amounts wei, times
UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class FederationRow:
    """One federation of the index, and how far it is.

    Attributes:
        synced_block, synced: the last block that was read, and its time.
        events: in the index.
        judged: whether a contract judges updates, in windows of rounds.
    """

    chain_id: int
    address: str
    synced_block: int
    synced: datetime | None
    rounds: int
    members: int
    events: int
    judged: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowRow:
    """One window of judged rounds, at the time of the last synced block.

    Attributes:
        state: filling, full, lapsed, judged, disputed, fallen or standing.
        rounds: in it, ascending.
        last_round: when the last of them was finalised.
        judged, settled: when its verdict came, and when the dispute of it ended; None before.
        until: the last moment of what can come next: a verdict (filling, full), a dispute (judged),
            a resolution (disputed); None in other states.
        stands: from when the verdict stands, if nothing more happens; None where it cannot yet.
        verdict_digest: of the document that the verdict which counts now follows from.
        poster: who posted the verdict.
        disputes: how many members disputed it.
        updates, contributors: deposits in it, and whose they are, as a number.
        points: of all together.
        deposits_wei: of all updates.
        returned_wei: of them, what their contributors took back.
        forfeited_wei: of them, what went into the pot; None before a verdict, or where another
            contract sent it on, so that it is not in the transaction.
        pot_wei: forfeited deposits, bounty, and bonds that were lost.
        taken_wei: of the pot, what was paid, swept included.
        claimable_wei: what all contributors together could claim now.
    """

    number: int
    state: str
    rounds: tuple[int, ...]
    last_round: datetime
    judged: datetime | None
    settled: datetime | None
    until: datetime | None
    stands: datetime | None
    verdict_digest: str | None
    poster: str | None
    disputes: int
    updates: int
    contributors: int
    points: int
    deposits_wei: int
    returned_wei: int
    forfeited_wei: int | None
    pot_wei: int
    taken_wei: int
    claimable_wei: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowMemberRow:
    """One contributor in one window; amounts as in `WindowRow`.

    Attributes:
        agreed: whether its deposits come back, by the verdict; None before one, or where it is
            not in the transaction.
        points: its weight in the pot.
        disputed: whether it disputed the verdict.
    """

    account: str
    updates: int
    agreed: bool | None
    points: int
    disputed: bool
    deposits_wei: int
    returned_wei: int
    forfeited_wei: int | None
    taken_wei: int
    claimable_wei: int


@dataclass(kw_only=True, slots=True)
class AttestationRow:
    """Whether one contributor signed one result or verdict that a quorum signed.

    Attributes:
        what: result (of a round), verdict, or resolution (of a dispute).
        round: whose sealed contributors the signers are of.
        window: of a verdict; None of a result.
        digest: what was signed for: the model's; of a verdict the scores'.
        signed: None where another contract sent the verdict on, so that its signers are not in
            the transaction.
        time: when the contract took it.
    """

    what: str
    round: int
    window: int | None
    account: str
    digest: str
    signed: bool | None
    time: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicContributionRow:
    """One contribution of public data to a trainer.

    Attributes:
        trainer: its contract.
        id: of its deposit, from the incentive.
        label, predicted: the class that was taught, and what the model said before.
        price_wei: the deposit.
        features_bytes: length of the data, which is in the event.
        outcome: refunded (the contributor got its deposit, or earned by it), reported (others got
            of it), or open. A deposit that a release's end or the closing returned is open until it
            is claimed.
        refunded_wei, reported_wei: to the contributor; to those who reported it.
        points: that it earned.
    """

    time: datetime
    trainer: str
    id: int
    contributor: str
    label: int
    predicted: int
    price_wei: int
    features_bytes: int
    outcome: str
    refunded_wei: int
    reported_wei: int
    points: int
    tx_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class GasRow:
    """All transactions of one action.

    Attributes:
        action: the function that was called, or its selector in hex.
        transactions: how many.
        gas_total, gas_mean, gas_min, gas_max: gas used; the mean rounded down.
        fees_wei: gas times its price, of all.
    """

    action: str
    transactions: int
    gas_total: int
    gas_mean: int
    gas_min: int
    gas_max: int
    fees_wei: int


@dataclass(kw_only=True, slots=True)
class AnomalyRow:
    """Something that an auditor should look at: no proof of fraud.

    Attributes:
        kind: see `ddcai.audit.ledger.anomalies`.
        round, window, account: whose; None where it is of none.
        since: when it began.
        what: one sentence.
    """

    kind: str
    round: int | None
    window: int | None
    account: str | None
    since: datetime
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRow:
    """One place where what was searched for is.

    Attributes:
        kind: account, digest, transaction, round or window.
        value: in full.
        round, window: None where it is of none.
        where: what it is there: ``update``, ``model``, ``member``.
    """

    kind: str
    value: str
    round: int | None
    window: int | None
    where: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SqlAnswer:
    """What a query in SQL gave.

    Attributes:
        columns: their names.
        rows: values of SQLite: None, int, float, str or bytes.
        more: whether rows were left out by the limit.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool
