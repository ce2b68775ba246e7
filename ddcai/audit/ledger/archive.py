"""All that the index has of a federation, for an archive that is to need no chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ddcai.audit.history import RoundHistory
from ddcai.audit.index import reading, schema
from ddcai.audit.index.reading import Indexed
from ddcai.audit.ledger.asking import moment
from ddcai.errors import IndexRefused

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """An event of a contract that belongs to the federation.

    Attributes:
        contract: its address.
        kind: what the contract is: of `ddcai.audit.index.contracts.ARTIFACTS`.
        arguments: by name; bytes as 0x and hex, integers of more than 53 bits as decimal digits,
            since JSON readers would round them.
    """

    block_number: int
    log_index: int
    time: datetime
    tx_hash: str
    contract: str
    kind: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A federation up to one block.

    Attributes:
        contract: its address.
        config_digest, initial_model_digest: 32 bytes each; the model that the first round
            started from, or is to start from.
        synced_block: the block.
        rounds: by number; where updates are judged, without RANDAO values.
        events: in the order of the chain.
    """

    chain_id: int
    contract: str
    config_digest: bytes
    initial_model_digest: bytes
    synced_block: int
    rounds: tuple[RoundHistory, ...]
    events: tuple[EventRow, ...]

    def finalised(self) -> tuple[RoundHistory, ...]:
        """The finalised rounds, by number."""
        return tuple(one for one in self.rounds if one.finalisation is not None)


def archive(connection: Connection, federation: Indexed) -> Archive:
    """Reads it within the connection's transaction.

    Raises:
        IndexRefused: no block was synced yet, or not the one that the first round was opened in.
    """
    if federation.synced_block is None:
        raise IndexRefused(f"the index has no block of {federation.address} yet: sync it first")
    table = schema.rounds
    rows = connection.execute(table.select().where(table.c.federation_id == federation.id))
    numbers = [row.number for row in rows]
    found = tuple(reading.round_histories(connection, federation, numbers))
    return Archive(
        chain_id=federation.chain_id,
        contract=federation.address,
        config_digest=bytes.fromhex(federation.facts["rules"]["config_digest"][2:]),
        initial_model_digest=_initial(federation, found),
        synced_block=federation.synced_block,
        rounds=found,
        events=tuple(_events(connection, federation)),
    )


def _initial(federation: Indexed, rounds: tuple[RoundHistory, ...]) -> bytes:
    if rounds:
        return rounds[0].base_model_digest
    told = federation.facts["initial_model_digest"]
    if told is None:  # a round was open when the contract was asked
        raise IndexRefused(
            f"the index does not have the first round of {federation.address} yet: sync it again "
            f"when the round's block has {federation.confirmations} after it"
        )
    return bytes.fromhex(told[2:])


def _events(connection: Connection, federation: Indexed) -> Iterator[EventRow]:
    table = schema.events.c
    rows = connection.execute(
        schema.events.select()
        .where(table.federation_id == federation.id)
        .order_by(table.block_number, table.log_index)
    )
    for row in rows:
        yield EventRow(
            block_number=row.block_number,
            log_index=row.log_index,
            time=moment(row.time),
            tx_hash=row.tx_hash,
            contract=row.contract,
            kind=row.kind,
            name=row.name,
            arguments=json.loads(row.args),
        )
