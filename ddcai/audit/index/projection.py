"""Rounds, submissions and members as tables, computed from the events.

In the transaction that changes the events, so that nobody sees the ones without the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from ddcai.audit.history import Commitment, Payment, RoundHistory, dues, total
from ddcai.audit.index import contracts, encoding, reading, schema
from ddcai.audit.index.database import add_rows
from ddcai.audit.index.reading import Indexed
from ddcai.audit.outcomes import outcome

_AT_ONCE = 500


def project(
    connection: Connection, federation: Indexed, rounds: Iterable[int], *, members: bool
) -> None:
    """Computes again what follows from events that changed.

    Args:
        rounds: numbers of those with changed events.
        members: whether any of the events was about members.

    Raises:
        ChainError: events that do not fit together.
    """
    if members:
        _project_members(connection, federation)
    numbers = sorted(set(rounds))
    for start in range(0, len(numbers), _AT_ONCE):
        _project_rounds(connection, federation, numbers[start : start + _AT_ONCE])


def _project_rounds(connection: Connection, federation: Indexed, numbers: Sequence[int]) -> None:
    """Some rounds: a statement a table, since each statement costs more than its rows."""
    histories = list(reading.round_histories(connection, federation, numbers))
    for table, column, rows in (
        (schema.rounds, schema.rounds.c.number, [_round(federation.id, r) for r in histories]),
        (
            schema.submissions,
            schema.submissions.c.round,
            [row for round_ in histories for row in _submissions(federation.id, round_)],
        ),
    ):
        here = table.c.federation_id == federation.id
        connection.execute(delete(table).where(here, column.in_(numbers)))
        add_rows(connection, table, rows)


def _project_members(connection: Connection, federation: Indexed) -> None:
    table = schema.members
    connection.execute(delete(table).where(table.c.federation_id == federation.id))
    event, rows = schema.events.c, {}
    about = event.name.in_(("MemberRegistered", "MemberLeft"))
    chosen = (
        select(event.name, event.account, event.time, event.args)
        .where(event.federation_id == federation.id, about, event.kind == contracts.FEDERATION)
        .order_by(event.block_number, event.log_index)
    )
    types = contracts.decoder(contracts.FEDERATION).types("MemberRegistered")
    for row in connection.execute(chosen):
        if row.name == "MemberRegistered":
            rows[row.account] = {
                "federation_id": federation.id,
                "account": row.account,
                "member_index": encoding.loads(row.args, types)["index"],
                "joined": row.time,
                "left": None,
            }
        elif row.account in rows:
            rows[row.account]["left"] = row.time
    add_rows(connection, table, list(rows.values()))


def _round(federation_id: int, round_: RoundHistory) -> dict[str, Any]:
    sealing, final, cancelled = round_.sealing, round_.finalisation, round_.cancelled
    ended = final.step if final is not None else cancelled
    return {
        "federation_id": federation_id,
        "number": round_.number,
        "state": round_.state.name.lower(),
        "opened": int(round_.opened.time.timestamp()),
        "submit_deadline": round_.submit_deadline,
        "finalize_deadline": round_.finalize_deadline,
        "sealed_at": None if sealing is None else int(sealing.step.time.timestamp()),
        "ended": None if ended is None else int(ended.time.timestamp()),
        "base_model_digest": _hex(round_.base_model_digest),
        "sum_digest": None if sealing is None else _hex(sealing.sum_digest),
        "model_digest": None if final is None else _hex(final.model_digest),
        "opened_digest": None if final is None else _hex(final.opened_digest),
        "head_digest": None if final is None else _hex(final.head_digest),
        "contributors": len(round_.commitments),
        "sealed": len(round_.sealed),
        "signers": 0 if final is None else len(final.signers),
        "deposits_wei": str(total(round_.commitments)),
        "gas": _gas(round_),
    }


def _gas(round_: RoundHistory) -> int:
    judging, sealing, final = round_.judging, round_.sealing, round_.finalisation
    steps = [
        round_.opened,
        *(one.step for one in round_.commitments),
        None if judging is None else judging.committed,
        None if judging is None else judging.drawn,
        None if sealing is None else sealing.step,
        None if final is None else final.step,
        round_.cancelled,
        *(payment.step for payment in (*round_.refunds, *round_.takes)),
    ]
    return sum(step.gas_used for step in steps if step is not None)


def _submissions(federation_id: int, round_: RoundHistory) -> list[dict[str, Any]]:
    """One row a commitment; everything by account is looked up, not searched for."""
    due = dues(round_)
    listed = {one.address for one in round_.sealed}
    judged = {one.address for one in round_.judged}
    signers = frozenset() if round_.finalisation is None else set(round_.finalisation.signers)
    refunds, takes = _by_account(round_.refunds), _by_account(round_.takes)

    def row(one: Commitment) -> dict[str, Any]:
        account = one.address
        refund_due, take_due = due.get(account, (0, 0))
        refunded, taken = refunds.get(account, []), takes.get(account, [])
        return {
            "federation_id": federation_id,
            "round": round_.number,
            "account": account,
            "member_index": one.index,
            "digest": _hex(one.digest),
            "deposit_wei": str(one.deposit_wei),
            "refunded_wei": str(sum(payment.amount_wei for payment in refunded)),
            "taken_wei": str(sum(payment.amount_wei for payment in taken)),
            "refund_due_wei": str(refund_due),
            "take_due_wei": str(take_due),
            "outcome": outcome(round_.state, account in listed, account in judged),
            "listed": account in listed,
            "judged": account in judged,
            "attested": one.index in signers,
            "gas": one.step.gas_used
            + sum(payment.step.gas_used for payment in (*refunded, *taken)),
            "time": int(one.step.time.timestamp()),
        }

    return [row(one) for one in round_.commitments]


def _by_account(payments: Iterable[Payment]) -> dict[str, list[Payment]]:
    found: dict[str, list[Payment]] = {}
    for payment in payments:
        found.setdefault(payment.address, []).append(payment)
    return found


def _hex(digest: bytes) -> str:
    return "0x" + digest.hex()
