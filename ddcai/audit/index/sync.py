"""Bringing a federation in the index up to date with its chain.

Range by range, each one transaction: a sync that ends in between goes on where it was. Before each
range the index's last block is compared with the chain's; if the chain was reorganised, all after
the last block in common goes, of every federation of that chain. One process writes at a time;
readers are never waited for, and never wait.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ddcai.audit.index import contracts, reading, writing
from ddcai.audit.index.contracts import NOTHING, Beside
from ddcai.audit.index.database import Index
from ddcai.audit.index.facts import read_facts
from ddcai.audit.index.fetching import Fetcher, Header, Moved, header
from ddcai.audit.index.ranges import Ranges
from ddcai.audit.index.reading import Indexed
from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import Connection, RpcFailure, mines_on_request, request
from ddcai.errors import ChainError, ChainUnreachable, ConfigurationError

CONFIRMATIONS = 12
_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class Synced:
    """How far a sync came.

    Attributes:
        contract: the federation's.
        synced_block: the last block that was looked at; None before the first.
        last_block: the last block that is to be: the chain's, less the confirmations.
        new_events: that came in.
        removed_events: that went, with blocks that a reorganisation removed.
        trouble: why the endpoint could not be asked, of a sync that goes on trying; else None.
    """

    chain_id: int
    contract: str
    synced_block: int | None
    last_block: int
    new_events: int = 0
    removed_events: int = 0
    trouble: str | None = None

    @property
    def done(self) -> bool:
        """Whether all is in."""
        return self.synced_block is not None and self.synced_block >= self.last_block


class Sync:
    """Syncs one federation, from one endpoint."""

    def __init__(
        self,
        index: Index,
        w3: Connection,
        address: str,
        *,
        from_block: int = 0,
        beside: Beside = NOTHING,
        confirmations: int | None = None,
    ) -> None:
        """Asks the contracts what belongs to the federation.

        Args:
            index: opened for writing.
            w3: a connection (`ddcai.chain.node.connection.connect`).
            address: the federation's contract.
            from_block: a block at or before the deployment; 0 always serves.
            beside: contracts of the federation that none of it names.
            confirmations: how many blocks a block must have after it to be taken in; by default
                0 on a trial chain (embedded, anvil), else 12.

        Raises:
            ConfigurationError: a negative number, or a contract of another federation.
            NotAFederation, NotATrainer: no such contract there.
            IndexRefused: the file has another chain of this id.
            ChainUnreachable, ChainError: no answers, or not such.
        """
        if confirmations is None:
            confirmations = 0 if mines_on_request(w3) else CONFIRMATIONS
        for name, value in (("confirmations", confirmations), ("from_block", from_block)):
            if value < 0:
                raise ConfigurationError(f"{name} is {value}: give a number from 0")
        federation = Federation.connect(w3, address)
        watched = contracts.of_federation(w3, federation, beside)
        first = header(w3, 0)
        if first is None:
            raise ChainError("the node has no block 0: use another")
        facts, earliest = read_facts(federation)
        self._index, self._w3, self._ranges = index, w3, Ranges()
        self._fetcher = Fetcher(w3, federation.address)
        with index.writing() as connection:
            writing.add_chain(connection, federation.chain_id, first.hash)
            self._federation = writing.add_federation(
                connection,
                chain_id=federation.chain_id,
                address=federation.address,
                from_block=from_block if earliest is None else min(from_block, earliest),
                confirmations=confirmations,
                watched=watched,
                facts=facts,
            )

    @property
    def federation_id(self) -> int:
        """Its id in the index."""
        return self._federation.id

    @property
    def next_block(self) -> int:
        """The first block that was not looked at yet."""
        return _next(self._reload())

    def run(self, progress: Callable[[Synced], None] = lambda synced: None) -> Synced:
        """Syncs up to the chain's last block, less the confirmations.

        Args:
            progress: called after each range.

        Raises:
            ChainUnreachable: no answer; what came in before stays.
            ChainError: the node refuses, goes back behind what the index has, or answers what
                does not fit together.
            IndexRefused: another process writes all the time.
        """
        federation = self._federation
        synced = Synced(
            chain_id=federation.chain_id,
            contract=federation.address,
            synced_block=None,
            last_block=-1,
        )
        moved = 0
        while True:
            head = int(request(self._w3, "eth_blockNumber", []), 16)
            last = head - federation.confirmations
            removed = self._check_chain(head)
            federation = self._reload()
            synced = replace(
                synced,
                synced_block=federation.synced_block,
                last_block=last,
                removed_events=synced.removed_events + removed,
            )
            first = _next(federation)
            if first > last:
                return synced
            try:
                added = self._range(federation, first, last)
            except Moved as error:
                moved += 1
                if moved >= _ATTEMPTS:
                    raise ChainError(f"{error}, {moved} times in a row: sync again") from error
                continue
            moved = 0
            synced = replace(
                synced,
                synced_block=self._reload().synced_block,
                new_events=synced.new_events + added,
            )
            progress(synced)

    def follow(self, poll_s: float = 2.0, stop: threading.Event | None = None) -> Iterator[Synced]:
        """Syncs, again and again; an endpoint that goes away is asked until it is back.

        Yields after each time, whether there was anything new or not.

        Args:
            poll_s: seconds between two times.
            stop: set, it ends this within a moment.
        """
        stop = stop or threading.Event()
        federation = self._federation
        last = Synced(
            chain_id=federation.chain_id,
            contract=federation.address,
            synced_block=federation.synced_block,
            last_block=-1,
        )
        while not stop.is_set():
            try:
                last = self.run()
            except ChainError as error:
                last = replace(last, new_events=0, removed_events=0, trouble=str(error))
            yield last
            stop.wait(poll_s)

    def _reload(self) -> Indexed:
        with self._index.reading() as connection:
            self._federation = reading.indexed(connection, self._federation.id)
        return self._federation

    def _range(self, federation: Indexed, first: int, last: int) -> int:
        """Fetches and adds one range; how many events it had."""
        end = min(last, first + self._ranges.size - 1)
        before = header(self._w3, end)
        if before is None:
            raise Moved(f"block {end} went away while it was read")
        try:
            logs = self._fetcher.logs(federation.contracts, first, end)
        except RpcFailure:
            if not self._ranges.refused(end - first + 1):
                raise
            return 0
        except ChainUnreachable:
            # Some endpoints refuse with a status of HTTP: those answer what is small.
            request(self._w3, "eth_blockNumber", [])
            if not self._ranges.refused(end - first + 1):
                raise
            return 0
        fetched = self._fetcher.complete(federation.contracts, logs, before)
        # A block's hash stands for all before it: if it is the same after all was read, all that
        # was read is of one chain, and follows on what the index has.
        if header(self._w3, end) != before or self._parent_changed(federation):
            raise Moved(f"the chain was reorganised before block {end} while it was read")
        known = federation.contracts
        new = contracts.joined(known, fetched.named)[len(known) :]
        with self._index.writing() as connection:
            if new:
                writing.watch(connection, federation, new)
                return 0
            writing.add_range(connection, federation, fetched)
        self._ranges.took(end - first + 1, len(logs))
        return len(fetched.events)

    def _parent_changed(self, federation: Indexed) -> bool:
        if federation.synced_block is None:
            return False
        found = header(self._w3, federation.synced_block)
        return found is None or found.hash != federation.synced_hash

    def _check_chain(self, head: int) -> int:
        """Rolls back to the last block in common with the chain; how many events went."""
        chain_id = self._federation.chain_id
        with self._index.reading() as connection:
            last = writing.last_block(connection, chain_id)
        if last is None or self._is_on_chain(last):
            return 0
        if head < last.number and self._federation.confirmations:
            with self._index.reading() as connection:
                known = writing.last_block(connection, chain_id, head)
            if known is None or self._is_on_chain(known):
                raise ChainError(
                    f"the node is at block {head}, and the index at {last.number}: it is behind, "
                    "wait or use another"
                )
        common = self._common()
        with self._index.writing() as connection:
            return writing.roll_back(connection, chain_id, common)

    def _common(self) -> int | None:
        """The highest block of the index that is the chain's; blocks before it are, too."""
        with self._index.reading() as connection:
            there = writing.block_hashes(connection, self._federation.chain_id)
        low, high = 0, len(there)  # those before `low` are the chain's, those from `high` on not
        while low < high:
            middle = (low + high) // 2
            if self._is_on_chain(there[middle]):
                low = middle + 1
            else:
                high = middle
        return there[low - 1].number if low else None

    def _is_on_chain(self, block: writing.Block) -> bool:
        found: Header | None = header(self._w3, block.number)
        return found is not None and found.hash == block.hash


def _next(federation: Indexed) -> int:
    done = federation.synced_block
    return federation.from_block if done is None else done + 1
