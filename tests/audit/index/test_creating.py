"""Processes that make one file at the same moment."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sqlalchemy import inspect

from ddcai.audit.index import schema
from ddcai.audit.index.database import Index

PROCESSES, FILES = 4, 10


def make(folder: Path, barrier: Barrier) -> None:
    for number in range(FILES):
        barrier.wait(timeout=30)
        with Index(folder / f"{number}.sqlite", writable=True) as index, index.writing():
            pass


def test_processes_that_make_the_same_file_at_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(PROCESSES)
    processes = [spawn.Process(target=make, args=(tmp_path, barrier)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    for number in range(FILES):
        with Index(tmp_path / f"{number}.sqlite") as index, index.reading() as connection:
            assert set(inspect(connection).get_table_names()) >= set(schema.metadata.tables)
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_a_file_that_another_is_switching_is_waited_for(tmp_path: Path) -> None:
    # SQLite refuses the switch at once, and does not wait, while another holds this lock.
    path = tmp_path / "index.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE unfinished (x)")
    release = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    release.start()
    try:
        with Index(path, writable=True) as index, index.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    finally:
        release.join()
        other.close()
