"""Contributions of public data, with what became of each; and gas by action."""

from __future__ import annotations

import json
from itertools import pairwise

from ddcai.audit.ledger.asking import Asking, moment
from ddcai.audit.ledger.findings import GasRow, PublicContributionRow


def contributions(asking: Asking) -> tuple[PublicContributionRow, ...]:
    """All contributions to the federation's trainers, in the order of the chain."""
    settled = _settled(asking)
    incentives = _incentives(asking)
    found = []
    for time, contract, account, args, tx_hash in asking.rows(
        "SELECT time, contract, account, args, tx_hash FROM events INDEXED BY events_by_name "
        "WHERE federation_id = :id AND kind = 'trainer' AND name = 'Contributed' "
        "ORDER BY block_number, log_index"
    ):
        values = json.loads(args)
        number = int(values["id"])
        refunds, reports, points = settled.get((incentives.get(contract), number), ([], [], 0))
        found.append(
            PublicContributionRow(
                time=moment(time),
                trainer=contract,
                id=number,
                contributor=account,
                label=int(values["class"]),
                predicted=int(values["predicted"]),
                price_wei=int(values["priceWei"]),
                features_bytes=(len(values["features"]) - 2) // 2,
                outcome="refunded" if refunds else "reported" if reports else "open",
                refunded_wei=sum(refunds),
                reported_wei=sum(reports),
                points=points,
                tx_hash=tx_hash,
            )
        )
    return tuple(found)


def _incentives(asking: Asking) -> dict[str, str]:
    """The incentive of each trainer: the index has it right after its trainer.

    An incentive is one trainer's for ever. Only a contract that feigns this has two that say they
    are its trainer; then the first one's it is, and the other has none.
    """
    watched = asking.federation.contracts
    return {
        one.address: after.address
        for one, after in pairwise(watched)
        if (one.kind, after.kind) == ("trainer", "incentive")
    }


def _settled(asking: Asking) -> dict[tuple[str | None, int], tuple[list[int], list[int], int]]:
    found: dict[tuple[str | None, int], tuple[list[int], list[int], int]] = {}
    for name, contract, amount, args in asking.rows(
        "SELECT name, contract, amount_wei, args FROM events INDEXED BY events_by_name "
        "WHERE federation_id = :id AND kind = 'incentive' AND name IN ('Refunded', 'Reported')"
    ):
        values = json.loads(args)
        key = contract, int(values["id"])
        refunds, reports, points = found.get(key, ([], [], 0))
        (refunds if name == "Refunded" else reports).append(int(amount))
        found[key] = refunds, reports, points + int(values.get("points", 0))
    return found


# Gas times price is added in two halves: a product with all digits of the price may need more than
# the 63 bits of SQLite's integers.
_PRICE_DIGITS = 6
_BY_ACTION = """
    SELECT action, count(*), sum(gas_used), min(gas_used), max(gas_used),
        sum(gas_used * CAST(substr('0000000' || gas_price_wei, 1,
            length(gas_price_wei) + 1) AS INTEGER)),
        sum(gas_used * CAST(substr(gas_price_wei, -6) AS INTEGER))
    FROM transactions t WHERE chain_id = :chain {own} GROUP BY action ORDER BY action"""
_OWN = """AND EXISTS (SELECT 1 FROM events e WHERE e.chain_id = t.chain_id
    AND e.tx_hash = t.hash AND e.federation_id = :id)"""


def gas(asking: Asking) -> tuple[GasRow, ...]:
    """All transactions with events of the federation, by action."""
    [others] = asking.one("SELECT count(*) FROM federations WHERE chain_id = :chain AND id <> :id")
    found = asking.rows(_BY_ACTION.format(own=_OWN if others else ""))
    return tuple(
        GasRow(
            action=action,
            transactions=count,
            gas_total=total,
            gas_mean=total // count,
            gas_min=least,
            gas_max=most,
            fees_wei=int(high) * 10**_PRICE_DIGITS + int(low),
        )
        for action, count, total, least, most, high, low in found
    )
