"""Changes of the index: a federation comes in, a range is added, blocks that went away go.

Each within a transaction of the caller's that holds the right to write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from ddcai.audit.index import contracts, schema
from ddcai.audit.index.contracts import Watched
from ddcai.audit.index.database import add_rows
from ddcai.audit.index.fetching import Fetched, Header, Moved
from ddcai.audit.index.projection import project
from ddcai.audit.index.reading import Indexed, indexed
from ddcai.errors import IndexRefused

_MEMBERS = frozenset({"MemberRegistered", "MemberLeft"})
_AT_ONCE = 500  # numbers in one condition


class Block(NamedTuple):
    """A block that the index knows."""

    number: int
    hash: str


def add_chain(connection: Connection, chain_id: int, genesis_hash: str) -> None:
    """Notes a chain by its first block.

    Raises:
        IndexRefused: the file has another chain of this id.
    """
    table = schema.chains
    known = connection.execute(
        select(table.c.genesis_hash).where(table.c.id == chain_id)
    ).scalar_one_or_none()
    if known is None:
        connection.execute(insert(table).values(id=chain_id, genesis_hash=genesis_hash))
    elif known != genesis_hash:
        raise IndexRefused(
            f"the index holds a chain {chain_id} that began with block {known}, and the endpoint's "
            f"began with {genesis_hash}: give the endpoint of that chain, or another file (--index)"
        )


def add_federation(
    connection: Connection,
    *,
    chain_id: int,
    address: str,
    from_block: int,
    confirmations: int,
    watched: Sequence[Watched],
    facts: dict[str, Any],
) -> Indexed:
    """A federation as it is to be synced; with more contracts than before it starts anew.

    Contracts that it had before, such as an earlier teacher, stay.
    """
    table = schema.federations
    here = (table.c.chain_id == chain_id, table.c.address == address)
    row = connection.execute(select(table.c.id).where(*here)).first()
    if row is None:
        added = connection.execute(
            insert(table).values(
                chain_id=chain_id,
                address=address,
                from_block=from_block,
                confirmations=confirmations,
                contracts=contracts.to_json(watched),
                facts=facts,
            )
        )
        assert added.inserted_primary_key is not None
        return indexed(connection, added.inserted_primary_key[0])
    there = indexed(connection, row[0])
    changed = update(table).where(table.c.id == there.id)
    connection.execute(changed.values(confirmations=confirmations))
    if from_block < there.from_block:
        connection.execute(changed.values(from_block=from_block))
        start_again(connection, there)
    return watch(connection, there, watched)


def watch(connection: Connection, federation: Indexed, more: Sequence[Watched]) -> Indexed:
    """Adds contracts; if any is new, the federation starts anew: their events may be old ones."""
    all_ = contracts.joined(federation.contracts, more)
    if all_ != federation.contracts:
        table = schema.federations
        connection.execute(
            update(table)
            .where(table.c.id == federation.id)
            .values(contracts=contracts.to_json(all_))
        )
        start_again(connection, federation)
    return indexed(connection, federation.id)


def start_again(connection: Connection, federation: Indexed) -> None:
    """Forgets a federation's events; blocks and transactions may be other federations', too."""
    for table in (schema.events, schema.rounds, schema.submissions, schema.members):
        connection.execute(delete(table).where(table.c.federation_id == federation.id))
    _set_synced(connection, federation.id, None)


def add_range(connection: Connection, federation: Indexed, fetched: Fetched) -> None:
    """Adds a range that follows on what is there, and computes again what follows from it.

    Args:
        federation: as it was when the range was asked for.

    Raises:
        Moved: another writer went on meanwhile, or the index has other blocks.
        ChainError: events that do not fit together.
    """
    now = indexed(connection, federation.id)
    if (now.synced_block, now.synced_hash, now.contracts) != (
        federation.synced_block,
        federation.synced_hash,
        federation.contracts,
    ):
        raise Moved("another process has synced this federation meanwhile")
    _check_blocks(connection, now.chain_id, fetched)
    chain = {"chain_id": now.chain_id}
    add_rows(connection, schema.blocks, [row | chain for row in fetched.blocks], known=True)
    add_rows(
        connection, schema.transactions, [row | chain for row in fetched.transactions], known=True
    )
    own = chain | {"federation_id": now.id}
    add_rows(connection, schema.events, [row | own for row in fetched.events], known=True)
    _set_synced(connection, now.id, fetched.last)
    touched = {
        row["round"]
        for row in fetched.events
        if row["round"] is not None and row["kind"] == contracts.FEDERATION
    }
    members = any(row["name"] in _MEMBERS for row in fetched.events)
    project(connection, now, touched, members=members)


def _check_blocks(connection: Connection, chain_id: int, fetched: Fetched) -> None:
    hashes = {row["number"]: row["hash"] for row in fetched.blocks}
    numbers = sorted(hashes)
    table = schema.blocks.c
    for start in range(0, len(numbers), _AT_ONCE):
        part = numbers[start : start + _AT_ONCE]
        found = select(table.number, table.hash).where(
            table.chain_id == chain_id, table.number.in_(part)
        )
        for number, digest in connection.execute(found):
            if hashes[number] != digest:
                raise Moved(f"the index has another block {number}")


def roll_back(connection: Connection, chain_id: int, to: int | None) -> int:
    """Removes all blocks after one, of all federations of the chain; how many events went.

    Args:
        to: the last block of the index that is still the chain's; None if none is.
    """
    table, federations, blocks = schema.events, schema.federations, schema.blocks
    keep = -1 if to is None else to
    gone = 0
    for (id_,) in connection.execute(
        select(federations.c.id).where(
            federations.c.chain_id == chain_id, federations.c.synced_block > keep
        )
    ).all():
        federation = indexed(connection, id_)
        later = (table.c.federation_id == id_, table.c.block_number > keep)
        about = connection.execute(
            select(table.c.round, table.c.name)
            .where(*later, table.c.kind == contracts.FEDERATION)
            .distinct()
        ).all()
        gone += connection.execute(delete(table).where(*later)).rowcount
        rounds = {row.round for row in about if row.round is not None}
        project(connection, federation, rounds, members=any(r.name in _MEMBERS for r in about))
        last = None
        if to is not None and to >= federation.from_block:
            block = connection.execute(
                select(blocks).where(blocks.c.chain_id == chain_id, blocks.c.number == to)
            ).one()
            last = Header(block.number, block.hash, block.time)
        _set_synced(connection, id_, last)
    for gone_table, column in (
        (schema.transactions, schema.transactions.c.block_number),
        (schema.blocks, schema.blocks.c.number),
    ):
        connection.execute(
            delete(gone_table).where(gone_table.c.chain_id == chain_id, column > keep)
        )
    return gone


def _set_synced(connection: Connection, federation_id: int, last: Header | None) -> None:
    table = schema.federations
    connection.execute(
        update(table)
        .where(table.c.id == federation_id)
        .values(
            synced_block=None if last is None else last.number,
            synced_hash=None if last is None else last.hash,
            synced_time=None if last is None else last.time,
        )
    )


def block_hashes(connection: Connection, chain_id: int) -> list[Block]:
    """The index's blocks of a chain, ascending."""
    table = schema.blocks.c
    there = select(table.number, table.hash).where(table.chain_id == chain_id)
    return [Block(*row) for row in connection.execute(there.order_by(table.number))]


def last_block(connection: Connection, chain_id: int, before: int | None = None) -> Block | None:
    """The index's last block of a chain, at or before a number; None if there is none."""
    table = schema.blocks.c
    there = select(table.number, table.hash).where(table.chain_id == chain_id)
    if before is not None:
        there = there.where(table.number <= before)
    found = connection.execute(there.order_by(table.number.desc()).limit(1)).first()
    return None if found is None else Block(*found)
