"""Reading a federation's `History` from a chain, with its rounds and windows in files.

Events come into an index of the audit's own first, from there into a `Stored`, some dozens of
rounds, or a window, at a time: memory grows with neither. What no event tells of is asked of the
node.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ddcai.audit.history import History, RoundHistory
from ddcai.audit.index import contracts, reading, schema
from ddcai.audit.index.database import Index
from ddcai.audit.index.fetching import header
from ddcai.audit.index.steps import in_batches
from ddcai.audit.index.sync import Sync
from ddcai.audit.money import claimable_wei
from ddcai.audit.report.signed import Block
from ddcai.audit.stored import Stored
from ddcai.audit.window_reading import read_assessment
from ddcai.chain.block_header import prev_randao
from ddcai.chain.federation import Federation
from ddcai.chain.head import Head, teaching
from ddcai.chain.node.connection import Connection, request
from ddcai.errors import ChainError

_ATTEMPTS = 5
_INDEX, _ROUNDS = "index.sqlite", "rounds.sqlite"


@contextmanager
def stored_history(
    w3: Connection, address: str, from_block: int = 0
) -> Iterator[tuple[History, Block]]:
    """As `read_stored`, in a temporary folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="ddcai-audit-") as folder:
        yield read_stored(w3, address, from_block, Path(folder))


def read_stored(
    w3: Connection, address: str, from_block: int, folder: Path
) -> tuple[History, Block]:
    """Everything that the chain says of one federation, and the block after which it is so.

    Args:
        w3: a connection (`ddcai.chain.node.connection.connect`).
        address: the federation's contract.
        from_block: a block at or before the deployment; 0 always serves.
        folder: of the auditor's own, empty; the history's rounds and windows are read from it.

    Raises:
        NotAFederation: no federation there.
        ChainUnreachable: no answer.
        ChainError: answers that do not fit together, or a federation that does not rest for as
            long as reading takes.
    """
    federation = Federation.connect(w3, address)
    with Index(folder / _INDEX, writable=True) as index:
        sync = Sync(index, w3, federation.address, from_block=from_block, confirmations=0)
        sync.run()
        for _ in range(_ATTEMPTS):
            block = _block(index, federation)
            history = read_parts(w3, federation, index, folder)
            # Reads are of the latest block: they belong to these events if no other came since,
            # and if the block that these are of is still the chain's.
            later = sync.run()
            now = header(w3, block.number)
            kept = now is not None and bytes.fromhex(now.hash[2:]) == block.hash
            if kept and not (later.new_events or later.removed_events):
                return history, block
    raise ChainError(
        f"the federation {federation.address} went on while it was read, {_ATTEMPTS} times: "
        "audit it again when its round has ended"
    )


def _block(index: Index, federation: Federation) -> Block:
    """The last block that the index has looked at."""
    with index.reading() as connection:
        found = reading.find(connection, federation.address)
    if found.synced_block is None or found.synced_hash is None or found.synced_time is None:
        raise ChainError("the chain has no block from the one on that was given: give an earlier")
    digest = bytes.fromhex(found.synced_hash[2:])
    return Block(number=found.synced_block, hash=digest, time=found.synced_time)


def read_parts(w3: Connection, federation: Federation, index: Index, folder: Path) -> History:
    """What an index has of a federation, and what its node says now, which may be of later.

    Args:
        folder: for the files of rounds and windows; made anew.
    """
    claimable = 0

    def adding(rounds: Iterable[RoundHistory]) -> Iterator[RoundHistory]:
        nonlocal claimable
        for round_ in rounds:
            claimable += claimable_wei(federation, round_)
            yield round_

    rules, current = federation.rules(), federation.model_digest()
    holders = federation.key_holders()
    code = request(w3, "eth_getCode", [rules.key_holder, "latest"])
    taught = teaching(w3, federation.head_address())
    with index.reading() as connection:
        found = reading.find(connection, federation.address)
        histories = reading.round_histories(
            connection,
            found,
            reading.round_numbers(connection, found),
            digest_of_list=lambda number, listed: federation.list_digest(number),
            prev_randao=lambda block: prev_randao(w3, block),
        )
        rounds = Stored.write(folder / _ROUNDS, adding(histories))
        members = reading.registrations(connection, found)
        assessment = None
        if rules.assessed:
            of_assessment = schema.events.c.kind == contracts.ASSESSMENT
            batches = ((one.events, one) for one in in_batches(connection, found, of_assessment))
            assessment = read_assessment(federation, batches, members, rounds, folder)
    return History(
        encoder_every=None if taught is None else taught.encoder_every,
        chain_id=federation.chain_id,
        contract=federation.address,
        quorum_scheme=federation.quorum_scheme(),
        quorum=federation.quorum_address(),
        sponsor=federation.sponsor(),
        rules=rules,
        initial_model_digest=rounds[0].base_model_digest if rounds else current,
        model_digest=current,
        last_round=federation.last_round(),
        head_words=Head(w3, federation.head_address()).words(),
        balance_wei=federation.balance(),
        members=members,
        rounds=rounds,
        claimable_wei=claimable,
        key_holder_is_contract=code not in ("0x", "", None),
        key_epochs=() if holders is None else holders.epochs(),
        assessment=assessment,
    )
