"""`ddcai federation invite --out` and `ddcai join`: whole, killed, and attacked."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ddcai.chain.accounts import load_account, new_account
from ddcai.chain.invitation import Invitation
from ddcai.chain.node.connection import connect, request
from ddcai.cli import app as commands
from ddcai.cli.certificates import own_certificates
from ddcai.rounds.contributor import Contributor
from ddcai.rounds.party import Party, Settings, attestation_key, state_folder
from tests.cli.conftest import DEPOSIT_WEI, Ddcai, as_options, assert_refused, write_site
from tests.crashing import KILLED, run
from tests.federation import SmallFederation, make_federation, small_data

STAKE_WEI = 10**15
_CONNECT = ("deployment", "rpc-url", "keystore", "password-file")
NOBODY_HERE = "127.0.0.1:1"  # a SuperLink that is not there yet


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """Of two, which tests here may join."""
    folder = tmp_path_factory.mktemp("own")
    rules = {"deposit_wei": DEPOSIT_WEI, "registration_stake_wei": STAKE_WEI}
    with make_federation(folder, 2, url=chain_url, **rules) as made:
        yield made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_certificates(tmp_path_factory.mktemp("tls")).authority


def write(folder: Path, federation: SmallFederation, authority: Path, **changes: Any) -> Path:
    """An invitation that the sponsor signs; changes replace values, `signer` who signs."""
    sponsor = federation.trial.coordinator
    signer = changes.pop("signer", None) or load_account(sponsor.keystore, sponsor.password())
    values = {
        "deployment": federation.deployment,
        "account": "",
        "expires": 4_000_000_000,
        "rpc_url": federation.url,
        "store": sponsor.store,
        "superlink": NOBODY_HERE,
        "ca_certificate": authority.read_text(),
    }
    path = folder / "invitation.toml"
    path.write_text(Invitation(**(values | changes)).signed_by(signer))
    return path


def sent(federation: SmallFederation, address: str) -> int:
    found = request(connect(federation.url), "eth_getTransactionCount", [address, "latest"])
    return int(found, 16)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def settings_of(config: Path) -> Settings:
    """What a node makes of the configuration's values."""
    return Settings.read(tomllib.loads(config.read_text())["client"])


def test_from_an_invitation_to_a_round(
    ddcai: Ddcai, own: SmallFederation, authority: Path, password: Path, site: Path, tmp_path: Path
) -> None:
    sponsor = as_options(own.trial.coordinator, *_CONNECT, "store")
    invite = [
        "federation", "invite", *sponsor, "--out", "out", "--superlink", NOBODY_HERE,
        "--ca-certificate", authority, "--format", "json",
    ]  # fmt: skip
    join = ["join", "--password-file", password, "--data", site, "--light-kdf", "--format", "json"]

    # Nobody's account yet: the first run makes the keys, and says what the sponsor is to do.
    made = ddcai(*invite).json
    assert made == {"invited": [], "tx_hash": None, "files": ["out/invitation.toml"]}
    answer = ddcai(*join, "out/invitation.toml")
    assert answer.code == 2
    [keystore] = (tmp_path / "small" / "keys").glob("UTC--*")
    address = load_account(keystore, "open sesame").address
    assert f"`ddcai federation invite {address}`" in answer.stderr
    made = ddcai(*invite, address).json
    assert made["invited"] == [address]
    assert ddcai(*invite, address).json["tx_hash"] is None
    [file] = made["files"]
    assert address[2:].lower() in file
    assert Invitation.load(file)[0].account == address
    assert_refused(ddcai(*join, file, "--yes"), address)  # which has no ether
    ddcai("account", "fund", address, "--ether", "1", "--rpc-url", own.url)
    assert_refused(ddcai(*join, file), "not confirmed")  # the stake, and nobody answers
    assert sent(own, address) == 0

    answer = ddcai(*join, file, "--yes")
    assert answer.code == 0, answer.stderr
    member = own.contract.member(address)
    assert member is not None
    assert (answer.json["address"], answer.json["index"]) == (address, member.index)
    assert sent(own, address) == 2  # registration and node key
    home = tmp_path / "small"
    assert [path.name for path in sorted(home.iterdir())] == [
        "ca.pem", "ddcai.toml", "deployments", "keys", "state"
    ]  # fmt: skip
    assert (home / "ca.pem").read_text() == authority.read_text()
    for path in (home, *(home / "keys").iterdir(), home / "ddcai.toml"):
        assert path.stat().st_mode & 0o077 == 0, path

    before = contents(home)
    again = ddcai(*join, file)
    assert again.code == 0, again.stderr
    assert again.json == answer.json | {"tx_hash": None, "doctor": again.json["doctor"]}
    assert contents(home) == before
    assert sent(own, address) == 2

    config = home / "ddcai.toml"
    assert ddcai("config", "check", config).code == 0
    assert f"ddcai client --config {config}" in answer.json["command"]
    ready = ddcai("client", "--config", config, "--check-only")
    assert ready.code == 0, ready.stderr
    assert f"contributor {address} of {own.contract.address}: ready" in ready.stderr
    lines = {one["check"]: one["status"] for one in answer.json["doctor"]}
    assert lines["membership"] == lines["key"] == lines["data"] == lines["balance"] == "ok"
    assert lines["superlink"] == "warn"

    settings = settings_of(config)
    party = Party.connect(settings)
    key = attestation_key(settings, party)
    newcomer = Contributor(party, key, state_folder(settings, party))
    missing = [newcomer] * (member.index - 2)
    more = [newcomer] * (member.index - 1)
    whole = replace(
        own,
        contributors=(*own.contributors, *more),
        data=(*own.data, *(small_data(0) for _ in more)),
    )
    record = whole.run_round(silent=[2 + at for at in range(len(missing))])
    assert {one.address for one in record.submissions} == {*own.addresses, address}


PLACES = (
    "file-after:1",  # a keystore, and no attestation key
    "transaction-sent:1",  # the registration
    "file-part:1",  # the node key
    "transaction-sent:1",  # its binding
    "file-part:2",  # the configuration, after the CA certificate
)


def _join(folder: Path, arguments: list[str]) -> None:
    os.chdir(folder)
    commands.app(arguments, standalone_mode=False)


def test_killed_anywhere_it_goes_on_and_sends_nothing_twice(
    own: SmallFederation, authority: Path, password: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, own, authority)
    given = ["join", str(file), "--password-file", str(password), "--yes", "--light-kdf"]
    sponsor = own.coordinator.party.federation
    address = ""
    for number, place in enumerate(PLACES):
        assert run(_join, place, tmp_path, given) == KILLED, (number, place)
        if number == 0:  # now that the account is known
            [keystore] = (tmp_path / "small" / "keys").glob("UTC--*")
            address = load_account(keystore, "open sesame").address
            sponsor.invite([address])
            assert sponsor.sender is not None
            sponsor.sender.send(address, b"", 10**17)
        config = tmp_path / "small" / "ddcai.toml"
        assert not config.exists()
    assert run(_join, "", tmp_path, given) == 0
    assert sent(own, address) == 2
    assert [keystore] == list((tmp_path / "small" / "keys").glob("UTC--*"))
    member = own.contract.member(address)
    assert member is not None
    settings = settings_of(config)
    party = Party.connect(settings)
    assert own.contract.pubkey(member.index) == attestation_key(settings, party).registered
    assert party.node_registry is not None
    assert party.node_registry.bindings(address) == 1


@pytest.fixture
def refused(
    ddcai: Ddcai, federation: SmallFederation, password: Path, tmp_path: Path
) -> Callable[..., None]:
    """Runs `join` in the session's federation, which must make no file and send nothing."""

    def check(file: Path, *more: object, parts: tuple[str, ...]) -> None:
        w3 = connect(federation.url)
        block, files = request(w3, "eth_blockNumber", []), contents(tmp_path)
        answer = ddcai("join", file, "--password-file", password, "--light-kdf", *more)
        assert_refused(answer, *parts)
        assert request(w3, "eth_blockNumber", []) == block
        assert contents(tmp_path) == files

    return check


Refused = Callable[..., None]


def test_only_sponsor_and_coordinator_invite(
    refused: Refused, federation: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    member = federation.trial.contributors[federation.names[0]]
    signer = load_account(member.keystore, member.password())
    file = write(tmp_path, federation, authority, signer=signer)
    refused(file, parts=(signer.address, "sponsor", federation.contract.sponsor()))


def test_a_whole_forged_federation_is_known_by_its_signer(
    refused: Refused, ddcai: Ddcai, own: SmallFederation, federation: SmallFederation,
    authority: Path, tmp_path: Path
) -> None:  # fmt: skip
    """Its own contract, chain endpoint and store: only the signer's address tells."""
    account, _ = new_account(tmp_path / "forger", "word", light=True)
    file = write(tmp_path, own, authority, signer=account)
    sponsor = federation.contract.sponsor()
    refused(file, "--signer", sponsor, parts=(account.address, sponsor, "--signer"))


def test_what_was_altered_or_is_over_is_refused(
    refused: Refused, federation: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, federation, authority)
    file.write_text(file.read_text().replace(NOBODY_HERE, "127.0.0.1:2"))
    refused(file, parts=(str(file), "altered"))
    refused(tmp_path / "no.toml", parts=("no.toml",))
    file = write(tmp_path, federation, authority, expires=1_764_000_000)
    refused(file, parts=("2025-11-24", "ask for a new one"))


def test_another_chain_or_contract_is_refused(
    refused: Refused, federation: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    here = federation.deployment
    for changes, parts in (
        ({"chain_id": 1}, ("chain 31337", "expected 1")),
        ({"federation": here.head}, (here.head, "not a ddcai federation")),
        ({"node_registry": here.head}, (here.head,)),
        ({"config": here.config | {"name": "other"}}, ("configuration's digest",)),
    ):
        deployment = replace(here, **changes)
        refused(write(tmp_path, federation, authority, deployment=deployment), parts=parts)
    refused(write(tmp_path, federation, authority), "--rpc-url", "http://127.0.0.1:1",
            parts=("127.0.0.1:1", "ETH_RPC_URL"))  # fmt: skip


def test_another_account_is_refused(
    refused: Refused, federation: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    first, second = federation.addresses[:2]
    file = write(tmp_path, federation, authority, account=first)
    keystore = federation.trial.contributors[federation.names[1]].keystore
    (tmp_path / "theirs").write_text("open sesame\n")
    refused(file, parts=(first, "--keystore"))  # makes no key in its place
    secret = federation.trial.contributors[federation.names[1]].password_file
    refused(file, "--keystore", keystore, "--password-file", secret, parts=(first, second))


def test_a_store_without_the_federation_s_key_is_refused(
    refused: Refused, federation: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, federation, authority, store=str(tmp_path / "none"))
    refused(file, parts=("there is no store",))
    (tmp_path / "empty").mkdir()
    refused(file, "--store", tmp_path / "empty", parts=("does not hold",))


def test_another_federation_s_folder_is_refused(
    refused: Refused, own: SmallFederation, federation: SmallFederation, authority: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Its sponsor may have chosen the name so that another client's CA is replaced."""
    home = tmp_path / "small"
    home.mkdir()
    file = write(tmp_path, federation, authority)
    for name in ("ca.pem", "ddcai.toml"):
        (home / name).write_text("another's")
        refused(file, parts=(str(home), federation.contract.address, "--folder"))
        (home / name).unlink()
    own.deployment.save(home / "deployments")
    refused(file, parts=(str(home), federation.contract.address, "--folder"))
    (home / "deployments" / "31337-small.json").unlink()
    replace(own.deployment, chain_id=1).save(home / "deployments")
    refused(file, parts=(str(home), federation.contract.address, "--folder"))
    federation.deployment.save(home / "deployments")
    refused(file, parts=(str(home), federation.contract.address, "--folder"))


def test_a_superlink_without_tls_takes_a_word(
    refused: Refused, federation: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    file = write(tmp_path, federation, authority, ca_certificate="")
    refused(file, parts=("without TLS", "--insecure"))


def test_a_member_is_kept_and_its_configuration_compared(
    ddcai: Ddcai, own: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    """A member of before, by its own keystore; a second invitation names another SuperLink."""
    settings = own.trial.contributors[own.names[0]]
    options = as_options(settings, "keystore", "password-file", "bls-key")
    answer = ddcai("join", write(tmp_path, own, authority), *options, "--format", "json")
    assert answer.code == 0, answer.stderr
    assert answer.json["tx_hash"] is None
    config = tmp_path / "small" / "ddcai.toml"
    before = config.read_bytes()
    other = write(tmp_path, own, authority, superlink="127.0.0.1:2", ca_certificate="")
    answer = ddcai("join", other, *options, "--insecure")
    assert answer.code == 0, answer.stderr
    assert f"{config} is kept" in answer.stderr
    assert "of insecure, superlink" in answer.stderr
    assert config.read_bytes() == before
    # Its keys are not made anew: the registered one is asked for.
    answer = ddcai("join", other, *as_options(settings, "keystore", "password-file"),
                   "--bls-key", tmp_path / "none", "--insecure")  # fmt: skip
    assert_refused(answer, "none", "has joined already", "--bls-key")


def test_an_ecdsa_federation_that_is_open_and_a_trial(
    ddcai: Ddcai, chain_url: str, authority: Path, password: Path, tmp_path: Path
) -> None:
    """No attestation key, nobody invited, no TLS, and an endpoint with a password."""
    rules = {
        "quorum_scheme": "ecdsa", "open_membership": True, "registration_stake_wei": STAKE_WEI,
    }  # fmt: skip
    with make_federation(tmp_path / "open", 2, url=chain_url, **rules) as made:
        file = write(tmp_path, made, authority, ca_certificate="")
        secret = chain_url.replace("//", "//me:hush@")
        given = ["join", file, "--password-file", password, "--light-kdf", "--insecure",
                 "--yes", "--format", "json"]  # fmt: skip
        assert_refused(ddcai(*given, "--folder", file), "invitation.toml", "--folder")
        assert ddcai(*given).code == 2  # without ether
        [keystore] = (tmp_path / "small" / "keys").iterdir()
        address = load_account(keystore, "open sesame").address
        ddcai("account", "fund", address, "--ether", "0.1", "--rpc-url", chain_url)
        answer = ddcai(*given, "--rpc-url", secret)
        assert answer.code == 0, answer.stderr
        assert made.contract.member(address) is not None
        config = tmp_path / "small" / "ddcai.toml"
        assert "hush" not in answer.stdout + answer.stderr + config.read_text()
        assert "rpc-url has a password in it" in answer.stderr
        values = tomllib.loads(config.read_text())["client"]
        assert values["insecure"] is True
        assert values.keys().isdisjoint({"rpc-url", "bls-key", "ca-certificate"})
        site = write_site(tmp_path / "site.csv", 0)
        client = ["client", "--config", config, "--data", site, "--check-only"]
        ready = ddcai(*client, "--rpc-url", chain_url)
        assert ready.code == 0, ready.stderr
        assert "ready" in ready.stderr


def test_a_key_holder_binds_its_node_key_and_is_no_member(
    ddcai: Ddcai, own: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    holder = own.trial.key_holder
    file = write(tmp_path, own, authority)
    given = ["join", file, "--role", "keyholder", "--password-file", holder.password_file]
    assert_refused(ddcai(*given), "keystore of the key holder", "--keystore")  # none is made
    given += ["--keystore", holder.keystore]
    assert_refused(ddcai(*given), "DDCAI_ENCRYPTION_KEY")
    party = Party.connect(holder)
    before = sent(own, party.address)
    contributor = own.trial.contributors[own.names[0]]
    key = ["--encryption-key", holder.encryption_key]
    answer = ddcai(*given[:-1], contributor.keystore, *key)
    assert_refused(answer, "not this federation's key holder")
    for expected in (before + 1, before + 1):
        answer = ddcai(*given, *key, "--format", "json")
        assert answer.code == 0, answer.stderr
        assert sent(own, party.address) == expected
        assert (answer.json["index"], answer.json["tx_hash"]) == (None, None)
    assert party.node_registry is not None
    assert party.node_registry.bindings(party.address) == 1
    config = tmp_path / "small" / "ddcai.toml"
    ready = ddcai("client", "--config", config, "--check-only")
    assert ready.code == 0, ready.stderr
    assert f"keyholder {party.address}" in ready.stderr


def test_a_policy_and_unreadable_data_stop_it_before_it_pays(
    ddcai: Ddcai, own: SmallFederation, authority: Path, password: Path, tmp_path: Path
) -> None:
    account, keystore = new_account(tmp_path / "new", "open sesame", light=True)
    own.coordinator.party.federation.invite([account.address])
    file = write(tmp_path, own, authority, account=account.address)
    given = ["join", file, "--keystore", keystore, "--password-file", password, "--yes",
             "--light-kdf"]  # fmt: skip
    policy = tmp_path / "policy.toml"
    policy.write_text(f"[money]\nmax_deposit_wei = {DEPOSIT_WEI - 1}\n")
    answer = ddcai(*given, "--policy", policy)
    assert_refused(answer, "money.max_deposit_wei")
    site = write_site(tmp_path / "site.csv", 0, examples=0)
    assert_refused(ddcai(*given, "--data", site), "no rows")
    assert sent(own, account.address) == 0
    assert own.contract.member(account.address) is None


def test_invite_checks_before_it_sends(
    ddcai: Ddcai, federation: SmallFederation, authority: Path, tmp_path: Path
) -> None:
    sponsor = as_options(federation.trial.coordinator, *_CONNECT)
    stranger = "0x000000000000000000000000000000000000dEaD"
    given = ["federation", "invite", stranger, *sponsor, "--out", tmp_path / "out"]
    tls = ["--ca-certificate", authority]
    store = ["--store", federation.trial.coordinator.store]
    link = ["--superlink", NOBODY_HERE]
    w3 = connect(federation.url)
    block = request(w3, "eth_blockNumber", [])
    assert_refused(ddcai(*given, *tls), "--superlink")
    assert_refused(ddcai(*given, *link), "ca.pem", "--insecure")
    assert_refused(ddcai(*given, *tls, "--superlink", "host"), "'host'", "HOST:PORT")
    assert_refused(ddcai(*given, *tls, *link, "--store", "memory://x"), "memory://x")
    assert_refused(ddcai(*given, *tls, *link, *store, "--their-rpc-url", "ftp://x"), "ftp://x")
    secret = ["--rpc-url", f"{federation.url}/{'k' * 32}"]
    assert_refused(ddcai(*given, *tls, *link, *store, *secret), "/***", "--their-rpc-url")
    (tmp_path / "taken").write_text("a file")
    taken = [*given[:-1], tmp_path / "taken"]
    assert_refused(ddcai(*taken, *tls, *link, *store), "taken", "--out")
    assert_refused(ddcai("federation", "invite", *sponsor), "--out")
    member = as_options(federation.trial.contributors[federation.names[0]], *_CONNECT)
    given = ["federation", "invite", *member, "--out", tmp_path / "out"]
    assert_refused(ddcai(*given, *tls, *link, *store), federation.addresses[0], "sponsor")
    assert request(w3, "eth_blockNumber", []) == block
    assert not (tmp_path / "out").exists()
