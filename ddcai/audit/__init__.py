"""The audit: what a federation did (`Ledger`), and whether it is true (`ddcai.audit.verify`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddcai.audit.ledger import Ledger

__all__ = ["Ledger"]


def __getattr__(name: str) -> Any:
    # When it is first asked for: most of the audit needs no database.
    if name == "Ledger":
        from ddcai.audit.ledger import Ledger

        return Ledger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
