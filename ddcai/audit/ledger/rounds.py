"""Rounds, and each party's steps in one."""

from __future__ import annotations

import json
from typing import Any

from ddcai.audit.ledger.asking import Asking, moment
from ddcai.audit.ledger.rows import RoundRow, StepRow
from ddcai.audit.steps import SETTLING
from ddcai.configuration import FederationConfig
from ddcai.digests import list_digest
from ddcai.errors import ConfigurationError
from ddcai.rounds.privacy import epsilon

_ACTIONS = {
    "RoundOpened": "open",
    "UpdateSubmitted": "submit",
    "RoundCommitted": "commit",
    "RoundDrawn": "draw",
    "RoundSealed": "seal",
    "RoundFinalized": "finalize",
    "RoundCancelled": "cancel",
    "Refunded": "refund",
    "Taken": "take",
}
_PAYING = ("UpdateSubmitted", *SETTLING)


def rounds(asking: Asking, config: FederationConfig | None) -> tuple[RoundRow, ...]:
    """All rounds, by number."""
    found, opened = [], 0
    for row in asking.rows(
        "SELECT number, state, opened, base_model_digest, model_digest, contributors, sealed, gas, "
        "deposits_wei FROM rounds WHERE federation_id = :id ORDER BY number"
    ):
        number, state, time, base, model, contributors, sealed, gas, deposits = row
        opened += bool(sealed)
        private = config is not None and config.privacy is not None
        found.append(
            RoundRow(
                number=number,
                state=state,
                opened=moment(time),
                base_model_digest=base,
                model_digest=model,
                contributors=contributors,
                sealed=sealed,
                gas=gas,
                deposits_wei=int(deposits),
                epsilon=epsilon(config, opened) if config is not None and private else None,
            )
        )
    return tuple(found)


def steps(asking: Asking, number: int) -> tuple[StepRow, ...]:
    """Each party's steps in one round, in the order of the chain.

    Raises:
        ConfigurationError: there is no such round.
    """
    [last] = asking.one("SELECT max(number) FROM rounds WHERE federation_id = :id")
    if not 1 <= number <= (last or 0):
        known = f"rounds 1 to {last}" if last else "no round yet"
        raise ConfigurationError(f"no round {number}: this federation has {known}")
    shares = _shares(asking, number)
    found = []
    for name, time, tx_hash, amount, digest, args, sender, gas in asking.rows(
        "SELECT e.name, e.time, e.tx_hash, e.amount_wei, e.digest, e.args, t.sender, t.gas_used "
        "FROM events e INDEXED BY events_by_round JOIN transactions t "
        "ON t.chain_id = e.chain_id AND t.hash = e.tx_hash "
        "WHERE e.federation_id = :id AND e.round = :round AND e.kind = 'federation' "
        "ORDER BY e.block_number, e.log_index",
        round=number,
    ):
        if name not in _ACTIONS:
            continue
        found.append(
            StepRow(
                time=moment(time),
                action=_ACTIONS[name],
                party=sender,
                digest=_digest(asking, number, name, digest, args),
                amount_wei=int(amount) if name in _PAYING else 0,
                gas=gas // shares[tx_hash] if name in SETTLING else gas,
                tx_hash=tx_hash,
            )
        )
    return tuple(found)


def _digest(asking: Asking, number: int, name: str, digest: str | None, args: str) -> str | None:
    if name == "RoundDrawn":
        return str(json.loads(args)["randomness"])
    if name != "RoundCommitted":
        return None if name in SETTLING else digest
    listed = asking.rows(
        "SELECT member_index, digest FROM submissions "
        "WHERE federation_id = :id AND round = :round AND judged ORDER BY member_index",
        round=number,
    )
    return "0x" + list_digest((index, bytes.fromhex(one[2:])) for index, one in listed).hex()


def _shares(asking: Asking, number: int) -> dict[str, Any]:
    """How many events share the gas of each transaction that settles."""
    return dict(
        asking.rows(
            "SELECT tx_hash, count(*) FROM events INDEXED BY events_by_transaction "
            "WHERE chain_id = :chain AND federation_id = :id "
            "AND kind IN ('federation', 'assessment') AND name IN ('Refunded', 'Taken') "
            "AND tx_hash IN (SELECT tx_hash FROM events INDEXED BY events_by_round "
            "WHERE federation_id = :id "
            "AND round = :round AND name IN ('Refunded', 'Taken')) GROUP BY tx_hash",
            round=number,
        )
    )
