"""`ddcai audit`: its rows and its exit codes; what each claim proves is in `tests/audit`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ddcai.models import state
from ddcai.rounds.party import Party
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


def test_verify_passes(ddcai: Ddcai, federation: SmallFederation, contract: list[str]) -> None:
    store = ("--store", federation.trial.coordinator.store)
    answer = ddcai("audit", "verify", *contract, *store)
    assert answer.code == 0, answer.stdout
    assert all(line.startswith("PASS") for line in answer.stdout.splitlines())
    claims = ddcai("audit", "verify", *contract, *store, *JSON).json
    assert len(claims) == len(answer.stdout.splitlines())
    assert {claim["status"] for claim in claims} == {"PASS"}


def test_verify_fails_with_exit_code_1(
    ddcai: Ddcai, federation: SmallFederation, contract: list[str], tmp_path: Path
) -> None:
    shutil.copytree(federation.trial.coordinator.store, tmp_path / "store")
    blob = tmp_path / "store" / federation.contract.model_digest().hex()
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x7f")
    answer = ddcai("audit", "verify", *contract, "--store", tmp_path / "store")
    assert answer.code == 1
    failed = [line for line in answer.stdout.splitlines() if line.startswith("FAIL")]
    assert failed
    assert all(federation.contract.model_digest().hex() in line for line in failed)
    assert "FAIL" in answer.stderr


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
