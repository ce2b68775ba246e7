"""The audit's questions, answered from the index: `ddcai.audit.ledger.rows` and `findings`."""

from __future__ import annotations

from ddcai.audit.ledger.ledger import Ledger

__all__ = ["Ledger"]
