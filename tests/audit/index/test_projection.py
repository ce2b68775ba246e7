"""What follows from events that no honest node gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from ddcai.audit.index import reading, schema
from ddcai.audit.index.database import Index, add_rows
from ddcai.audit.index.projection import project
from ddcai.audit.index.sync import Sync
from ddcai.chain.node.connection import connect
from ddcai.errors import ChainError
from tests.federation import SmallFederation


def test_an_update_that_is_told_of_twice_is_refused(
    tmp_path: Path, audited: SmallFederation
) -> None:
    table = schema.events
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        Sync(index, connect(audited.url), audited.deployment.federation).run()
        with index.reading() as connection:
            federation = reading.find(connection)
            wanted = select(table).where(table.c.name == "UpdateSubmitted", table.c.round == 1)
            event = connection.execute(wanted).first()
            assert event is not None
        with index.writing() as connection:
            add_rows(connection, table, [event._asdict() | {"log_index": event.log_index + 1000}])
            with pytest.raises(ChainError, match="submissions"):
                project(connection, federation, [1], members=False)


def test_rows_of_one_key(tmp_path: Path, audited: SmallFederation) -> None:
    table = schema.blocks
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        Sync(index, connect(audited.url), audited.deployment.federation).run()
        with index.writing() as connection:
            block = connection.execute(select(table)).mappings().first()
            assert block is not None
            other = dict(block) | {"hash": "0x" + "00" * 32}
            add_rows(connection, table, [other], known=True)
            assert connection.execute(select(table)).mappings().first() == block
            with pytest.raises(ChainError, match=r"blocks\.number"):
                add_rows(connection, table, [other])
            unknown = dict(block) | {"chain_id": 5}
            with pytest.raises(ChainError, match="FOREIGN KEY"):
                add_rows(connection, table, [unknown])
