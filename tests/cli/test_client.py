"""`ddcai client`: everything that is wrong is said before anything starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddcai.attestation import BlsSecretKey
from ddcai.chain.deploy import Deployment
from ddcai.chain.node.connection import connect, request
from ddcai.cli.certificates import own_certificates
from ddcai.cli.readiness import bind_node_key, only_one
from ddcai.encryption import bfv
from ddcai.encryption.parameters import parameter_set
from ddcai.rounds.node_key import NodeKey
from ddcai.rounds.party import Party, Settings, state_folder
from tests.cli.conftest import DEPOSIT_WEI, Answer, Ddcai, as_options, assert_refused, write_site
from tests.federation import SmallFederation, make_federation


@pytest.fixture
def settings(federation: SmallFederation, tmp_path: Path) -> Settings:
    """The first contributor's, with a state folder of this test's own."""
    first = federation.trial.contributors[federation.names[0]]
    return dataclasses.replace(first, state=str(tmp_path / "state"))


@pytest.fixture
def check(ddcai: Ddcai, settings: Settings, site: Path) -> Callable[..., Answer]:
    """Runs the checks of a contributor; changes replace settings, or (None) drop them."""

    def run(*more: object, data: Path | None = site, **changes: str) -> Answer:
        changed = dataclasses.replace(settings, **changes)
        given: list[object] = [] if data is None else ["--data", data]
        return ddcai("client", *as_options(changed), *given, *more, "--insecure", "--check-only")

    return run


Check = Callable[..., Answer]


def test_a_contributor_that_could_take_part_is_ready(check: Check, site: Path) -> None:
    answer = check()
    assert answer.code == 0, answer.stderr
    assert f"{site}: 48 examples" in answer.stderr
    assert "ready" in answer.stderr
    assert answer.stdout == ""


def test_a_site_may_call_its_label_otherwise(check: Check, site: Path) -> None:
    site.write_text(site.read_text().replace("ill", "target", 1))
    assert_refused(check(), str(site), "'ill'")
    assert check("--label", "target").code == 0
    assert_refused(check("--label", "goal"), str(site), "'goal'", "target")


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
def test_a_site_may_have_other_kinds_of_files(check: Check, site: Path, suffix: str) -> None:
    import numpy as np
    import pandas as pd

    frame = pd.read_csv(site)
    path = site.with_suffix(suffix)
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        np.savez(path, **{name: frame[name].to_numpy(dtype=str) for name in frame})
    assert check(data=path).code == 0


def _data(change: Callable[[str], str]) -> Callable[[Check, Path], Answer]:
    def run(check: Check, site: Path) -> Answer:
        site.write_text(change(site.read_text()))
        return check()

    return run


@pytest.mark.parametrize(
    ("run", "parts"),
    [
        pytest.param(
            _data(lambda text: text.replace("pulse", "puls")), ("'pulse'", "rename"), id="column"
        ),
        pytest.param(
            _data(lambda text: text.splitlines()[0] + "\n"), ("no rows",), id="an empty site"
        ),
        pytest.param(_data(lambda text: ""), ("empty",), id="an empty file"),
        pytest.param(
            _data(lambda text: text.replace("yes", "no")), ("'no'", "two classes"), id="one class"
        ),
        pytest.param(
            _data(lambda text: text.replace("yes", "perhaps")), ("'perhaps'",), id="unknown label"
        ),
        pytest.param(
            _data(lambda text: text + "inf,0,0,0,yes\n"), ("'inf'", "finite"), id="infinity"
        ),
        pytest.param(
            lambda check, site: check(data=site.with_name("no.csv")), ("no.csv",), id="no"
        ),
        pytest.param(lambda check, site: check(data=None), ("--data",), id="no data"),
    ],
)
def test_data_that_cannot_be_used_is_refused(
    check: Check, site: Path, run: Callable[[Check, Path], Answer], parts: tuple[str, ...]
) -> None:
    assert_refused(run(check, site), *parts)


def test_a_wrong_password_is_refused(check: Check, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("open barley")
    answer = check(password_file=str(tmp_path / "wrong"))
    assert_refused(answer, settings.keystore, "password does not open")


def test_an_unreachable_chain_is_refused(check: Check) -> None:
    assert_refused(check(rpc_url="http://127.0.0.1:1"), "127.0.0.1:1", "ETH_RPC_URL")


def _other_deployment(settings: Settings, folder: Path, **changes: Any) -> str:
    deployment = dataclasses.replace(Deployment.load(settings.deployment), **changes)
    return str(deployment.save(folder / "other"))


def test_the_wrong_chain_is_refused(check: Check, settings: Settings, tmp_path: Path) -> None:
    answer = check(deployment=_other_deployment(settings, tmp_path, chain_id=1))
    assert_refused(answer, "chain 31337", "expected 1")


def test_a_contract_that_is_no_federation_is_refused(
    check: Check, settings: Settings, tmp_path: Path
) -> None:
    head = Deployment.load(settings.deployment).head
    answer = check(deployment=_other_deployment(settings, tmp_path, federation=head))
    assert_refused(answer, head, "not a ddcai federation")


def test_an_address_without_a_contract_is_refused(
    check: Check, settings: Settings, tmp_path: Path
) -> None:
    nowhere = "0x000000000000000000000000000000000000dEaD"
    answer = check(deployment=_other_deployment(settings, tmp_path, federation=nowhere))
    assert_refused(answer, nowhere, "no contract")


def test_another_configuration_is_refused(check: Check, settings: Settings, tmp_path: Path) -> None:
    config = Deployment.load(settings.deployment).config
    config["training"]["local_epochs"] = 99
    answer = check(deployment=_other_deployment(settings, tmp_path, config=config))
    assert_refused(answer, "configuration's digest")


def test_a_stranger_is_refused(
    check: Check, federation: SmallFederation, settings: Settings
) -> None:
    coordinator = federation.trial.coordinator
    answer = check(keystore=coordinator.keystore, bls_key=settings.bls_key)
    assert_refused(answer, "no member", "ddcai federation join")


def test_too_little_for_deposit_and_gas_is_refused_before_training(
    check: Check, federation: SmallFederation, settings: Settings
) -> None:
    w3 = connect(federation.url)
    address = federation.addresses[0]
    before = int(request(w3, "eth_getBalance", [address, "latest"]), 16)
    sender = Party.connect(settings).federation.sender
    assert sender is not None
    gas = 21_000 * 10 * sender.gas_price()
    sender.send(federation.addresses[1], b"", before - DEPOSIT_WEI // 2 - gas)
    try:
        assert_refused(check(), address, "deposits", "Send ether")
    finally:
        other = Party.connect(federation.trial.contributors[federation.names[1]]).federation.sender
        assert other is not None
        other.send(address, b"", before - DEPOSIT_WEI // 2 - gas)


def test_another_attestation_key_is_refused(
    check: Check, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "other-bls.json"
    BlsSecretKey.generate().save(path, settings.password(), light=True)
    assert_refused(check(bls_key=str(path)), str(path), "registered another")


def test_a_key_of_another_kind_is_refused(check: Check, federation: SmallFederation) -> None:
    secret = federation.trial.key_holder.encryption_key
    assert_refused(check(bls_key=secret), secret, "bfv-secret-key", "bls-secret-key")


def test_two_clients_with_one_account_are_refused(check: Check, settings: Settings) -> None:
    party = Party.connect(settings)
    folder = state_folder(settings, party) / party.address.lower()
    with only_one(folder, party.address):
        assert_refused(check(), party.address, "two clients must not share one account")
    assert check().code == 0


def test_a_client_needs_a_ca_certificate_or_a_word(
    ddcai: Ddcai, settings: Settings, site: Path, tmp_path: Path
) -> None:
    given = [*as_options(settings), "--data", site, "--check-only"]
    assert_refused(ddcai("client", *given), "ddcai-tls/ca.pem", "--ca-certificate", "--insecure")
    (tmp_path / "junk.pem").write_text("no certificate")
    assert_refused(ddcai("client", *given, "--ca-certificate", "junk.pem"), "junk.pem")
    assert "--insecure is for trials" in ddcai("client", *given, "--insecure").stderr
    own_certificates(tmp_path / "ddcai-tls")  # where the default is
    answer = ddcai("client", *given)
    assert answer.code == 0, answer.stderr
    assert "WARNING: --insecure" not in answer.stderr


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":9191", "localhost:99999"])
def test_a_superlink_is_a_host_and_a_port(check: Check, address: str) -> None:
    assert_refused(check("--superlink", address), repr(address), "HOST:PORT")


def test_a_key_holder_that_could_open_sums_is_ready(
    ddcai: Ddcai, federation: SmallFederation
) -> None:
    answer = ddcai("client", *as_options(federation.trial.key_holder), "--insecure", "--check-only")
    assert answer.code == 0, answer.stderr
    assert "keyholder" in answer.stderr


def test_another_decryption_key_is_refused(
    ddcai: Ddcai, federation: SmallFederation, tmp_path: Path
) -> None:
    holder = federation.trial.key_holder
    secret, _ = bfv.generate(parameter_set("bfv-4096-3x19"))
    secret.save(tmp_path / "other.json", holder.password(), light=True)
    other = dataclasses.replace(holder, encryption_key=str(tmp_path / "other.json"))
    answer = ddcai("client", *as_options(other), "--insecure", "--check-only")
    assert_refused(answer, str(tmp_path / "other.json"), "encrypts under")


def test_another_account_is_no_key_holder(ddcai: Ddcai, federation: SmallFederation) -> None:
    holder = federation.trial.key_holder
    other = dataclasses.replace(holder, keystore=federation.trial.coordinator.keystore)
    answer = ddcai("client", *as_options(other), "--insecure", "--check-only")
    assert_refused(answer, "not this federation's key holder")


def test_a_key_holder_needs_its_key(ddcai: Ddcai, federation: SmallFederation) -> None:
    bare = dataclasses.replace(federation.trial.key_holder, encryption_key="")
    assert_refused(
        ddcai("client", *as_options(bare), "--insecure", "--check-only"), "DDCAI_ENCRYPTION_KEY"
    )


def test_a_refusal_leaves_no_state(check: Check, settings: Settings, tmp_path: Path) -> None:
    write_site(tmp_path / "site.csv", 0, examples=0)
    assert check().code == 2
    assert not Path(settings.state).exists()


def test_every_start_says_that_a_single_key_holder_is_for_trials(
    ddcai: Ddcai, federation: SmallFederation
) -> None:
    answer = ddcai("client", *as_options(federation.trial.key_holder), "--insecure", "--check-only")
    assert answer.code == 0, answer.stderr
    assert "WARNING: a single key holder has this federation's key" in answer.stderr


def test_a_policy_is_checked_before_anything_starts(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(f"[money]\nmax_deposit_wei = {DEPOSIT_WEI}")
    path.chmod(0o600)
    answer = check("--policy", path)
    assert answer.code == 0, answer.stderr
    assert "WARNING: others" not in answer.stderr
    path.chmod(0o622)
    assert f"WARNING: others can change {path}" in check("--policy", path).stderr
    path.write_text(f"[money]\nmax_deposit_wei = {DEPOSIT_WEI - 1}")
    assert_refused(check("--policy", path), "money.max_deposit_wei")
    path.write_text("[money]\nmax_deposit = 1")
    assert_refused(check("--policy", path), str(path), "'max_deposit'")


def test_a_node_makes_its_key_and_binds_it_once(
    check: Check, settings: Settings, chain_url: str, tmp_path: Path, capsys: Any
) -> None:
    """In a federation of its own: the session's is read only."""
    with make_federation(tmp_path / "own", 2, url=chain_url) as own:
        party = Party.connect(next(iter(own.trial.contributors.values())))
        registry = party.node_registry
        assert registry is not None
        assert check().code == 0
        assert registry.keys([party.address]) == {}  # a check sends nothing
        path = tmp_path / "node-key"
        for said in (f"node key {path} bound to {party.address}", ""):
            bind_node_key(party, path)
            assert said in capsys.readouterr().err
            bound = registry.keys([party.address])[party.address]
            assert bound == NodeKey.load(path).public
            assert registry.bindings(party.address) == 1
        party.node_registry = None
        bind_node_key(party, path)
        assert "no node_registry" in capsys.readouterr().err
