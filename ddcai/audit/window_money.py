"""Whether the contract that judges updates paid what it should, and holds what it owes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from ddcai.audit import claims
from ddcai.audit.claims import Claim, judged
from ddcai.audit.history import History
from ddcai.audit.stored import Grouped
from ddcai.audit.window_ledger import Books, Fault, Ledger
from ddcai.audit.windows import AssessmentHistory


def check_windows(history: History, assessment: AssessmentHistory) -> Iterator[Claim]:
    """That windows' money is conserved, and that the contract has it."""
    ledger = Ledger(history, assessment)
    fault = ledger.fault or next(_differences(history, assessment, ledger), None)
    if fault is not None:
        yield judged(
            claims.WINDOW_MONEY,
            False,
            fault.expected,
            fault.found,
            window=fault.window,
            subject=fault.account,
        )
    else:
        held = held_wei(history, assessment, ledger)
        sum_wei = ledger.paid_out_wei + held
        yield judged(
            claims.WINDOW_MONEY,
            ledger.paid_in_wei == sum_wei,
            f"{ledger.paid_in_wei} wei paid in",
            f"{ledger.paid_out_wei} paid out + {held} held = {sum_wei} wei",
        )
    owed = ledger.held_wei()
    yield judged(
        claims.WINDOW_SOLVENT,
        assessment.balance_wei >= owed,
        f"at least {owed} wei",
        f"{assessment.balance_wei} wei",
    )


def held_wei(history: History, assessment: AssessmentHistory, ledger: Ledger) -> int:
    """What the contract holds, from what it says itself about windows, pool and accounts."""
    held = assessment.pool_wei + sum(assessment.owed_wei.values())
    for window in assessment.windows:
        books = ledger.windows[window.number]
        held += _owned_updates(assessment, window.number) * history.rules.deposit_wei
        held += books.bonds_wei - books.refunded.total()
        if books.swept_wei is None:
            held += window.pot_wei - books.taken.total()
    return held


def _owned_updates(assessment: AssessmentHistory, window: int) -> int:
    """Deposits that are, or may become, their owners' again: the others are in the pot."""
    judged_ = assessment.windows[window - 1].judged_at > 0
    return sum(
        one.updates for one in assessment.standings(window).values() if one.agreed or not judged_
    )


def _differences(
    history: History, assessment: AssessmentHistory, ledger: Ledger
) -> Iterator[Fault]:
    """Where what the contract holds is not what its events and rules lead to."""
    taken = (one for one in assessment.entries if one.name == "RoundTaken")
    windows_of = Grouped((one.round, one.window or 0) for one in taken)
    for round_ in history.rounds:
        if round_.finalisation is not None and not windows_of.of(round_.number):
            yield Fault(
                expected=f"{len(round_.assessed)} deposits of round {round_.number}", found="none"
            )
    numbers = range(1, len(assessment.windows) + 1)
    if any(one != two for one, two in zip_longest(ledger.windows, numbers)):
        yield Fault(
            expected=f"windows {sorted(ledger.windows)}", found=f"{len(assessment.windows)} windows"
        )
        return
    for window in assessment.windows:
        books = ledger.windows[window.number]
        points = sum((books.agreed or {}).values())
        for what, expected, found in (
            ("a pot of {} wei", books.pot_wei, window.pot_wei),
            ("{} points", points, window.points),
            ("{} updates", books.updates.total(), window.updates),
        ):
            if expected != found:
                yield Fault(expected=what.format(expected), found=str(found), window=window.number)
        yield from _members(history, assessment, ledger, window.number, books)
    if assessment.pool_wei != ledger.pool_wei:
        yield Fault(expected=f"a pool of {ledger.pool_wei} wei", found=f"{assessment.pool_wei} wei")
    for account in sorted(ledger.owed.keys() | assessment.owed_wei.keys()):
        expected, found = ledger.owed[account], assessment.owed_wei.get(account, 0)
        if expected != found:
            yield Fault(expected=f"{expected} wei of bonds", found=f"{found} wei", account=account)


def _members(
    history: History,
    assessment: AssessmentHistory,
    ledger: Ledger,
    window: int,
    books: Books,
) -> Iterator[Fault]:
    standings = assessment.standings(window)
    for member in history.members:
        index, address = member.index, member.address
        standing = standings.get(index)
        updates = books.updates[index]
        if standing is None:
            if updates:
                yield Fault(
                    expected=f"{updates} updates", found="none", window=window, account=address
                )
            continue
        agreed = books.agreed or {}
        own, share = ledger.due_wei(window, address)
        left = own - books.refunded[address], share - books.taken[address]
        for what, expected, found in (
            ("updates", updates, standing.updates),
            ("agreed", index in agreed, standing.agreed),
            ("points", agreed.get(index, 0), standing.points),
            # Nothing before its time.
            ("wei of deposits", left[0] if standing.refund_wei else 0, standing.refund_wei),
            ("wei of the pot", left[1] if standing.take_wei else 0, standing.take_wei),
        ):
            if expected != found:
                yield Fault(
                    expected=f"{what}: {expected}",
                    found=str(found),
                    window=window,
                    account=address,
                )
