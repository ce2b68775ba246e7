"""Looking up addresses, digests, transactions and rounds by how they begin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from ddcai.audit.ledger.asking import Asking
from ddcai.audit.ledger.findings import SearchRow

LIMIT = 50
_HEX = re.compile(r"(?:0x)?([0-9a-f]{3,64})")
# From each account to the next one in the order of the index, not over all its events.
_ACCOUNTS = """
    WITH RECURSIVE accounts(account) AS (
        SELECT min(account) FROM events WHERE federation_id = :id
        UNION ALL
        SELECT (SELECT min(e.account) FROM events e INDEXED BY events_by_account
                WHERE e.federation_id = :id AND e.account > a.account)
        FROM accounts a WHERE a.account IS NOT NULL)"""
_OF_ROUNDS = {
    "base_model_digest": "base model",
    "sum_digest": "sum",
    "model_digest": "model",
    "opened_digest": "opened sum",
    "head_digest": "head",
}


def search(asking: Asking, text: str, limit: int = LIMIT) -> tuple[SearchRow, ...]:
    """What begins with a text of at least 3 hex digits, or a round or window of this number."""
    wanted = text.strip().lower()
    found = _found(asking, wanted)
    return tuple(islice(dict.fromkeys(found), limit))


def _row(
    kind: str, value: str, where: str, number: int | None = None, window: int | None = None
) -> SearchRow:
    return SearchRow(kind=kind, value=value, round=number, window=window, where=where)


def _found(asking: Asking, wanted: str) -> Iterator[SearchRow]:
    if wanted.isascii() and wanted.isdecimal() and len(wanted) < 10:
        for (number,) in asking.rows(
            "SELECT number FROM rounds WHERE federation_id = :id AND number = :number",
            number=int(wanted),
        ):
            yield _row("round", str(number), "round", number)
        for (number,) in asking.rows(
            "SELECT window FROM events INDEXED BY events_by_name WHERE federation_id = :id "
            "AND kind = 'assessment' AND name = 'RoundTaken' AND window = :number LIMIT 1",
            number=int(wanted),
        ):
            yield _row("window", str(number), "window", window=number)
    match = _HEX.fullmatch(wanted)
    if match is None:
        return
    first = "0x" + match[1]
    ends = {"first": first, "last": first + "g"}  # after all hex digits
    for account, index in asking.rows(
        "SELECT account, member_index FROM members WHERE federation_id = :id "
        "AND lower(account) BETWEEN :first AND :last ORDER BY member_index",
        **ends,
    ):
        yield _row("account", account, f"member {index}")
    for (account,) in asking.rows(
        f"{_ACCOUNTS} SELECT account FROM accounts "
        "WHERE lower(account) BETWEEN :first AND :last AND account NOT IN "
        "(SELECT account FROM members WHERE federation_id = :id) ORDER BY account",
        **ends,
    ):
        yield _row("account", account, "events")
    for column, where in _OF_ROUNDS.items():
        for digest, number in asking.rows(
            f"SELECT {column}, number FROM rounds WHERE federation_id = :id "
            f"AND {column} BETWEEN :first AND :last ORDER BY number LIMIT {LIMIT}",
            **ends,
        ):
            yield _row("digest", digest, where, number)
    for digest, number in asking.rows(
        "SELECT digest, round FROM submissions INDEXED BY submissions_by_digest "
        "WHERE digest BETWEEN :first AND :last "
        f"AND federation_id = :id ORDER BY digest LIMIT {LIMIT}",
        **ends,
    ):
        yield _row("digest", digest, "update", number)
    for digest, number, window, name in asking.rows(
        "SELECT digest, round, window, name FROM events INDEXED BY events_by_digest "
        "WHERE digest BETWEEN :first AND :last "
        f"AND federation_id = :id AND kind <> 'federation' ORDER BY digest LIMIT {LIMIT}",
        **ends,
    ):
        yield _row("digest", digest, name, number, window)
    for tx_hash, action, number in asking.rows(
        "SELECT t.hash, t.action, (SELECT min(e.round) FROM events e WHERE e.chain_id = t.chain_id "
        "AND e.tx_hash = t.hash AND e.federation_id = :id) FROM transactions t "
        "WHERE t.chain_id = :chain AND t.hash BETWEEN :first AND :last AND EXISTS (SELECT 1 FROM "
        "events e WHERE e.chain_id = t.chain_id AND e.tx_hash = t.hash AND e.federation_id = :id) "
        f"ORDER BY t.hash LIMIT {LIMIT}",
        **ends,
    ):
        yield _row("transaction", tx_hash, action, number)
