"""Rows say what happened, and add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddcai.audit.history import History
from ddcai.audit.queries import Queries
from ddcai.audit.rows import plain
from ddcai.chain.node.connection import connect, request
from ddcai.errors import ConfigurationError
from ddcai.models import state
from tests.audit.conftest import DEPOSIT_WEI
from tests.audit.test_verify import of
from tests.federation import SmallFederation


@pytest.fixture(scope="module")
def queries(history: History) -> Queries:
    return Queries(history)


def test_rounds(queries: Queries, history: History, audited: SmallFederation) -> None:
    rows = queries.rounds()
    assert [(r.number, r.state, r.contributors, r.sealed) for r in rows] == [
        (1, "finalized", 3, 3),
        (2, "finalized", 3, 2),
        (3, "cancelled", 1, 0),
        (4, "sealed", 3, 3),
    ]
    assert [row.deposits_wei for row in rows] == [n * DEPOSIT_WEI for n in (3, 3, 1, 3)]
    assert rows[0].base_model_digest == audited.deployment.initial_model_digest
    assert rows[1].base_model_digest == rows[0].model_digest
    assert rows[2].base_model_digest == rows[3].base_model_digest == rows[1].model_digest
    assert rows[3].model_digest is rows[2].model_digest is None
    assert "0x" + history.model_digest.hex() == rows[1].model_digest
    times = [row.opened for row in rows]
    assert times == sorted(times)
    assert {time.tzname() for time in times} == {"UTC"}


def test_steps_of_a_round(queries: Queries, audited: SmallFederation) -> None:
    coordinator = audited.coordinator.party.address
    north, south, east = audited.addresses
    rows = queries.round_(2)
    assert [(row.action, row.party) for row in rows] == [
        ("open", coordinator),
        ("submit", north),
        ("submit", south),
        ("submit", east),
        ("seal", coordinator),
        ("finalize", coordinator),
        ("refund", north),
        ("take", north),
    ]
    amounts = [row.amount_wei for row in rows]
    assert amounts == [0, *[DEPOSIT_WEI] * 3, 0, 0, DEPOSIT_WEI, DEPOSIT_WEI // 2 + 1]
    assert [row.digest is None for row in rows] == [*[False] * 6, True, True]


def test_gas_is_that_of_the_receipts(queries: Queries, audited: SmallFederation) -> None:
    w3 = connect(audited.url)
    for number in (1, 2, 3, 4):
        steps = queries.round_(number)
        receipts = [request(w3, "eth_getTransactionReceipt", [step.tx_hash]) for step in steps]
        assert [step.gas for step in steps] == [int(r["gasUsed"], 16) for r in receipts]
        assert [step.party.lower() for step in steps] == [r["from"].lower() for r in receipts]
        (row,) = [row for row in queries.rounds() if row.number == number]
        assert row.gas == sum(step.gas for step in steps)


def test_a_contributor(queries: Queries, history: History, audited: SmallFederation) -> None:
    north, south, east = (queries.contributor(address) for address in audited.addresses)
    outcomes = [[row.outcome for row in one.rounds] for one in (north, south, east)]
    assert outcomes == [
        ["agreed", "agreed", "returned", "sealed"],
        ["agreed", "forfeited", "sealed"],
        ["agreed", "agreed", "sealed"],
    ]
    attested = [[row.attested for row in one.rounds] for one in (north, south, east)]
    # east did not sign round 1, and south was not asked in round 2.
    assert attested == [
        [True, True, False, False],
        [True, False, False],
        [False, True, False],
    ]
    share = DEPOSIT_WEI // 2
    assert (north.refunded_wei, north.taken_wei) == (2 * DEPOSIT_WEI, share + 1)
    assert (north.held_wei, north.forfeited_wei) == (2 * DEPOSIT_WEI, 0)
    assert (south.forfeited_wei, south.held_wei) == (DEPOSIT_WEI, DEPOSIT_WEI)
    assert (east.taken_wei, east.held_wei) == (0, 2 * DEPOSIT_WEI + share)
    assert north.net_wei == share + 1 - 2 * DEPOSIT_WEI
    assert north.active
    assert north.rounds[0].update_digest == "0x" + of(history, 1).commitments[0].digest.hex()
    assert north.gas > sum(row.gas for row in north.rounds)


def test_an_address_in_lower_case_is_the_same(queries: Queries, audited: SmallFederation) -> None:
    address = audited.addresses[1]
    assert queries.contributor(address.lower()) == queries.contributor(address)


def test_money_is_conserved_row_by_row(queries: Queries, audited: SmallFederation) -> None:
    *each, everybody = queries.money()
    assert [row.address for row in each] == list(audited.addresses)
    assert everybody.address == "all"
    for name in ("deposited_wei", "refunded_wei", "taken_wei", "forfeited_wei", "held_wei"):
        assert sum(getattr(row, name) for row in each) == getattr(everybody, name)
    assert everybody.deposited_wei == 10 * DEPOSIT_WEI
    paid = everybody.refunded_wei + everybody.taken_wei
    assert everybody.deposited_wei == paid + everybody.held_wei


def test_lineage_of_the_current_model(queries: Queries, history: History) -> None:
    lineage = queries.model(history.model_digest.hex())
    assert lineage.current
    assert [row.round for row in lineage.rounds] == [1, 2]
    assert lineage.rounds[0].base_model_digest == lineage.initial_model_digest
    assert lineage.rounds[1].base_model_digest == lineage.rounds[0].model_digest
    assert lineage.rounds[1].model_digest == lineage.model_digest
    assert [len(row.updates) for row in lineage.rounds] == [3, 2]
    first = of(history, 1).sealed[0]
    assert lineage.rounds[0].updates[0] == (first.address, "0x" + first.digest.hex())


def test_lineage_of_an_older_and_of_the_first_model(queries: Queries, history: History) -> None:
    older = queries.model("0x" + of(history, 2).base_model_digest.hex())
    assert [row.round for row in older.rounds] == [1]
    assert not older.current
    first = queries.model(history.initial_model_digest.hex())
    assert first.rounds == ()


def test_lineage_of_a_model_file(
    queries: Queries, history: History, audited: SmallFederation, tmp_path: Path
) -> None:
    model = audited.coordinator.current_model()
    state.save(tmp_path / "model.safetensors", model)
    by_digest = queries.model(history.model_digest.hex())
    assert queries.model(tmp_path / "model.safetensors") == by_digest
    assert queries.model(str(tmp_path / "model.safetensors")) == by_digest
    next(iter(model.values()))[0] += 1
    state.save(tmp_path / "changed.safetensors", model)
    with pytest.raises(ConfigurationError, match="no round of"):
        queries.model(tmp_path / "changed.safetensors")


@pytest.mark.parametrize("given", ["ab" * 32, "0x" + "ab" * 32, "nowhere.safetensors", "z" * 64])
def test_unknown_models_are_refused(queries: Queries, given: str) -> None:
    with pytest.raises(ConfigurationError):
        queries.model(given)


@pytest.mark.parametrize("number", [0, -1, 5])
def test_unknown_rounds_are_refused(queries: Queries, number: int) -> None:
    with pytest.raises(ConfigurationError, match="rounds 1 to 4"):
        queries.round_(number)


def test_unknown_contributors_are_refused(queries: Queries) -> None:
    with pytest.raises(ConfigurationError, match="never joined"):
        queries.contributor("0x" + "12" * 20)
    with pytest.raises(ConfigurationError, match="not an address"):
        queries.contributor("north")


def test_rows_become_json(queries: Queries, audited: SmallFederation) -> None:
    answers = [
        queries.rounds(),
        queries.round_(1),
        queries.contributor(audited.addresses[0]),
        queries.model(queries.rounds()[0].base_model_digest),
        queries.money(),
    ]
    for answer in answers:
        assert json.loads(json.dumps(plain(answer))) == plain(answer)
    first = plain(queries.rounds())[0]
    assert first["opened"].endswith("Z")
    assert len(first["opened"]) == len("2026-01-01T00:00:00Z")
