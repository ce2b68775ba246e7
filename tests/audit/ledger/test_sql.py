"""Questions in SQL read the views, and reach nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddcai.audit.ledger.sql import FUNCTIONS, answer
from ddcai.audit.ledger.views import VIEWS
from ddcai.errors import ConfigurationError

TABLES = """
CREATE TABLE federations(id INTEGER, chain_id, address, from_block, confirmations, synced_block,
    synced_hash, synced_time, contracts);
CREATE TABLE blocks(chain_id, number, hash, time);
CREATE TABLE transactions(chain_id, hash, block_number, sender, recipient, action, value_wei,
    gas_used, gas_price_wei, input);
CREATE TABLE events(federation_id, chain_id, block_number, log_index, time, tx_hash, contract, kind,
    name, round, window, account, amount_wei, digest, args);
CREATE TABLE rounds(federation_id, number, state, opened, submit_deadline, finalize_deadline,
    sealed_at, ended, base_model_digest, sum_digest, model_digest, opened_digest, head_digest,
    contributors, sealed, signers, deposits_wei, gas);
CREATE TABLE submissions(federation_id, round, account, member_index, digest, deposit_wei,
    refunded_wei, taken_wei, refund_due_wei, take_due_wei, outcome, listed, judged, attested, gas,
    time);
CREATE TABLE members(federation_id, account, member_index, joined, "left");
CREATE TABLE hidden(secret);
INSERT INTO hidden VALUES ('treasure');
INSERT INTO federations VALUES
    (7, 31337, '0xF', 0, 0, 9, '0xh', 1, '[{"address": "0xF", "kind": "f"}]');
INSERT INTO rounds(federation_id, number, state, deposits_wei) VALUES
    (7, 1, 'finalized', '30000000000000000001'), (7, 2, 'open', '20000000000000000000');
"""

Ask = Callable[..., tuple[tuple[object, ...], ...]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "index.sqlite")
    connection.executescript(TABLES)
    connection.close()
    return tmp_path / "index.sqlite"


@pytest.fixture
def ask(path: Path) -> Ask:
    def asked(statement: str, **limits: float) -> tuple[tuple[object, ...], ...]:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return answer(connection, statement, **limits).rows  # type: ignore[arg-type]
        finally:
            connection.close()

    return asked


def test_views_are_read(ask: Ask) -> None:
    assert ask("SELECT round, state FROM rounds WHERE federation = '0xF' ORDER BY round") == (
        (1, "finalized"),
        (2, "open"),
    )
    assert ask("SELECT count(*) FROM rounds") == ((2,),)
    assert ask(
        "WITH done AS (SELECT * FROM rounds WHERE state = 'open') SELECT round FROM done"
    ) == ((2,),)
    assert ask("SELECT contract, kind FROM contracts") == (("0xF", "f"),)


@pytest.mark.parametrize("name", VIEWS)
def test_each_view_has_columns_and_no_more_rows_than_there_are(ask: Ask, name: str) -> None:
    rows = ask(f"SELECT * FROM {name}")
    assert len(rows) == {"federations": 1, "contracts": 1, "rounds": 2}.get(name, 0)


def test_amounts_are_exact(ask: Ask) -> None:
    [[total, ether]] = ask("SELECT wei_sum(deposits_wei), ether(wei_sum(deposits_wei)) FROM rounds")
    assert (total, ether) == ("50000000000000000001", "50.000000000000000001")
    assert ask("SELECT wei_sum(deposits_wei) FROM rounds WHERE 0") == ((None,),)
    assert ask("SELECT ether(NULL), ether(0), ether(-15), ether('1000000000000000000')") == (
        (None, "0", "-0.000000000000000015", "1"),
    )


@given(st.integers(0, 2**256 - 1))
def test_ether_loses_no_digit(amount_wei: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(TABLES)
    [[shown]] = answer(connection, f"SELECT ether('{amount_wei}')").rows
    connection.close()
    whole, _, part = str(shown).partition(".")
    assert int(whole) * 10**18 + int(part.ljust(18, "0") or 0) == amount_wei
    assert not part.endswith("0")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret FROM hidden",
        "SELECT count(*) FROM hidden",
        "SELECT 1 FROM hidden",
        "SELECT secret FROM main.hidden",
        "SELECT * FROM main.rounds",
        "SELECT input FROM main.transactions",
        # A name that is a view's does not open a table.
        "WITH rounds AS (SELECT secret FROM main.hidden) SELECT * FROM rounds",
        "WITH RECURSIVE rounds(n) AS (SELECT secret FROM hidden UNION ALL SELECT n FROM rounds) "
        "SELECT * FROM rounds",
        "SELECT (SELECT secret FROM hidden) FROM rounds",
        "SELECT * FROM rounds WHERE EXISTS (SELECT 1 FROM hidden)",
        "SELECT * FROM sqlite_master",
        "SELECT count(*) FROM sqlite_master",
        "SELECT count(*) FROM sqlite_temp_master",
        "SELECT count(*) FROM pragma_function_list",
        "SELECT * FROM sqlite_temp_master",
        "SELECT sql FROM sqlite_schema",
        "SELECT * FROM pragma_table_list",
        "SELECT * FROM pragma_database_list()",
        "SELECT * FROM dbstat",
        "PRAGMA table_list",
        "PRAGMA writable_schema = ON",
        "ATTACH DATABASE ':memory:' AS other",
        "DETACH DATABASE main",
        "SELECT load_extension('x')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT readfile('/etc/passwd')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT randomblob(8)",
        "CREATE TABLE mine(a)",
        "CREATE TEMP TABLE mine(a)",
        "CREATE TEMP VIEW mine AS SELECT secret FROM hidden",
        "INSERT INTO main.rounds(number) VALUES (3)",
        "UPDATE main.rounds SET state = 'open'",
        "DELETE FROM main.rounds",
        "DROP TABLE main.rounds",
        "DROP VIEW rounds",
        "ALTER TABLE main.rounds ADD COLUMN x",
        "VACUUM INTO '/tmp/ddcai-copy.sqlite'",
        "REINDEX",
        "ANALYZE",
        "BEGIN IMMEDIATE",
        "SAVEPOINT a",
        "SELECT 1; DELETE FROM main.rounds",
        "",
        "nonsense",
        "SELECT number FROM rounds",
        "SELECT json('{')",
        "SELECT wei_sum('x') FROM rounds",
        "SELECT '\x00",
    ],
)
def test_nothing_else_is_reached(ask: Ask, path: Path, statement: str) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigurationError) as caught:
        ask(statement)
    assert "treasure" not in str(caught.value)
    assert path.read_bytes() == before


def test_the_guard_is_what_refuses(path: Path) -> None:
    """Without it the planted reads give what they want: the list above is no list of typos."""
    connection = sqlite3.connect(path)
    for statement in (
        "SELECT secret FROM hidden",
        "WITH rounds AS (SELECT secret FROM main.hidden) SELECT * FROM rounds",
    ):
        assert connection.execute(statement).fetchall() == [("treasure",)]
    connection.close()


def test_an_error_names_no_inner_view_that_serves_again(ask: Ask) -> None:
    names = set()
    for _ in range(2):
        with pytest.raises(ConfigurationError) as caught:
            ask("SELECT missing FROM rounds")
        names.add(str(caught.value))
    assert names == {"SQLite refuses the question: no such column: missing"}


def test_time_and_rows_and_lengths_are_limited(ask: Ask) -> None:
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
    with pytest.raises(ConfigurationError, match=r"more than 0\.1 s"):
        ask(counting.format("count(*)"), seconds=0.1)
    assert len(ask(counting.format("i"), limit=5)) == 5
    with pytest.raises(ConfigurationError, match="too big"):
        ask(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50) "
            "SELECT group_concat(printf('%1000000d', i)) FROM n"
        )


def test_rows_that_were_left_out_are_said(path: Path) -> None:
    for limit, more in ((1, True), (2, False), (3, False)):
        connection = sqlite3.connect(path)
        found = answer(connection, "SELECT round AS n FROM rounds", limit=limit)
        connection.close()
        assert (len(found.rows), found.more, found.columns) == (min(limit, 2), more, ("n",))


def test_functions_that_are_allowed_are_sqlites_own_or_ours() -> None:
    connection = sqlite3.connect(":memory:")
    known = {name for (name,) in connection.execute("SELECT name FROM pragma_function_list")}
    connection.close()
    assert {"wei_sum", "ether"} <= FUNCTIONS
    assert not FUNCTIONS & {"load_extension", "writefile", "readfile", "edit", "randomblob"}
    assert {"abs", "sum", "json_extract", "row_number"} <= known & FUNCTIONS
