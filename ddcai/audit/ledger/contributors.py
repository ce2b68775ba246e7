"""What contributors did, and where their deposits went."""

from __future__ import annotations

from collections import Counter, defaultdict

from eth_utils.address import is_address, to_checksum_address

from ddcai.audit.ledger.asking import Asking, joined, moment, wei_sum
from ddcai.audit.ledger.rows import (
    ContributionRow,
    ContributorReport,
    ContributorRow,
    MoneyRow,
    StandingRow,
)
from ddcai.audit.ledger.windows import windows
from ddcai.errors import ConfigurationError

_RUNNING = ("submitted", "committed", "sealed")
_SUMMED = ("deposit_wei", "refunded_wei", "taken_wei", "refund_due_wei", "take_due_wei")


def account(given: str) -> str:
    """An address in checksum form.

    Raises:
        ConfigurationError: it is none.
    """
    if not is_address(given):
        raise ConfigurationError(f"{given!r} is not an address: give 0x and 40 hex digits")
    return str(to_checksum_address(given))


def contributor(asking: Asking, address: str) -> ContributorReport:
    """One contributor's rounds and money.

    Raises:
        ConfigurationError: not an address, or not of a member.
    """
    wanted = account(address)
    member = next(
        asking.rows(
            'SELECT member_index, "left" FROM members WHERE federation_id = :id AND account = :who',
            who=wanted,
        ),
        None,
    )
    if member is None:
        [count] = asking.one("SELECT count(*) FROM members WHERE federation_id = :id")
        raise ConfigurationError(
            f"{wanted} never joined the federation {asking.federation.address}: its {count} "
            "members are in the registration events"
        )
    rows = tuple(_contributions(asking, wanted))
    standings = _standings(asking, wanted)
    [money] = [one for one in money_rows(asking, wanted) if one.address == wanted] or [
        _nothing(wanted)
    ]
    paid = _from_windows(asking, wanted)
    [membership_gas] = asking.one(
        "SELECT coalesce(sum(t.gas_used), 0) FROM events e INDEXED BY events_by_name "
        "JOIN transactions t ON t.chain_id = e.chain_id AND t.hash = e.tx_hash "
        "WHERE e.federation_id = :id AND e.kind = 'federation' "
        "AND e.name IN ('MemberRegistered', 'MemberLeft') AND e.account = :who",
        who=wanted,
    )
    return ContributorReport(
        address=wanted,
        index=member[0],
        active=member[1] is None,
        rounds=rows,
        windows=standings,
        points=sum(one.points for one in standings),
        deposited_wei=money.deposited_wei,
        refunded_wei=money.refunded_wei,
        taken_wei=money.taken_wei,
        forfeited_wei=money.forfeited_wei,
        assessed_wei=money.assessed_wei,
        held_wei=money.held_wei,
        windows_wei=paid,
        net_wei=money.refunded_wei + money.taken_wei + paid - money.deposited_wei,
        gas=sum(row.gas for row in rows) + membership_gas,
    )


def _contributions(asking: Asking, wanted: str) -> list[ContributionRow]:
    found = []
    for row in asking.rows(
        "SELECT round, outcome, digest, deposit_wei, refunded_wei, taken_wei, refund_due_wei, "
        "take_due_wei, attested, gas FROM submissions "
        "WHERE federation_id = :id AND account = :who ORDER BY round",
        who=wanted,
    ):
        number, outcome, digest, *amounts, attested, gas = row
        deposit, refunded, taken, refund_due, take_due = map(int, amounts)
        due = deposit if outcome in _RUNNING else refund_due + take_due
        found.append(
            ContributionRow(
                round=number,
                outcome=outcome,
                update_digest=digest,
                deposit_wei=deposit,
                refunded_wei=refunded,
                taken_wei=taken,
                forfeited_wei=deposit if outcome == "forfeited" else 0,
                assessed_wei=deposit if outcome == "assessed" else 0,
                held_wei=due - refunded - taken,
                attested=bool(attested),
                gas=gas,
            )
        )
    return found


def _standings(asking: Asking, wanted: str) -> tuple[StandingRow, ...]:
    if asking.federation.facts["window_rules"] is None:
        return ()
    found = []
    for window in windows(asking).values():
        if not window.updates[wanted]:
            continue
        agreed = window.agreed
        judged = window.posted[-1][3] if window.posted else None
        found.append(
            StandingRow(
                window=window.number,
                judged=None if judged is None else moment(judged),
                updates=window.updates[wanted],
                agreed=None if agreed is None else wanted in agreed,
                points=(agreed or {}).get(wanted, 0),
            )
        )
    return tuple(found)


def _from_windows(asking: Asking, wanted: str) -> int:
    """Deposits, shares and rests of pots that windows paid an account."""
    return joined(
        *asking.one(
            f"SELECT {wei_sum('amount_wei')} FROM events INDEXED BY events_by_name "
            "WHERE federation_id = :id AND kind = 'assessment' "
            "AND name IN ('Refunded', 'Taken', 'Swept') AND account = :who",
            who=wanted,
        )
    )


def contributors(asking: Asking) -> tuple[ContributorRow, ...]:
    """Every contributor's sums by member index, by as many questions however many there are."""
    sums = _sums(asking)
    paid = {
        who: joined(*halves)
        for who, *halves in asking.rows(
            f"SELECT account, {wei_sum('amount_wei')} FROM events WHERE federation_id = :id "
            "AND kind = 'assessment' AND name IN ('Refunded', 'Taken', 'Swept') GROUP BY account"
        )
    }
    points: Counter[str] = Counter()
    if asking.federation.facts["window_rules"] is not None:
        for window in windows(asking).values():
            points.update(window.agreed or {})
    found = []
    amounts = [name for name in MoneyRow.__dataclass_fields__ if name.endswith("_wei")]
    for who, index, left in asking.rows(
        'SELECT account, member_index, "left" FROM members WHERE federation_id = :id '
        "ORDER BY member_index"
    ):
        one = sums[who]
        back = one["refunded_wei"] + one["taken_wei"] + paid.get(who, 0)
        found.append(
            ContributorRow(
                address=who,
                index=index,
                active=left is None,
                rounds=one["rounds"],
                points=points[who],
                windows_wei=paid.get(who, 0),
                net_wei=back - one["deposited_wei"],
                **{name: one[name] for name in amounts},
            )
        )
    return tuple(found)


def money(asking: Asking) -> tuple[MoneyRow, ...]:
    """Every contributor's money by member index, then a row for all together."""
    found = {one.address: one for one in money_rows(asking)}
    members = asking.rows(
        "SELECT account FROM members WHERE federation_id = :id ORDER BY member_index"
    )
    each = tuple(found.get(one, _nothing(one)) for (one,) in members)
    names = [name for name in MoneyRow.__dataclass_fields__ if name.endswith("_wei")]
    sums = {name: sum(getattr(row, name) for row in each) for name in names}
    return (*each, MoneyRow(address="all", **sums))


def money_rows(asking: Asking, wanted: str | None = None) -> list[MoneyRow]:
    """Of accounts with updates, or of one."""
    return [
        MoneyRow(address=who, **{name: row[name] for name in row if name != "rounds"})
        for who, row in _sums(asking, wanted).items()
    ]


def _sums(asking: Asking, wanted: str | None = None) -> dict[str, dict[str, int]]:
    """By account: the amounts of a `MoneyRow`, and in how many ``rounds`` they are."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    one = "" if wanted is None else "AND account = :who"
    # Most rows are alike: to count them here takes half the time of adding decimals in SQLite.
    alike = Counter(
        asking.rows(
            f"SELECT account, outcome, {', '.join(_SUMMED)} FROM submissions "
            f"WHERE federation_id = :id {one}",
            who=wanted,
        )
    )
    for (who, outcome, *amounts), count in alike.items():
        deposited, refunded, taken, refund_due, take_due = (
            int(amount) * count for amount in amounts
        )
        due = deposited if outcome in _RUNNING else refund_due + take_due
        row = sums[who]
        row["rounds"] += count
        row["deposited_wei"] += deposited
        row["refunded_wei"] += refunded
        row["taken_wei"] += taken
        row["forfeited_wei"] += deposited if outcome == "forfeited" else 0
        row["assessed_wei"] += deposited if outcome == "assessed" else 0
        row["held_wei"] += due - refunded - taken
    return sums


def _nothing(address: str) -> MoneyRow:
    names = [name for name in MoneyRow.__dataclass_fields__ if name.endswith("_wei")]
    return MoneyRow(address=address, **dict.fromkeys(names, 0))
