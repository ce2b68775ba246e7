"""An account's money in and out, and what can be claimed now."""

from __future__ import annotations

from datetime import datetime

from ddcai.audit.ledger.asking import Asking, joined, moment, wei_sum
from ddcai.audit.ledger.contributors import account as checked
from ddcai.audit.ledger.rows import ClaimableRow, FlowRow
from ddcai.audit.ledger.windows import window_rules, windows

# (kind of contract, event): (direction, what); stakes and bonds are in no event's arguments.
_FLOWS = {
    ("federation", "MemberRegistered"): ("out", "stake"),
    ("federation", "MemberLeft"): ("in", "stake back"),
    ("federation", "UpdateSubmitted"): ("out", "deposit"),
    ("federation", "Refunded"): ("in", "refund"),
    ("federation", "Taken"): ("in", "take"),
    ("assessment", "Refunded"): ("in", "refund"),
    ("assessment", "Taken"): ("in", "take"),
    ("assessment", "VerdictPosted"): ("out", "bond"),
    ("assessment", "VerdictDisputed"): ("out", "bond"),
    ("assessment", "Withdrawn"): ("in", "bonds withdrawn"),
    ("assessment", "Swept"): ("in", "swept"),
    ("assessment", "Funded"): ("out", "funded"),
    ("assessment", "Reclaimed"): ("in", "reclaimed"),
    ("trainer", "Contributed"): ("out", "contribution"),
    ("incentive", "Refunded"): ("in", "contribution refund"),
    ("incentive", "Reported"): ("in", "report"),
}


def flows(
    asking: Asking, account: str, since: datetime | None, until: datetime | None
) -> tuple[FlowRow, ...]:
    """What an account paid and got between two times, both included.

    Raises:
        ConfigurationError: not an address.
    """
    wanted, balance, found = checked(account), 0, []
    facts = asking.federation.facts
    stake = facts["rules"]["registration_stake_wei"]
    bond = (facts["window_rules"] or {}).get("bond_wei", 0)
    fixed = {"stake": stake, "bond": bond}
    for kind, name, time, block, tx_hash, number, window, contract, amount in asking.rows(
        "SELECT kind, name, time, block_number, tx_hash, round, window, contract, amount_wei "
        "FROM events INDEXED BY events_by_account WHERE federation_id = :id AND account = :who "
        "ORDER BY block_number, log_index",
        who=wanted,
    ):
        if (kind, name) not in _FLOWS:
            continue
        direction, what = _FLOWS[kind, name]
        amount_wei = int(fixed.get(what, amount))
        if not amount_wei:
            continue
        balance += amount_wei if direction == "in" else -amount_wei
        at = moment(time)
        if (since is not None and at < since) or (until is not None and at > until):
            continue
        found.append(
            FlowRow(
                time=at,
                block=block,
                tx_hash=tx_hash,
                round=number,
                window=window,
                contract=contract,
                direction=direction,
                what=what,
                amount_wei=amount_wei,
                balance_wei=balance,
            )
        )
    return tuple(found)


def claimable(asking: Asking, account: str | None) -> tuple[ClaimableRow, ...]:
    """What accounts, or one, can claim at the time of the last synced block."""
    wanted = None if account is None else checked(account)
    rows = [*_of_rounds(asking), *_of_windows(asking), *_of_bonds(asking)]
    return tuple(row for row in rows if wanted in (None, row.account))


def _of_rounds(asking: Asking) -> list[ClaimableRow]:
    return [
        ClaimableRow(
            account=account,
            round=number,
            window=None,
            refund_wei=int(refund) - int(refunded),
            take_wei=int(take) - int(taken),
        )
        for number, account, refund, refunded, take, taken in asking.rows(
            "SELECT round, account, refund_due_wei, refunded_wei, take_due_wei, taken_wei "
            "FROM submissions WHERE federation_id = :id "
            "AND (refund_due_wei <> refunded_wei OR take_due_wei <> taken_wei) "
            "ORDER BY round, member_index"
        )
    ]


def _of_windows(asking: Asking) -> list[ClaimableRow]:
    rules, found = window_rules(asking), []
    if rules is None:
        return []
    deposit_wei = asking.federation.facts["rules"]["deposit_wei"]
    for window in windows(asking).values():
        for account in window.updates:
            refund, take = window.claimable(account, rules, deposit_wei, asking.now)
            if refund or take:
                found.append(
                    ClaimableRow(
                        account=account,
                        round=None,
                        window=window.number,
                        refund_wei=refund,
                        take_wei=take,
                    )
                )
    return found


def _of_bonds(asking: Asking) -> list[ClaimableRow]:
    owed: dict[str, int] = {}
    for name, account, *halves in asking.rows(
        f"SELECT name, account, {wei_sum('amount_wei')} FROM events WHERE federation_id = :id "
        "AND kind = 'assessment' AND name IN ('BondReleased', 'Withdrawn') GROUP BY name, account"
    ):
        amount = joined(*halves)
        owed[account] = owed.get(account, 0) + (amount if name == "BondReleased" else -amount)
    return [
        ClaimableRow(account=account, round=None, window=None, refund_wei=0, take_wei=amount)
        for account, amount in sorted(owed.items())
        if amount
    ]
