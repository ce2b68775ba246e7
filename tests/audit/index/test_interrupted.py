"""Processes that are killed, that write at once, and that read meanwhile."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from ddcai.audit.index import database, reading, schema
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.chain.node.connection import connect
from ddcai.errors import IndexRefused
from tests.federation import SmallFederation

# A sync of one block a range, in a process of its own: there is time to interrupt it.
SLOW = """
import sys, time
from ddcai.audit.index.database import Index
from ddcai.audit.index.ranges import Ranges
from ddcai.audit.index.sync import Sync
from ddcai.chain.node.connection import connect
url, address, path = sys.argv[1:]
Ranges.took = lambda *given: None
with Index(path, writable=True) as index:
    job = Sync(index, connect(url), address)
    job._ranges.size = 1
    print("started", flush=True)
    job.run(lambda synced: (print(synced.synced_block, flush=True), time.sleep(0.05)))
"""


def start(audited: SmallFederation, path: Path) -> subprocess.Popen[str]:
    given = [sys.executable, "-c", SLOW, audited.url, audited.deployment.federation, str(path)]
    return subprocess.Popen(given, stdout=subprocess.PIPE, text=True)


def rows(index: Index) -> list[object]:
    tables = (schema.events, schema.transactions, schema.rounds, schema.submissions, schema.members)
    with index.reading() as connection:
        return [connection.execute(select(table)).all() for table in tables]


def test_a_killed_sync_goes_on_where_it_was(
    tmp_path: Path, audited: SmallFederation, index: Index
) -> None:
    path = tmp_path / "index.sqlite"
    # Other tests may have filled the chain before.
    block = (audited.deployment.deployed_block or 0) + 9
    process = start(audited, path)
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == str(block):
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    with Index(path, writable=True) as mine:
        with mine.reading() as connection:
            synced = reading.find(connection).synced_block
            assert synced is not None
            assert block <= synced < block + 20
            kept = list(reading.events(connection))
        assert kept
        assert all(event.block_number <= synced for event in kept)
        Sync(mine, connect(audited.url), audited.deployment.federation).run()
        assert rows(mine) == rows(index)


def test_two_readers_see_whole_ranges_while_one_writes(
    tmp_path: Path, audited: SmallFederation, index: Index
) -> None:
    path = tmp_path / "index.sqlite"
    process = start(audited, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    seen: set[int | None] = set()
    with Index(path) as one, Index(path) as other:
        while process.poll() is None:
            for reader in (one, other):
                with reader.reading() as connection:
                    federation = reading.find(connection)
                    found = list(reading.events(connection))
                    opened = sum(event.name == "RoundOpened" for event in found)
                    there = connection.execute(select(schema.rounds.c.number)).all()
                    assert len(there) == opened
                    last = federation.synced_block
                    assert all(event.block_number <= (last or 0) for event in found)
                    time.sleep(0.01)
                    again = reading.find(connection).synced_block
                    assert again == last  # the transaction sees one moment, whoever writes
                seen.add(last)
        assert process.stdout.read()
        assert process.returncode == 0
        assert len(seen) > 3  # they read between ranges, and were not kept out
        assert rows(one) == rows(other) == rows(index)


def test_two_syncs_at_once_do_no_harm(
    tmp_path: Path, audited: SmallFederation, index: Index
) -> None:
    path = tmp_path / "index.sqlite"
    both = [start(audited, path), start(audited, path)]
    for process in both:
        output, _ = process.communicate(timeout=100)
        assert process.returncode == 0, output
    with Index(path) as mine:
        assert rows(mine) == rows(index)


def test_a_second_writer_is_refused_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.2)
    with (
        Index(tmp_path / "index.sqlite", writable=True) as one,
        Index(tmp_path / "index.sqlite", writable=True) as other,
        one.writing(),
        pytest.raises(IndexRefused, match="another process has been writing"),
        other.writing(),
    ):
        pass


def test_readers_cannot_write(index: Index) -> None:
    with pytest.raises(IndexRefused, match="opened for reading"), index.writing():
        pass
    with pytest.raises(Exception, match="readonly"), index.reading() as connection:
        connection.execute(insert(schema.chains).values(id=1, genesis_hash="0x"))


def test_files_that_are_no_index(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with pytest.raises(IndexRefused, match="no index at"):
        Index(path)
    Index(path, writable=True).close()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    for writable in (False, True):
        with pytest.raises(IndexRefused, match="install a newer one"):
            Index(path, writable=writable)
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as raw:
        raw.execute("CREATE TABLE mine (x)")
    with pytest.raises(IndexRefused, match="something else"):
        Index(foreign, writable=True)
    text = tmp_path / "text.sqlite"
    text.write_text("no database at all, but long enough to have a header to look at" * 20)
    with pytest.raises(IndexRefused, match="cannot be used"):
        Index(text)


def test_another_chain_with_the_same_id(tmp_path: Path, audited: SmallFederation) -> None:
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        with index.writing() as connection:
            other = "0x" + "11" * 32
            connection.execute(insert(schema.chains).values(id=31337, genesis_hash=other))
        with pytest.raises(IndexRefused, match="began with block"):
            Sync(index, connect(audited.url), audited.deployment.federation)
