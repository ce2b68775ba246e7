"""A synced index says what the chain says, whatever way the sync went."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ddcai.audit.history import History, RoundHistory, Step
from ddcai.audit.index import contracts, reading, schema
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.chain.events import events
from ddcai.chain.node.connection import Connection, connect, request
from ddcai.errors import NotAFederation
from tests.audit.claimable import claimable_of
from tests.federation import SmallFederation


def rows(index: Index, table: Any) -> list[dict[str, Any]]:
    with index.reading() as connection:
        return [row._asdict() for row in connection.execute(select(table))]


def test_events_are_the_chains(index: Index, audited: SmallFederation) -> None:
    w3 = connect(audited.url)
    with index.reading() as connection:
        found = reading.find(connection)
        for kind, name in (
            (contracts.FEDERATION, "Federation"),
            (contracts.HEAD, "PerceptronHead"),
            (contracts.QUORUM, "BlsQuorum"),
        ):
            (one,) = [one for one in found.contracts if one.kind == kind]
            mine = list(reading.events(connection, schema.events.c.contract == one.address))
            assert mine == events(w3, one.address, contract_name=name)
    assert len(rows(index, schema.events)) > 30


def test_rounds_are_those_of_the_history(index: Index, history: History) -> None:
    with index.reading() as connection:
        found = reading.find(connection)
        numbers = [one.number for one in history.rounds]
        assert tuple(reading.round_histories(connection, found, numbers)) == history.rounds


def test_rounds_and_members_are_projected(
    index: Index, history: History, audited: SmallFederation
) -> None:
    w3 = connect(audited.url)
    projected = rows(index, schema.rounds)
    for mine, theirs in zip(projected, history.rounds, strict=True):
        final, steps = theirs.finalisation, of_round(theirs)
        assert mine["number"] == theirs.number
        assert mine["state"] == theirs.state.name.lower()
        assert mine["opened"] == int(theirs.opened.time.timestamp())
        assert mine["base_model_digest"] == "0x" + theirs.base_model_digest.hex()
        assert mine["model_digest"] == (None if final is None else "0x" + final.model_digest.hex())
        assert (mine["contributors"], mine["sealed"]) == (
            len(theirs.commitments),
            len(theirs.sealed),
        )
        assert int(mine["deposits_wei"]) == sum(one.deposit_wei for one in theirs.commitments)
        assert mine["gas"] == sum(gas_of(w3, step.tx_hash) for step in steps)
    joined = {row["account"]: row["member_index"] for row in rows(index, schema.members)}
    assert joined == {one.address: one.index for one in history.members}


def test_submissions_are_projected(
    index: Index, history: History, audited: SmallFederation
) -> None:
    w3 = connect(audited.url)
    submitted = {(row["round"], row["account"]): row for row in rows(index, schema.submissions)}
    assert set(submitted) == {
        (round_.number, one.address) for round_ in history.rounds for one in round_.commitments
    }
    claimable = claimable_of(w3, history)
    for round_ in history.rounds:
        signers = () if round_.finalisation is None else round_.finalisation.signers
        for one in round_.commitments:
            mine = submitted[round_.number, one.address]
            own = [
                [paid for paid in payments if paid.address == one.address]
                for payments in (round_.refunds, round_.takes)
            ]
            refunded, taken = (sum(paid.amount_wei for paid in each) for each in own)
            assert mine["digest"] == "0x" + one.digest.hex()
            assert int(mine["deposit_wei"]) == one.deposit_wei
            assert (int(mine["refunded_wei"]), int(mine["taken_wei"])) == (refunded, taken)
            assert mine["listed"] == (one in round_.sealed)
            assert mine["attested"] == (one.index in signers)
            hashes = [one.step.tx_hash, *(paid.step.tx_hash for each in own for paid in each)]
            assert mine["gas"] == sum(gas_of(w3, tx_hash) for tx_hash in hashes)
            # What is still due is what the contract itself says that it would pay.
            due = (int(mine["refund_due_wei"]) - refunded, int(mine["take_due_wei"]) - taken)
            assert due == claimable.get((round_.number, one.address), (0, 0))


def of_round(round_: RoundHistory) -> list[Step]:
    """All its steps."""
    ends = [round_.sealing, round_.finalisation]
    steps = [one.step for one in (*round_.commitments, *round_.refunds, *round_.takes)]
    steps += [one.step for one in ends if one is not None]
    return [round_.opened, *steps, *([] if round_.cancelled is None else [round_.cancelled])]


def gas_of(w3: Connection, tx_hash: str) -> int:
    """As its receipt says."""
    return int(request(w3, "eth_getTransactionReceipt", [tx_hash])["gasUsed"], 16)


def test_transactions_are_named_and_paid_for(index: Index, audited: SmallFederation) -> None:
    w3 = connect(audited.url)
    found = rows(index, schema.transactions)
    actions = {row["action"] for row in found}
    assert {"deploy", "register", "openRound", "submitUpdate", "sealRound"} <= actions
    assert {"finalizeRound", "cancelRound"} <= actions
    for row in found:
        sent = request(w3, "eth_getTransactionByHash", [row["hash"]])
        receipt = request(w3, "eth_getTransactionReceipt", [row["hash"]])
        assert row["gas_used"] == int(receipt["gasUsed"], 16)
        assert int(row["gas_price_wei"]) == int(receipt["effectiveGasPrice"], 16)
        assert row["sender"].lower() == sent["from"].lower()
        assert row["input"] == bytes.fromhex(sent["input"][2:])
        assert int(row["value_wei"]) == int(sent["value"], 16)
        assert row["block_number"] == int(receipt["blockNumber"], 16)


def test_facts_and_contracts(index: Index, history: History) -> None:
    with index.reading() as connection:
        found = reading.find(connection, history.contract.lower())
    assert found.facts["sponsor"] == history.sponsor
    assert found.facts["rules"]["coordinator"] == history.rules.coordinator
    assert found.facts["window_rules"] is None
    assert {one.kind for one in found.contracts} == {"federation", "quorum", "head"}
    assert set(found.facts["rules"]) == set(asdict(history.rules))


def test_a_second_run_finds_nothing_new(tmp_path: Path, audited: SmallFederation) -> None:
    with Index(tmp_path / "index.sqlite", writable=True) as index:
        w3, address = connect(audited.url), audited.deployment.federation
        first = Sync(index, w3, address).run()
        with index.reading() as connection:
            synced = reading.find(connection).synced_block
        assert synced == int(request(w3, "eth_blockNumber", []), 16)
        before = {table: rows(index, table) for table in schema.metadata.tables.values()}
        second = Sync(index, w3, address).run()
        assert (first.done, second.done, second.new_events) == (True, True, 0)
        assert first.new_events == len(before[schema.events])
        after = {table: rows(index, table) for table in schema.metadata.tables.values()}
        assert before == after


def test_an_address_that_is_no_federation(tmp_path: Path, audited: SmallFederation) -> None:
    with (
        Index(tmp_path / "index.sqlite", writable=True) as index,
        pytest.raises(NotAFederation),
    ):
        Sync(index, connect(audited.url), audited.deployment.head)
