"""Windows of judged rounds as rows: where each stands, and what became of its deposits."""

from __future__ import annotations

from collections.abc import Mapping

from ddcai.audit.ledger.asking import Asking, moment
from ddcai.audit.ledger.findings import WindowMemberRow, WindowRow
from ddcai.audit.ledger.windows import Window, window_rules, windows
from ddcai.chain.records import WindowRules
from ddcai.errors import ConfigurationError

_OUT_OF_THE_POT = ("Taken", "Swept")


def window_rows(asking: Asking) -> tuple[WindowRow, ...]:
    """All windows, by number; none where updates are not judged."""
    rules = window_rules(asking)
    if rules is None:
        return ()
    found = windows(asking)
    return tuple(_row(asking, found[number], rules) for number in sorted(found))


def window_members(asking: Asking, number: int) -> tuple[WindowMemberRow, ...]:
    """The contributors with updates in one window, by member index.

    Raises:
        ConfigurationError: there is no such window.
    """
    rules = window_rules(asking)
    if rules is None:
        raise ConfigurationError(
            f"no window {number}: the updates of federation {asking.federation.address} are not "
            "judged"
        )
    found = windows(asking)
    if number not in found:
        known = f"windows 1 to {max(found)}" if found else "no window yet"
        raise ConfigurationError(f"no window {number}: this federation has {known}")
    return tuple(_members(asking, found[number], rules))


def _row(asking: Asking, window: Window, rules: WindowRules) -> WindowRow:
    members = _members(asking, window, rules)
    state = window.state_at(rules, asking.now)
    disputable = window.judged_at + rules.dispute_period_s
    until: Mapping[str, int] = {
        "filling": window.last_at + rules.verdict_period_s,
        "full": window.last_at + rules.verdict_period_s,
        "judged": disputable,
        "disputed": disputable + rules.resolve_period_s,
    }
    stands = window.stands_at(rules)
    forfeited = [one.forfeited_wei for one in members if one.forfeited_wei is not None]
    return WindowRow(
        number=window.number,
        state=state,
        rounds=tuple(window.rounds),
        last_round=moment(window.last_at),
        judged=moment(window.judged_at) if window.judged_at else None,
        settled=moment(window.settled_at) if window.settled_at else None,
        until=moment(until[state]) if state in until else None,
        stands=None if stands is None else moment(stands),
        verdict_digest=window.posted[-1][1] if window.posted else None,
        poster=window.poster or None,
        disputes=len(window.disputers),
        updates=window.updates.total(),
        contributors=len(members),
        points=sum((window.agreed or {}).values()),
        deposits_wei=sum(one.deposits_wei for one in members),
        returned_wei=sum(one.returned_wei for one in members),
        forfeited_wei=None if window.agreed is None else sum(forfeited),
        pot_wei=window.pot_wei,
        taken_wei=sum(wei for (_, name), wei in window.paid.items() if name in _OUT_OF_THE_POT),
        claimable_wei=sum(one.claimable_wei for one in members),
    )


def _members(asking: Asking, window: Window, rules: WindowRules) -> list[WindowMemberRow]:
    deposit_wei = asking.federation.facts["rules"]["deposit_wei"]
    indices: dict[str, int] = dict(
        asking.rows("SELECT account, member_index FROM members WHERE federation_id = :id")
    )
    found = []
    for account in sorted(window.updates, key=indices.__getitem__):
        updates = window.updates[account]
        agreed = None if window.agreed is None else account in window.agreed
        found.append(
            WindowMemberRow(
                account=account,
                updates=updates,
                agreed=agreed,
                points=(window.agreed or {}).get(account, 0),
                disputed=account in window.disputers,
                deposits_wei=updates * deposit_wei,
                returned_wei=window.paid[account, "Refunded"],
                forfeited_wei=None if agreed is None else 0 if agreed else updates * deposit_wei,
                taken_wei=sum(window.paid[account, name] for name in _OUT_OF_THE_POT),
                claimable_wei=sum(window.claimable(account, rules, deposit_wei, asking.now)),
            )
        )
    return found
