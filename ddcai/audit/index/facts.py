"""What the contracts say once and for all, for questions that are answered without a chain."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ddcai.chain.federation import Federation


def read_facts(federation: Federation) -> tuple[dict[str, Any], int | None]:
    """A federation's facts as JSON values, and the block of its key holders' first key.

    That key may be older than the federation; None where no key was registered.
    """
    rules = federation.rules()
    window_rules = asdict(federation.assessment().rules()) if rules.assessed else None
    opened = federation.last_round() > 0
    holders = federation.key_holders()
    epochs = () if holders is None else holders.epochs()
    facts = {
        "sponsor": federation.sponsor(),
        "quorum_scheme": federation.quorum_scheme(),
        "initial_model_digest": None if opened else "0x" + federation.model_digest().hex(),
        "rules": _plain(asdict(rules)),
        "window_rules": None if window_rules is None else _plain(window_rules),
    }
    return facts, epochs[0].registered_block if epochs else None


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: "0x" + value.hex() if isinstance(value, bytes) else value
        for name, value in values.items()
    }
