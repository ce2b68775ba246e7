"""Which keys the accounts behind a federation's key holder shared, for which rounds, and how much
of each is spent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from ddcai.audit.history import History, RoundHistory
from ddcai.audit.recorded import round_record
from ddcai.rounds.key_use import KeyMeter


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """One key that several accounts share.

    Attributes:
        epoch: from 1.
        signatures: how many it takes, of how many holders: ``2 of 3``.
        block, time: of the registration.
        rounds: those that belong to it: opened from that block on, and before the next epoch's.
        opened: ciphertexts that it opened, at most, as far as the chain shows; None where the
            federation's configuration and model are not at hand.
        most: how many its noise hides.
        rounds_left: how many rounds the current one still opens; None of one before.
    """

    epoch: int
    key_digest: str
    ceremony_digest: str
    signatures: str
    holders: tuple[str, ...]
    block: int
    time: datetime
    rounds: tuple[int, ...]
    opened: int | None = None
    most: int | None = None
    rounds_left: int | None = None


def key_rows(history: History, meter: KeyMeter | None = None) -> tuple[KeyRow, ...]:
    """All key epochs, by number; none where the key holder is an account.

    Args:
        meter: reckons what they opened, where the federation's configuration and model are at
            hand.
    """
    rounds: dict[int, list[RoundHistory]] = {epoch.number: [] for epoch in history.key_epochs}
    for round_ in history.rounds if history.key_epochs else ():
        block = round_.opened.block_number
        # A round that was opened before the first key belongs to none; `audit verify` says so.
        before = [one.number for one in history.key_epochs if one.registered_block <= block]
        if before:
            rounds[before[-1]].append(round_)
    members = sum(one.left is None for one in history.members)
    rows = []
    for epoch in history.key_epochs:
        own, use = rounds[epoch.number], None
        if meter is not None:
            use = meter.use(epoch, map(round_record, own), history.last_round + 1, members)
        current = epoch is history.key_epochs[-1]
        rows.append(
            KeyRow(
                epoch=epoch.number,
                key_digest="0x" + epoch.key_digest.hex(),
                ceremony_digest="0x" + epoch.ceremony_digest.hex(),
                signatures=f"{epoch.threshold} of {len(epoch.holders)}",
                holders=epoch.holders,
                block=epoch.registered_block,
                time=datetime.fromtimestamp(epoch.registered_at, UTC),
                rounds=tuple(one.number for one in own),
                opened=None if use is None else use.spent,
                most=None if use is None else use.most,
                rounds_left=use.rounds_left if use is not None and current else None,
            )
        )
    return tuple(rows)
