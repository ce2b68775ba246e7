"""`ddcai federation join`, `invite` and `show`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddcai.chain.deploy import Deployment
from ddcai.chain.federation import Federation
from ddcai.chain.node.connection import connect
from tests.chain.holders import stage_holders
from tests.cli.conftest import Answer, Ddcai, as_options, assert_refused
from tests.federation import SmallFederation, make_federation, small_config

_CONNECT = ("deployment", "rpc-url", "keystore", "password-file")


@pytest.fixture(scope="module")
def joinable(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """A federation that tests here may invite to and join."""
    with make_federation(tmp_path_factory.mktemp("joinable"), url=chain_url) as made:
        yield made


@pytest.fixture
def newcomer(ddcai: Ddcai, tmp_path: Path, password: Path, joinable: SmallFederation) -> Any:
    """A funded account of a stranger."""
    made = ddcai(
        "account", "new", "--out", tmp_path / "new", "--password-file", password, "--light-kdf",
        "--format", "json",
    ).json  # fmt: skip
    ddcai("account", "fund", made["address"], "--ether", "1", "--rpc-url", joinable.url)
    return made


@pytest.fixture
def join(ddcai: Ddcai, joinable: SmallFederation, password: Path) -> Any:
    def run(keystore: str, **changes: object) -> Answer:
        options: dict[str, object] = {
            "--deployment": joinable.deployment_path,
            "--rpc-url": joinable.url,
            "--keystore": keystore,
            "--password-file": password,
            "--store": joinable.trial.coordinator.store,
            "--format": "json",
        } | changes
        given = [part for name, value in options.items() for part in (name, value)]
        return ddcai("federation", "join", *given)

    return run


def _invite(ddcai: Ddcai, joinable: SmallFederation, address: str) -> Answer:
    sponsor = as_options(joinable.trial.coordinator, *_CONNECT)
    return ddcai("federation", "invite", address, *sponsor, "--format", "json")


def test_an_invited_account_joins_once(
    ddcai: Ddcai, joinable: SmallFederation, newcomer: Any, join: Any
) -> None:
    assert _invite(ddcai, joinable, newcomer["address"]).code == 0
    answer = join(newcomer["keystore"])
    assert answer.code == 0, answer.stderr
    member = joinable.contract.member(newcomer["address"])
    assert member is not None
    assert member.active
    assert answer.json["index"] == member.index
    again = join(newcomer["keystore"])
    assert again.code == 0
    assert again.json["tx_hash"] is None
    assert "already" in again.stderr


def test_the_keystore_may_be_found_in_a_folder(
    ddcai: Ddcai, joinable: SmallFederation, newcomer: Any, join: Any
) -> None:
    _invite(ddcai, joinable, newcomer["address"])
    folder = str(Path(newcomer["keystore"]).parent)
    assert_refused(join(folder), folder, "--account")
    assert join(folder, **{"--account": newcomer["address"]}).code == 0


def test_a_stranger_is_not_let_in(newcomer: Any, join: Any, joinable: SmallFederation) -> None:
    assert_refused(join(newcomer["keystore"]), newcomer["address"], "ddcai federation invite")
    assert joinable.contract.member(newcomer["address"]) is None


def test_another_attestation_key_is_refused(
    ddcai: Ddcai, joinable: SmallFederation, newcomer: Any, join: Any, password: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    _invite(ddcai, joinable, newcomer["address"])
    join(newcomer["keystore"])
    other = ddcai(
        "account", "new", "--out", tmp_path / "other", "--password-file", password,
        "--light-kdf", "--format", "json",
    ).json  # fmt: skip
    answer = join(newcomer["keystore"], **{"--bls-key": other["bls_key"]})
    assert_refused(answer, other["bls_key"], "another attestation key")


def test_no_attestation_key_is_refused(newcomer: Any, join: Any) -> None:
    Path(newcomer["bls_key"]).unlink()
    assert_refused(join(newcomer["keystore"]), newcomer["bls_key"], "DDCAI_BLS_KEY")


def test_an_account_without_ether_is_refused(
    ddcai: Ddcai, joinable: SmallFederation, join: Any, password: Path, tmp_path: Path
) -> None:
    poor = ddcai(
        "account", "new", "--out", tmp_path / "poor", "--password-file", password,
        "--light-kdf", "--format", "json",
    ).json  # fmt: skip
    _invite(ddcai, joinable, poor["address"])
    assert_refused(join(poor["keystore"]), poor["address"], "0 ETH")


def test_the_store_of_another_federation_is_refused(
    ddcai: Ddcai, joinable: SmallFederation, newcomer: Any, join: Any, tmp_path: Path
) -> None:
    _invite(ddcai, joinable, newcomer["address"])
    assert_refused(join(newcomer["keystore"], **{"--store": tmp_path / "empty"}), "does not hold")
    assert joinable.contract.member(newcomer["address"]) is None


def test_only_the_sponsor_invites(ddcai: Ddcai, joinable: SmallFederation) -> None:
    settings = joinable.trial.contributors[joinable.names[0]]
    answer = ddcai("federation", "invite", joinable.addresses[1], *as_options(settings, *_CONNECT))
    assert_refused(answer, "NotSponsor")


def test_show_gives_rules_and_members(ddcai: Ddcai, federation: SmallFederation) -> None:
    options = ("--deployment", federation.deployment_path, "--rpc-url", federation.url)
    shown = ddcai("federation", "show", *options, "--format", "json").json
    assert shown["federation"] == federation.deployment.federation
    assert shown["last_round"] == 1
    assert shown["min_contributors"] == federation.contract.rules().min_contributors
    assert shown["model_digest"] == "0x" + federation.contract.model_digest().hex()
    members = ddcai("federation", "show", "--members", *options, "--format", "json").json
    assert [row["address"] for row in members] == list(federation.addresses)
    assert ddcai("federation", "show", *options).stdout.count("\n") > 10


def test_show_names_several_key_holders(ddcai: Ddcai, chain_url: str, tmp_path: Path) -> None:
    scene = stage_holders(connect(chain_url), config=small_config().to_json())
    path = scene.deployment.save(tmp_path)
    shown = ddcai(
        "federation", "show", "--deployment", path, "--rpc-url", chain_url, "--format", "json"
    ).json
    assert shown["key_holders"] == "2 of 3 holders of epoch 1"
    assert shown["key_holder"] == scene.deployment.key_holders


def test_a_deployment_file_of_another_chain_is_refused(
    ddcai: Ddcai, federation: SmallFederation, tmp_path: Path
) -> None:
    text = federation.deployment_path.read_text().replace('"chain_id": 31337', '"chain_id": 5')
    (tmp_path / "other.json").write_text(text)
    answer = ddcai(
        "federation", "show", "--deployment", tmp_path / "other.json", "--rpc-url", federation.url
    )
    assert_refused(answer, "31337", "expected 5")


def test_a_deployment_file_of_another_contract_is_refused(
    ddcai: Ddcai, federation: SmallFederation, tmp_path: Path
) -> None:
    deployment = Deployment.load(federation.deployment_path)
    text = federation.deployment_path.read_text()
    (tmp_path / "head.json").write_text(text.replace(deployment.federation, deployment.head))
    answer = ddcai(
        "federation", "show", "--deployment", tmp_path / "head.json", "--rpc-url", federation.url
    )
    assert_refused(answer, deployment.head, "not a ddcai federation")
    assert Federation.connect(connect(federation.url), deployment.federation).last_round() == 1


def test_a_missing_deployment_file_is_refused(ddcai: Ddcai) -> None:
    assert_refused(ddcai("federation", "show", "--deployment", "none.json"), "none.json")


def test_pack_copies_what_is_new(ddcai: Ddcai, tmp_path: Path, chain_url: str) -> None:
    with make_federation(tmp_path / "packed", url=chain_url) as made:
        sponsor = [*as_options(made.trial.coordinator, *_CONNECT), "--format", "json"]
        [row] = ddcai("federation", "pack", *sponsor).json
        assert (row["page"], row["keys"]) == (0, 3)
        assert ddcai("federation", "pack", *sponsor).json == []
        shown = ddcai("federation", "show", *sponsor[:4], "--format", "json").json
        assert shown["quorum_scheme"] == "bls"


def test_an_account_is_all_that_an_ecdsa_federation_asks_for(
    ddcai: Ddcai, newcomer: Any, join: Any, tmp_path: Path, chain_url: str, site: Path
) -> None:
    Path(newcomer["bls_key"]).unlink()
    with make_federation(tmp_path / "ecdsa", url=chain_url, quorum_scheme="ecdsa") as made:
        assert _invite(ddcai, made, newcomer["address"]).code == 0
        where = {"--deployment": made.deployment_path, "--store": made.trial.coordinator.store}
        answer = join(newcomer["keystore"], **where)
        assert answer.code == 0, answer.stderr
        assert answer.json["attestation_key"] == newcomer["address"]
        assert join(newcomer["keystore"], **where).json["tx_hash"] is None
        settings = made.trial.contributors[made.names[0]]
        ready = ddcai("client", *as_options(settings), "--data", site, "--check-only", "--insecure")
        assert ready.code == 0, ready.stderr
