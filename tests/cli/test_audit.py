"""`ddcai audit`: its rows and its exit codes; what each claim proves is in `tests/audit`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ddcai.chain.node.connection import connect
from ddcai.models import state
from ddcai.rounds.party import Party
from tests.chain.holders import rekeyed, stage_holders
from tests.cli.conftest import Ddcai, assert_refused
from tests.federation import SmallFederation

JSON = ("--format", "json")


@pytest.fixture
def contract(federation: SmallFederation) -> list[str]:
    """As somebody who took no part names a federation."""
    return ["--contract", federation.deployment.federation, "--rpc-url", federation.url]


def test_rounds(ddcai: Ddcai, federation: SmallFederation, contract: list[str]) -> None:
    [row] = ddcai("audit", "rounds", *contract, *JSON).json
    assert (row["number"], row["sealed"]) == (1, 3)
    assert row["model_digest"] == "0x" + federation.contract.model_digest().hex()
    assert "finalized" in ddcai("audit", "rounds", *contract).stdout


def test_a_deployment_file_serves_as_well(ddcai: Ddcai, federation: SmallFederation) -> None:
    given = ("--deployment", federation.deployment_path, "--rpc-url", federation.url)
    assert len(ddcai("audit", "rounds", *given, *JSON).json) == 1


def test_round(ddcai: Ddcai, contract: list[str]) -> None:
    rows = ddcai("audit", "round", "1", *contract, *JSON).json
    actions = [row["action"] for row in rows]
    assert actions[:1] == ["open"]
    assert actions.count("submit") == 3
    assert {"seal", "finalize"} <= set(actions)
    assert all(row["time"].endswith("Z") for row in rows)
    assert "finalize" in ddcai("audit", "round", "1", *contract).stdout


def test_a_round_that_was_never_opened_is_refused(ddcai: Ddcai, contract: list[str]) -> None:
    assert_refused(ddcai("audit", "round", "9", *contract), "9")


def test_contributor(ddcai: Ddcai, federation: SmallFederation, contract: list[str]) -> None:
    address = federation.addresses[1]
    report = ddcai("audit", "contributor", address, *contract, *JSON).json
    assert report["address"] == address
    assert [row["round"] for row in report["rounds"]] == [1]
    assert report["windows"] == []
    assert address in ddcai("audit", "contributor", address, *contract).stdout


@pytest.mark.parametrize("address", ["0x12", "0x000000000000000000000000000000000000dEaD"])
def test_a_stranger_is_refused(ddcai: Ddcai, contract: list[str], address: str) -> None:
    assert_refused(ddcai("audit", "contributor", address, *contract), address)


def test_model_by_default_digest_and_file(
    ddcai: Ddcai, federation: SmallFederation, contract: list[str], tmp_path: Path
) -> None:
    digest = federation.contract.model_digest()
    state.save(
        tmp_path / "m.safetensors", Party.connect(federation.trial.coordinator).model(digest)
    )
    answers = [
        ddcai("audit", "model", *given, *contract, *JSON).json
        for given in ((), ("0x" + digest.hex(),), (tmp_path / "m.safetensors",))
    ]
    assert answers[0] == answers[1] == answers[2]
    assert [row["round"] for row in answers[0]["rounds"]] == [1]
    assert "descends from" in ddcai("audit", "model", *contract).stdout


def test_a_model_of_no_round_is_refused(
    ddcai: Ddcai, federation: SmallFederation, contract: list[str], tmp_path: Path
) -> None:
    current = Party.connect(federation.trial.coordinator).model(federation.contract.model_digest())
    other = {name: value + 1 for name, value in current.items()}
    state.save(tmp_path / "other.safetensors", other)
    answer = ddcai("audit", "model", tmp_path / "other.safetensors", *contract)
    assert_refused(answer, state.digest(other).hex())


def test_money(ddcai: Ddcai, federation: SmallFederation, contract: list[str]) -> None:
    rows = ddcai("audit", "money", *contract, *JSON).json
    assert {row["address"] for row in rows} == {*federation.addresses, "all"}
    assert "0.001 ETH" in ddcai("audit", "money", *contract).stdout


def test_answers_as_files(ddcai: Ddcai, contract: list[str], tmp_path: Path) -> None:
    csv_rows = ddcai("audit", "round", "1", *contract, "--format", "csv").stdout.splitlines()
    assert csv_rows[0] == "time,action,party,digest,amount_wei,gas,tx_hash"
    rows = ddcai("audit", "round", "1", *contract, *JSON).json
    assert len(csv_rows) == 1 + len(rows)
    out = tmp_path / "steps.csv"
    assert ddcai("audit", "round", "1", *contract, "--format", "csv", "--out", out).code == 0
    assert out.read_text().splitlines() == csv_rows
    parquet = tmp_path / "steps.parquet"
    ddcai("audit", "round", "1", *contract, "--format", "parquet", "--out", parquet)
    assert pq.read_table(parquet).column("tx_hash").to_pylist() == [row["tx_hash"] for row in rows]
    assert_refused(ddcai("audit", "round", "1", *contract, "--format", "parquet"), "--out")
    assert_refused(ddcai("audit", "rounds", *contract, "--out", out), "--out")
    nested = ddcai("audit", "model", *contract, "--format", "csv").stdout.splitlines()
    assert nested[0] == "round,base_model_digest,model_digest,updates"


def test_every_question_answers(
    ddcai: Ddcai, federation: SmallFederation, contract: list[str]
) -> None:
    address = federation.addresses[0]
    flows = ddcai("audit", "flows", address, *contract, *JSON).json
    assert {row["what"] for row in flows} >= {"deposit", "refund"}
    nothing = ("--until", "2020-01-01")
    assert ddcai("audit", "flows", address, *nothing, *contract, *JSON).json == []
    assert_refused(ddcai("audit", "flows", address, "--since", "soon", *contract), "soon")
    signed = ddcai("audit", "attestations", "--round", "1", *contract, *JSON).json
    assert {row["account"] for row in signed} == set(federation.addresses)
    assert {row["what"] for row in signed} == {"result"}
    gas = {row["action"]: row for row in ddcai("audit", "gas", *contract, *JSON).json}
    assert gas["submitUpdate"]["transactions"] == 3
    for question in ("claimable", "anomalies", "contributions", "windows"):
        assert ddcai("audit", question, *contract).code == 0, question


def test_windows_of_a_federation_that_is_not_judged(ddcai: Ddcai, contract: list[str]) -> None:
    assert ddcai("audit", "windows", *contract, *JSON).json == []
    header = ddcai("audit", "windows", *contract, "--format", "csv").stdout.splitlines()
    assert header[0].startswith("number,state,rounds,")
    assert_refused(ddcai("audit", "window", "1", *contract), "not judged")


def test_sql(ddcai: Ddcai, contract: list[str]) -> None:
    statement = "SELECT round, wei_sum(deposit_wei) AS paid_wei FROM submissions GROUP BY round"
    assert ddcai("audit", "sql", statement, *contract, *JSON).json == [
        {"round": 1, "paid_wei": str(3 * 10**15)}
    ]
    table = ddcai("audit", "sql", "SELECT * FROM events", "--limit", "2", *contract)
    assert "there are more rows" in table.stderr
    twice = ddcai("audit", "sql", "SELECT 1 AS a, 2 AS a", *contract, *JSON).json
    assert twice == [{"a": 1, "a_2": 2}]
    assert_refused(ddcai("audit", "sql", "DROP VIEW rounds", *contract), "SELECT")


def test_offline_answers_come_from_the_index_alone(
    ddcai: Ddcai, federation: SmallFederation, contract: list[str]
) -> None:
    gone = ("--rpc-url", "http://127.0.0.1:1", "--offline")
    assert_refused(ddcai("audit", "rounds", *gone), "no index")
    rows = ddcai("audit", "rounds", *contract, *JSON).json
    assert ddcai("audit", "rounds", *gone, *JSON).json == rows
    assert_refused(ddcai("audit", "rounds", *gone, "--contract", federation.deployment.head), "not")


def test_verify_passes(ddcai: Ddcai, federation: SmallFederation, contract: list[str]) -> None:
    store = ("--store", federation.trial.coordinator.store)
    answer = ddcai("audit", "verify", *contract, *store)
    assert answer.code == 0, answer.stdout
    assert all(line.startswith("PASS") for line in answer.stdout.splitlines())
    streamed = ddcai("audit", "verify", *contract, *store, *JSON)
    claims = streamed.json
    assert streamed.stdout == json.dumps(claims, indent=2, ensure_ascii=False) + "\n"
    assert len(claims) == len(answer.stdout.splitlines())
    assert {claim["status"] for claim in claims} == {"PASS"}


def test_verify_says_how_far_it_is(
    ddcai: Ddcai,
    federation: SmallFederation,
    contract: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ddcai.cli.progress.LINE_EVERY_S", 0)
    answer = ddcai("audit", "verify", *contract, "--store", federation.trial.coordinator.store)
    assert "verifying: 0 of 1 rounds" in answer.stderr
    assert "verifying: 1 of 1 rounds, done in" in answer.stderr
    assert all(line.startswith("PASS") for line in answer.stdout.splitlines())


def test_verify_fails_with_exit_code_1(
    ddcai: Ddcai, federation: SmallFederation, contract: list[str], tmp_path: Path
) -> None:
    shutil.copytree(federation.trial.coordinator.store, tmp_path / "store")
    blob = tmp_path / "store" / federation.contract.model_digest().hex()
    good = blob.read_bytes()
    blob.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    answer = ddcai("audit", "verify", *contract, "--store", tmp_path / "store")
    assert answer.code == 1
    failed = [line for line in answer.stdout.splitlines() if line.startswith("FAIL")]
    assert failed
    assert all(federation.contract.model_digest().hex() in line for line in failed)
    assert "FAIL" in answer.stderr


def test_verify_ends_with_exit_code_3_where_a_blob_is_missing(
    ddcai: Ddcai, federation: SmallFederation, contract: list[str], tmp_path: Path
) -> None:
    shutil.copytree(federation.trial.coordinator.store, tmp_path / "store")
    (tmp_path / "store" / federation.contract.model_digest().hex()).unlink()
    answer = ddcai("audit", "verify", *contract, "--store", tmp_path / "store")
    assert answer.code == 3
    lines = [line for line in answer.stdout.splitlines() if not line.startswith("PASS")]
    assert lines
    assert all(line.startswith("MISSING") and line.endswith("found missing") for line in lines)


def test_no_federation_is_named(ddcai: Ddcai) -> None:
    assert_refused(ddcai("audit", "rounds"), "--contract", "--deployment")


def test_a_contract_that_is_no_federation_is_refused(
    ddcai: Ddcai, federation: SmallFederation
) -> None:
    head = federation.deployment.head
    answer = ddcai("audit", "rounds", "--contract", head, "--rpc-url", federation.url)
    assert_refused(answer, head, "not a ddcai federation")


def test_an_unreachable_chain_is_refused(ddcai: Ddcai, federation: SmallFederation) -> None:
    given = ("--contract", federation.deployment.federation, "--rpc-url", "http://127.0.0.1:1")
    assert_refused(ddcai("audit", "verify", *given), "127.0.0.1:1", "--rpc-url")


def test_keys_of_a_single_key_holder(
    ddcai: Ddcai, federation: SmallFederation, contract: list[str]
) -> None:
    assert ddcai("audit", "keys", *contract, *JSON).json == []
    assert federation.contract.rules().key_holder in ddcai("audit", "keys", *contract).stderr


def test_keys_that_holders_share(ddcai: Ddcai, chain_url: str) -> None:
    scene = stage_holders(connect(chain_url))
    scene.open()
    epoch = rekeyed(scene)
    where = ("--contract", scene.deployment.federation, "--rpc-url", chain_url)
    rows = ddcai("audit", "keys", *where, *JSON).json
    assert [(row["epoch"], row["signatures"], row["rounds"]) for row in rows] == [
        (1, "2 of 3", [1]),
        (2, "3 of 4", []),
    ]
    assert rows[1]["key_digest"] == "0x" + epoch.key_digest.hex()
    assert rows[1]["holders"] == list(epoch.holders)
    assert rows[1]["time"].endswith("Z")
    assert epoch.holders[3] in ddcai("audit", "keys", *where).stdout
