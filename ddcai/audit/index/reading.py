"""What the index holds, as the audit's values: federations, events, steps and rounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from eth_utils.address import is_address, to_checksum_address
from sqlalchemy import ColumnElement, Connection, Row, select

from ddcai.audit.assembly import Assembly
from ddcai.audit.history import Commitment, Registration, RoundHistory
from ddcai.audit.index import contracts, schema
from ddcai.audit.index.contracts import Watched
from ddcai.audit.index.steps import IndexedSteps, event_of
from ddcai.audit.members import members_of
from ddcai.chain.events import Event
from ddcai.digests import list_digest
from ddcai.errors import ConfigurationError, IndexRefused

# Rounds that are read at once: memory does not grow with their number.
_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """A federation in the index.

    Attributes:
        from_block: the first block that was looked at.
        confirmations: how many blocks a block must have after it to be taken in.
        synced_block, synced_hash, synced_time: the last block that was looked at; None before
            the first.
        contracts: whose events are here.
        facts: what was read from the contracts once: ``sponsor``, ``quorum_scheme``,
            ``initial_model_digest`` (None where rounds say it), and ``rules`` and
            ``window_rules`` (None where nothing is judged) as mappings.
    """

    id: int
    chain_id: int
    address: str
    from_block: int
    confirmations: int
    synced_block: int | None
    synced_hash: str | None
    synced_time: int | None
    contracts: tuple[Watched, ...]
    facts: dict[str, Any]


def federations(connection: Connection) -> tuple[Indexed, ...]:
    """All federations, in the order in which they came into the index."""
    rows = connection.execute(select(schema.federations).order_by(schema.federations.c.id))
    return tuple(map(_indexed, rows))


def find(
    connection: Connection, address: str | None = None, chain_id: int | None = None
) -> Indexed:
    """One federation.

    Args:
        address: of its contract; None where there is only one.
        chain_id: where it has the same address on several chains.

    Raises:
        ConfigurationError: none fits, or several do.
    """
    if address is not None and not is_address(address):
        raise ConfigurationError(f"{address!r} is not an address: give 0x and 40 hex digits")
    wanted = None if address is None else to_checksum_address(address)
    there = federations(connection)
    found = [
        one for one in there if wanted in (None, one.address) and chain_id in (None, one.chain_id)
    ]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{one.address} on chain {one.chain_id}" for one in there) or "none"
    asked = "a federation" if wanted is None else wanted
    problem = "not in the index" if not found else "not the only one in the index"
    raise ConfigurationError(
        f"{asked} is {problem}, which has {listed}: name one that is there, or run "
        "`ddcai audit sync` for it"
    )


def _indexed(row: Row[Any]) -> Indexed:
    values = row._asdict()
    return Indexed(**{**values, "contracts": contracts.from_json(values["contracts"])})


def events(connection: Connection, *where: ColumnElement[bool]) -> Iterator[Event]:
    """Events in the order of the chain; conditions are on `schema.events`."""
    table = schema.events.c
    columns = (table.kind, table.name, table.args, table.block_number)
    chosen = select(*columns, table.tx_hash, table.log_index, table.time)
    ordered = chosen.where(*where).order_by(table.block_number, table.log_index)
    return map(event_of, connection.execute(ordered))


def round_numbers(connection: Connection, federation: Indexed) -> Iterator[int]:
    """The rounds that events tell of, ascending."""
    table = schema.rounds.c
    chosen = select(table.number).where(table.federation_id == federation.id)
    return iter(connection.execute(chosen.order_by(table.number)).scalars())


def registrations(connection: Connection, federation: Indexed) -> tuple[Registration, ...]:
    """The members, in the order in which they joined."""
    about = schema.events.c.name.in_(("MemberRegistered", "MemberLeft"))
    of_federation = schema.events.c.kind == contracts.FEDERATION
    steps = IndexedSteps(connection, federation, about, of_federation)
    return members_of(steps.events, steps, federation.address)


def _following(number: int, listed: Sequence[Commitment]) -> bytes:
    return list_digest((one.index, one.digest) for one in listed)


def round_histories(
    connection: Connection,
    federation: Indexed,
    numbers: Iterable[int],
    *,
    digest_of_list: Callable[[int, Sequence[Commitment]], bytes] = _following,
    prev_randao: Callable[[int], bytes | None] = lambda block: None,
) -> Iterator[RoundHistory]:
    """These rounds by number, some dozens at a time. A round that no event names is left out.

    Args:
        numbers: ascending.
        digest_of_list: of a round's committed list, as the history shall have it: by default what
            follows from the list.
        prev_randao: a block's RANDAO value, which no event tells of; None where it is not known.

    Raises:
        ChainError: events that do not fit together.
    """
    members = schema.members.c
    found = select(members.account, members.member_index).where(
        members.federation_id == federation.id
    )
    indices = {row[0]: row[1] for row in connection.execute(found)}
    left = iter(numbers)
    while wanted := list(islice(left, _AT_ONCE)):
        for assembly in _assemblies(connection, federation, wanted, indices):
            yield assembly.round(partial(digest_of_list, assembly.number), prev_randao)


def _assemblies(
    connection: Connection, federation: Indexed, numbers: Sequence[int], indices: dict[str, int]
) -> Iterator[Assembly]:
    table = schema.events.c
    of_rounds = table.round.in_(numbers), table.kind == contracts.FEDERATION
    steps = IndexedSteps(connection, federation, *of_rounds)
    grouped: dict[int, list[Event]] = defaultdict(list)
    for event in steps.events:
        grouped[event.args["round"]].append(event)
    for number in sorted(grouped):
        yield Assembly(number, grouped[number], indices, steps.of)


def indexed(connection: Connection, federation_id: int) -> Indexed:
    """A federation that is there for sure, as it is now.

    Raises:
        IndexRefused: it was deleted.
    """
    table = schema.federations
    row = connection.execute(select(table).where(table.c.id == federation_id)).first()
    if row is None:
        raise IndexRefused("the federation was deleted from the index meanwhile: sync again")
    return _indexed(row)
