"""What the contract itself says that it would pay."""

from __future__ import annotations

from ddcai.audit.history import History
from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import Connection


def claimable_of(w3: Connection, history: History) -> dict[tuple[int, str], tuple[int, int]]:
    """By round and account, `refund` and `take` in wei; zeros are left out."""
    contract = Federation.connect(w3, history.contract)
    asked = [(one.number, by.address) for one in history.rounds for by in one.commitments]
    found = {one: contract.claimable(*one) for one in asked}
    return {one: wei for one, wei in found.items() if wei != (0, 0)}
