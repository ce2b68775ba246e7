"""Where every deposit is: paid in, paid back, shared out, handed over, or still with the contract.

What becomes of those that are handed over to be judged: `ddcai.audit.window_money`.
"""

from __future__ import annotations

from ddcai.audit import claims
from ddcai.audit.claims import Claim, judged
from ddcai.audit.history import History, RoundHistory, dues, paid, total
from ddcai.chain.federation import Federation


def held_wei(round_: RoundHistory) -> int:
    """What the contract must still hold for one round, by its events and rules."""
    if round_.running:
        return total(round_.commitments)
    due = sum(own + share for own, share in dues(round_).values())
    return due - paid(round_.refunds) - paid(round_.takes)


def claimable_wei(federation: Federation, round_: RoundHistory) -> int:
    """What the contract would pay now for a round.

    Asks it about everybody whom the events do not show as paid out.

    Raises:
        ChainUnreachable, ChainError: no answer, or none that fits.
    """
    due = dues(round_)
    waiting = [
        one.address
        for one in round_.commitments
        if (paid(round_.refunds, one.address), paid(round_.takes, one.address))
        != due.get(one.address)
    ]
    return sum(sum(federation.claimable(round_.number, address)) for address in waiting)


def check_conserved(history: History) -> Claim:
    """Deposits are the rules', payments exactly what is due, and all of it adds up.

    What is held is asked from the contract (`claimable`), not computed from the other terms.
    """
    for round_ in history.rounds:
        fault = _fault(history, round_)
        if fault is not None:
            return judged(claims.MONEY, False, *fault)
    deposited = sum(total(round_.commitments) for round_ in history.rounds)
    refunded = sum(paid(round_.refunds) for round_ in history.rounds)
    taken = sum(paid(round_.takes) for round_ in history.rounds)
    handed = sum(total(round_.assessed) for round_ in history.rounds)
    held = history.claimable_wei
    held += sum(total(one.commitments) for one in history.rounds if one.running)
    sum_wei = refunded + taken + handed + held
    judged_ = f" + {handed} handed over to be judged" if history.assessment is not None else ""
    return judged(
        claims.MONEY,
        deposited == sum_wei,
        f"{deposited} wei deposited",
        f"{refunded} refunded + {taken} taken{judged_} + {held} held = {sum_wei} wei",
    )


def _fault(history: History, round_: RoundHistory) -> tuple[str, str] | None:
    """What was expected and found, at the first payment that is not as the rules say."""
    where = f"round {round_.number}: "
    due = dues(round_)
    for one in round_.commitments:
        if one.deposit_wei != history.rules.deposit_wei:
            expected = f"{where}a deposit of {history.rules.deposit_wei} wei of {one.address}"
            return expected, f"{one.deposit_wei} wei"
    paid_to = {payment.address for payment in (*round_.refunds, *round_.takes)}
    for address in sorted(paid_to):
        own, share = due.get(address, (0, 0))
        for what, payments, amount in (
            ("refund", round_.refunds, own),
            ("take", round_.takes, share),
        ):
            had = paid(payments, address)
            if had not in (0, amount):
                return f"{where}{what} of {amount} wei to {address}", f"{had} wei"
    return None


def check_solvent(history: History) -> Claim:
    """The contract's balance covers deposits that it holds and the stakes of active members."""
    staying = sum(1 for member in history.members if member.left is None)
    owed = sum(held_wei(round_) for round_ in history.rounds)
    owed += staying * history.rules.registration_stake_wei
    return judged(
        claims.SOLVENT,
        history.balance_wei >= owed,
        f"at least {owed} wei",
        f"{history.balance_wei} wei",
    )
