"""Taking what windows of judged rounds owe an account: deposits, shares, and bonds."""

from __future__ import annotations

from ddcai.chain.assessment import Assessment, WindowState
from ddcai.chain.transactions import Receipt
from ddcai.errors import ContractReverted


def settle_windows(assessment: Assessment, address: str) -> list[Receipt]:
    """Takes all that is due now; nothing is sent where nothing is.

    Args:
        assessment: its sender is the account.
        address: the account: a member, or anybody who posted a verdict.
    """
    receipts, due = [], []
    for number in range(1, assessment.window_count() + 1):
        window = assessment.window(number)
        mine = window.poster == address and not window.bond_released
        if mine and window.state is WindowState.STANDING:
            receipts.append(assessment.release_bond(number))
        if _claimable(assessment, number, address):
            due.append(number)
    if due:
        receipts.append(assessment.claim(due))
    if assessment.owed_wei(address):
        receipts.append(assessment.withdraw())
    return receipts


def _claimable(assessment: Assessment, number: int, address: str) -> bool:
    try:
        return any(assessment.claimable(number, address))
    except ContractReverted as error:
        if error.name != "NotAMember":
            raise
        return False
