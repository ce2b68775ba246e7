"""What an archive is made of: the chain's events and rounds, from the index alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ddcai.audit.history import History
from ddcai.audit.index import contracts, encoding, reading
from ddcai.audit.index.database import Index
from ddcai.audit.ledger import Ledger
from ddcai.audit.ledger.archive import archive
from ddcai.chain.events import events
from ddcai.chain.node.connection import connect
from ddcai.errors import IndexRefused
from tests.federation import SmallFederation


def test_rounds_and_digests_are_those_of_the_chain(ledger: Ledger, history: History) -> None:
    found = ledger.archive()
    assert (found.chain_id, found.contract) == (history.chain_id, history.contract)
    assert found.config_digest == history.rules.config_digest
    assert found.initial_model_digest == history.initial_model_digest
    assert found.rounds == history.rounds
    assert found.finalised() == history.finalised()
    assert len(found.finalised()) == 2


def test_events_are_those_of_the_chain(ledger: Ledger, audited: SmallFederation) -> None:
    """Of the federation all, each with its values; and with them those of its other contracts."""
    address = audited.deployment.federation
    found = ledger.archive().events
    told = events(connect(audited.url), address)
    mine = [row for row in found if row.contract == address]
    assert [(row.block_number, row.log_index, row.tx_hash, row.name) for row in mine] == [
        (event.block_number, event.log_index, event.tx_hash, event.name) for event in told
    ]
    assert [row.time.timestamp() for row in mine] == [event.timestamp for event in told]
    for row, event in zip(mine, told, strict=True):
        assert row.kind == contracts.FEDERATION
        types = contracts.decoder(row.kind).types(row.name)
        assert encoding.loads(json.dumps(row.arguments), types) == event.args
    places = [(row.block_number, row.log_index) for row in found]
    assert places == sorted(places)
    assert {row.kind for row in found} >= {contracts.FEDERATION, contracts.HEAD}


def test_it_is_up_to_the_block_of_the_index(ledger: Ledger) -> None:
    found = ledger.archive()
    assert found.synced_block == ledger.federation().synced_block
    assert found.synced_block >= found.events[-1].block_number


def test_an_index_that_is_not_as_far_as_the_first_round(index_path: Path) -> None:
    """As with an endpoint that was asked before the blocks had their confirmations."""
    with Index(index_path) as index, index.reading() as connection:
        there = reading.find(connection)
        with pytest.raises(IndexRefused, match="no block of"):
            archive(connection, replace(there, synced_block=None))
        told = "0x" + "ab" * 32  # of the model that the contract has before its first round
        elsewhere = replace(
            there, id=there.id + 1, facts=there.facts | {"initial_model_digest": told}
        )
        found = archive(connection, elsewhere)
        assert (found.rounds, found.initial_model_digest.hex()) == ((), told[2:])
        elsewhere = replace(elsewhere, facts=there.facts | {"initial_model_digest": None})
        with pytest.raises(IndexRefused, match="does not have the first round"):
            archive(connection, elsewhere)
