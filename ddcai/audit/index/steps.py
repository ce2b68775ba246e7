"""Events in the index with the transactions behind them: who sent them, for how much gas, with
which input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, and_, func, select

from ddcai.audit.history import Step
from ddcai.audit.index import contracts, encoding, schema
from ddcai.audit.steps import SETTLING, arguments_of
from ddcai.chain.events import Event

if TYPE_CHECKING:
    from ddcai.audit.index.reading import Indexed

# A statement of SQLite's takes so many variables at least.
_AT_ONCE = 500
# Events that are read at once: memory does not grow with their number.
_BATCH = 500


class IndexedSteps:
    """The steps of some events (`ddcai.audit.steps.Steps`), asked of no node.

    Args:
        where: conditions on `schema.events`, such as of which kind.

    Attributes:
        events: those, in the order of the chain.
    """

    def __init__(
        self, connection: Connection, federation: Indexed, *where: ColumnElement[bool]
    ) -> None:
        self._connection, self._federation = connection, federation
        found = list(steps(connection, federation, *where))
        self.events = tuple(event for event, _ in found)
        self._steps = {(one.block_number, one.log_index): step for one, step in found}

    def of(self, event: Event) -> Step:
        """The step that an event tells of."""
        return self._steps[event.block_number, event.log_index]

    def arguments(
        self, found: Iterable[Event], address: str, signature: str
    ) -> dict[str, tuple[Any, ...]]:
        """What the transactions of these events gave to a function of a contract, by hash."""
        sent, decoded = schema.transactions.c, {}
        hashes = list(dict.fromkeys(event.tx_hash for event in found))
        for start in range(0, len(hashes), _AT_ONCE):
            rows = self._connection.execute(
                select(sent.hash, sent.input).where(
                    sent.chain_id == self._federation.chain_id,
                    sent.hash.in_(hashes[start : start + _AT_ONCE]),
                    sent.recipient == address,
                )
            )
            for tx_hash, data in rows:
                given = arguments_of(data, signature)
                if given is not None:
                    decoded[tx_hash] = given
        return decoded


def in_batches(
    connection: Connection, federation: Indexed, *where: ColumnElement[bool]
) -> Iterator[IndexedSteps]:
    """As `IndexedSteps`, some hundreds of events at a time, of whole blocks.

    Args:
        where: conditions on `schema.events`.
    """
    table = schema.events.c
    following = select(table.block_number).where(table.federation_id == federation.id, *where)
    after: int | None = -1
    while after is not None:
        left = table.block_number > after
        ends = following.where(left).order_by(table.block_number).offset(_BATCH - 1).limit(1)
        last = connection.execute(ends).scalar()
        until = [] if last is None else [table.block_number <= last]
        yield IndexedSteps(connection, federation, *where, left, *until)
        after = last


def steps(
    connection: Connection, federation: Indexed, *where: ColumnElement[bool]
) -> Iterator[tuple[Event, Step]]:
    """Events in the order of the chain, each with the step that it tells of.

    Where a transaction settles several rounds or windows, each step has its part of the gas.

    Args:
        where: conditions on `schema.events`.
    """
    table, sent = schema.events.c, schema.transactions.c
    chosen = and_(table.federation_id == federation.id, *where)
    by_hash = and_(sent.chain_id == table.chain_id, sent.hash == table.tx_hash)
    rows = connection.execute(
        select(schema.events, sent.sender, sent.gas_used)
        .join(schema.transactions, by_hash)
        .where(chosen)
        .order_by(table.block_number, table.log_index)
    )
    shares = _shares(connection, federation, chosen)
    for row in rows:
        event = event_of(row)
        settles = event.name in SETTLING
        yield (
            event,
            Step(
                by=row.sender,
                time=datetime.fromtimestamp(event.timestamp, UTC),
                block_number=event.block_number,
                tx_hash=event.tx_hash,
                gas_used=row.gas_used // shares[event.tx_hash] if settles else row.gas_used,
            ),
        )


def event_of(row: Any) -> Event:
    """A row of `schema.events`, or of its columns that an event is made of."""
    return Event(
        name=row.name,
        args=encoding.loads(row.args, contracts.decoder(row.kind).types(row.name)),
        block_number=row.block_number,
        tx_hash=row.tx_hash,
        log_index=row.log_index,
        timestamp=row.time,
    )


def _shares(
    connection: Connection, federation: Indexed, chosen: ColumnElement[bool]
) -> dict[str, int]:
    """How many events share the gas of each transaction that settles."""
    table = schema.events.c
    hashes = select(table.tx_hash).where(chosen, table.name.in_(SETTLING))
    counted = (
        select(table.tx_hash, func.count())
        .where(
            table.chain_id == federation.chain_id,
            table.tx_hash.in_(hashes),
            table.federation_id == federation.id,
            table.name.in_(SETTLING),
            table.kind.in_((contracts.FEDERATION, contracts.ASSESSMENT)),
        )
        .group_by(table.tx_hash)
    )
    return {row[0]: row[1] for row in connection.execute(counted)}
