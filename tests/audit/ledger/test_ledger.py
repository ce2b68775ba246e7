"""Rows say what happened, and add up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddcai.audit.history import History
from ddcai.audit.ledger import Ledger
from ddcai.audit.ledger.rows import plain
from ddcai.chain.node.connection import connect, request
from ddcai.errors import ConfigurationError, IndexRefused
from ddcai.models import state
from tests.audit.claimable import claimable_of
from tests.audit.conftest import DEPOSIT_WEI
from tests.audit.test_verify import of
from tests.federation import SmallFederation


def test_rounds(ledger: Ledger, history: History, audited: SmallFederation) -> None:
    rows = ledger.rounds()
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


def test_all_contributors_have_the_sums_of_each_one_s_report(
    ledger: Ledger, audited: SmallFederation
) -> None:
    rows = ledger.contributors()
    assert [row.address for row in rows] == list(audited.addresses)
    for row in rows:
        report = plain(ledger.contributor(row.address))
        assert plain(row) == {name: report[name] for name in plain(row)} | {
            "rounds": len(report["rounds"])
        }
    assert [row.rounds for row in rows] == [4, 3, 3]
    assert rows[1].forfeited_wei == DEPOSIT_WEI


def test_steps_of_a_round(ledger: Ledger, audited: SmallFederation) -> None:
    coordinator = audited.coordinator.party.address
    north, south, east = audited.addresses
    rows = ledger.round(2)
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


def test_gas_is_that_of_the_receipts(ledger: Ledger, audited: SmallFederation) -> None:
    w3 = connect(audited.url)
    for number in (1, 2, 3, 4):
        steps = ledger.round(number)
        receipts = [request(w3, "eth_getTransactionReceipt", [step.tx_hash]) for step in steps]
        assert [step.gas for step in steps] == [int(r["gasUsed"], 16) for r in receipts]
        assert [step.party.lower() for step in steps] == [r["from"].lower() for r in receipts]
        (row,) = [row for row in ledger.rounds() if row.number == number]
        assert row.gas == sum(step.gas for step in steps)


def test_a_contributor(ledger: Ledger, history: History, audited: SmallFederation) -> None:
    north, south, east = (ledger.contributor(address) for address in audited.addresses)
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


def test_an_address_in_lower_case_is_the_same(ledger: Ledger, audited: SmallFederation) -> None:
    address = audited.addresses[1]
    assert ledger.contributor(address.lower()) == ledger.contributor(address)


def test_money_is_conserved_row_by_row(ledger: Ledger, audited: SmallFederation) -> None:
    *each, everybody = ledger.money()
    assert [row.address for row in each] == list(audited.addresses)
    assert everybody.address == "all"
    for name in ("deposited_wei", "refunded_wei", "taken_wei", "forfeited_wei", "held_wei"):
        assert sum(getattr(row, name) for row in each) == getattr(everybody, name)
    assert everybody.deposited_wei == 10 * DEPOSIT_WEI
    paid = everybody.refunded_wei + everybody.taken_wei
    assert everybody.deposited_wei == paid + everybody.held_wei


def test_lineage_of_the_current_model(ledger: Ledger, history: History) -> None:
    lineage = ledger.model(history.model_digest.hex())
    assert lineage.current
    assert [row.round for row in lineage.rounds] == [1, 2]
    assert lineage.rounds[0].base_model_digest == lineage.initial_model_digest
    assert lineage.rounds[1].base_model_digest == lineage.rounds[0].model_digest
    assert lineage.rounds[1].model_digest == lineage.digest
    assert [len(row.updates) for row in lineage.rounds] == [3, 2]
    first = of(history, 1).sealed[0]
    assert lineage.rounds[0].updates[0] == (first.address, "0x" + first.digest.hex())


def test_lineage_of_an_older_and_of_the_first_model(ledger: Ledger, history: History) -> None:
    older = ledger.model("0x" + of(history, 2).base_model_digest.hex())
    assert [row.round for row in older.rounds] == [1]
    assert not older.current
    first = ledger.model(history.initial_model_digest.hex())
    assert first.rounds == ()


def test_lineage_of_a_model_file(
    ledger: Ledger, history: History, audited: SmallFederation, tmp_path: Path
) -> None:
    model = audited.coordinator.current_model()
    state.save(tmp_path / "model.safetensors", model)
    by_digest = ledger.model(history.model_digest.hex())
    assert ledger.model(tmp_path / "model.safetensors") == by_digest
    assert ledger.model(str(tmp_path / "model.safetensors")) == by_digest
    next(iter(model.values()))[0] += 1
    state.save(tmp_path / "changed.safetensors", model)
    with pytest.raises(ConfigurationError, match="no round of"):
        ledger.model(tmp_path / "changed.safetensors")


@pytest.mark.parametrize("given", ["ab" * 32, "0x" + "ab" * 32, "nowhere.safetensors", "z" * 64])
def test_unknown_models_are_refused(ledger: Ledger, given: str) -> None:
    with pytest.raises(ConfigurationError):
        ledger.model(given)


@pytest.mark.parametrize("number", [0, -1, 5])
def test_unknown_rounds_are_refused(ledger: Ledger, number: int) -> None:
    with pytest.raises(ConfigurationError, match="rounds 1 to 4"):
        ledger.round(number)


def test_without_a_judge_there_are_no_windows(ledger: Ledger) -> None:
    assert ledger.windows() == ()
    assert not ledger.federation().judged
    with pytest.raises(ConfigurationError, match="are not judged"):
        ledger.window(1)


def test_unknown_contributors_are_refused(ledger: Ledger) -> None:
    with pytest.raises(ConfigurationError, match="never joined"):
        ledger.contributor("0x" + "12" * 20)
    with pytest.raises(ConfigurationError, match="not an address"):
        ledger.contributor("north")


def test_rows_become_json(ledger: Ledger, audited: SmallFederation) -> None:
    answers = [
        ledger.rounds(),
        ledger.round(1),
        ledger.contributor(audited.addresses[0]),
        ledger.model(ledger.rounds()[0].base_model_digest),
        ledger.money(),
    ]
    for answer in answers:
        assert json.loads(json.dumps(plain(answer))) == plain(answer)
    first = plain(ledger.rounds())[0]
    assert first["opened"].endswith("Z")
    assert len(first["opened"]) == len("2026-01-01T00:00:00Z")


def test_a_cancelled_round_that_is_tried_again_is_named(
    ledger: Ledger, audited: SmallFederation
) -> None:
    # Round 4 stalls, too, once others have moved the clock of this chain.
    [row] = [row for row in ledger.anomalies() if row.kind == "reopened"]
    assert row.round == 3
    assert row.account == audited.coordinator.party.address


def test_flows_end_where_the_money_is(ledger: Ledger, audited: SmallFederation) -> None:
    w3 = connect(audited.url)
    held = int(request(w3, "eth_getBalance", [audited.deployment.federation, "latest"]), 16)
    flows = [ledger.flows(address) for address in audited.addresses]
    assert -sum(rows[-1].balance_wei for rows in flows) == held
    north = flows[0]
    assert [row.what for row in north[:3]] == ["stake", "deposit", "refund"]
    assert {row.direction for row in north} == {"in", "out"}
    with pytest.raises(ConfigurationError, match="not an address"):
        ledger.flows("north")


def test_what_can_be_claimed_is_what_the_contract_would_pay(
    ledger: Ledger, history: History, audited: SmallFederation
) -> None:
    found = {(row.round, row.account): (row.refund_wei, row.take_wei) for row in ledger.claimable()}
    assert found == claimable_of(connect(audited.url), history)
    east = next(account for _, account in found)
    assert {row.account for row in ledger.claimable(east)} == {east}


def test_attestations_are_of_all_that_could_sign(ledger: Ledger, audited: SmallFederation) -> None:
    north, south, east = audited.addresses
    assert [(row.round, row.account, row.signed) for row in ledger.attestations()] == [
        (1, north, True),
        (1, south, True),
        (1, east, False),
        (2, north, True),
        (2, east, True),
    ]
    assert ledger.attestations(2) == ledger.attestations()[3:]


def test_gas_adds_up_to_the_receipts(ledger: Ledger, audited: SmallFederation) -> None:
    w3 = connect(audited.url)
    rows = {row.action: row for row in ledger.gas()}
    hashes = {step.tx_hash for number in (1, 2, 3, 4) for step in ledger.round(number)}
    receipts = [request(w3, "eth_getTransactionReceipt", [one]) for one in hashes]
    taken = {"openRound", "submitUpdate", "sealRound", "finalizeRound", "cancelRound"}
    steps = [rows[action] for action in (*taken, *({"refund", "take"} & rows.keys()))]
    assert sum(row.gas_total for row in steps) == sum(int(one["gasUsed"], 16) for one in receipts)
    fees = sum(int(one["gasUsed"], 16) * int(one["effectiveGasPrice"], 16) for one in receipts)
    assert sum(row.fees_wei for row in steps) == fees
    submits = rows["submitUpdate"]
    assert submits.transactions == 10
    assert submits.gas_min <= submits.gas_mean <= submits.gas_max
    assert submits.gas_mean == submits.gas_total // 10


def test_lineage_goes_forward_and_takes_updates(ledger: Ledger, history: History) -> None:
    first = of(history, 1)
    assert [row.round for row in ledger.model(history.initial_model_digest.hex()).descendants] == [
        1,
        2,
    ]
    assert ledger.model().descendants == ()
    onward = ledger.model(history.initial_model_digest.hex()).descendants
    assert [row.updates for row in onward] == [row.updates for row in ledger.model().rounds]
    assert [len(row.updates) for row in onward] == [3, 2]
    update = ledger.model(first.commitments[0].digest.hex())
    assert (update.kind, update.rounds, update.current) == ("update", (), False)
    assert [row.round for row in update.descendants] == [1, 2]
    # south's second update is in no sum.
    second = of(history, 2)
    [left_out] = [one for one in second.commitments if one not in second.sealed]
    alone = ledger.model(left_out.digest.hex())
    assert ([row.round for row in alone.rounds], alone.descendants) == ([1], ())


def test_search_finds_by_how_it_begins(
    ledger: Ledger, history: History, audited: SmallFederation
) -> None:
    north = audited.addresses[0]
    assert [(r.kind, r.where) for r in ledger.search(north.lower()[:12])] == [
        ("account", "member 0")
    ]
    found = ledger.search(history.model_digest.hex()[:16])
    assert {(row.round, row.where) for row in found} == {
        (2, "model"),
        (3, "base model"),
        (4, "base model"),
    }
    assert [row.where for row in ledger.search(of(history, 1).commitments[0].digest.hex())] == [
        "update"
    ]
    tx_hash = ledger.round(1)[0].tx_hash
    assert [(r.kind, r.where, r.round) for r in ledger.search(tx_hash)] == [
        ("transaction", "openRound", 1)
    ]
    assert [row.kind for row in ledger.search("3")] == ["round"]
    for nothing in ("", "0x", "ab", "%", "_", "'; DROP TABLE rounds", "<script>", "9" * 30):
        assert ledger.search(nothing) == ()


def test_the_federation_and_its_index(ledger: Ledger, audited: SmallFederation) -> None:
    row = ledger.federation()
    assert (row.address, row.rounds, row.members) == (audited.deployment.federation, 4, 3)
    assert row.synced is not None
    assert row.events > 10


def test_a_federation_that_is_not_in_the_index_is_refused(index_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not in the index"):
        Ledger.open(index_path, "0x" + "12" * 20)
    with pytest.raises(IndexRefused, match="no index"):
        Ledger.open(index_path.parent / "nowhere.sqlite")
