"""`ddcai doctor`: each failure is planted, and named by its line; nothing is sent or changed."""

from __future__ import annotations

import dataclasses
import http.server
import json
import os
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from ddcai.chain.accounts import new_account
from ddcai.chain.deploy import Deployment
from ddcai.chain.node import connection
from ddcai.chain.node.connection import connect, request
from ddcai.cli import doctor_checks, doctor_machine
from ddcai.cli.certificates import own_certificates
from ddcai.cli.doctor_machine import line, superlink_clock
from ddcai.cli.doctor_machine import superlink as reached
from ddcai.configuration import Encryption
from ddcai.rounds.party import Settings
from tests.cli.conftest import DEPOSIT_WEI, Answer, Ddcai, as_options
from tests.federation import SmallFederation, make_federation, small_config
from tests.full_disk import run_on_small_disk

NAMES = ("deployment", "rpc-url", "store", "keystore", "password-file", "bls-key", "state", "role")


@pytest.fixture
def settings(federation: SmallFederation, tmp_path: Path) -> Settings:
    """The first contributor's, with a state folder that is not there yet."""
    first = federation.trial.contributors[federation.names[0]]
    return dataclasses.replace(first, state=str(tmp_path / "state"))


Doctor = Callable[..., dict[str, Any]]


@pytest.fixture
def doctor(ddcai: Ddcai, settings: Settings, site: Path) -> Doctor:
    """The lines by check; `code` is the exit code. Changes replace settings."""

    def run(*more: object, data: Path = site, **changes: str) -> dict[str, Any]:
        options = as_options(dataclasses.replace(settings, **changes), *NAMES)
        return lines(ddcai("doctor", *options, "--data", data, *more, "--format", "json"))

    return run


def lines(answer: Answer) -> dict[str, Any]:
    """The lines by check. Each that is not ok has a remedy; the code is 2 for any fail, else 0."""
    found = {one["check"]: one for one in answer.json}
    assert all((one["status"] == "ok") == (not one["remedy"]) for one in found.values())
    failed = any(one["status"] == "fail" for one in found.values())
    assert answer.code == (2 if failed else 0), answer.stderr
    return found


def failed(found: dict[str, Any]) -> set[str]:
    return {name for name, one in found.items() if one["status"] == "fail"}


def files(folder: Path) -> dict[str, Any]:
    """All that a folder holds: contents and times of change."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


@contextmanager
def superlink(folder: Path, date: str | None) -> Iterator[str]:
    """An HTTPS server with such a Date header, in place of a SuperLink behind a proxy."""
    made = own_certificates(folder)

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)
            if date is not None:
                self.send_header("Date", date)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # who refuses the certificate breaks off

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with Server(("127.0.0.1", 0), Answering) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
    thread.join(10)


def test_all_is_well_and_nothing_is_sent_or_changed(
    doctor: Doctor, federation: SmallFederation, settings: Settings, tmp_path: Path
) -> None:
    own = Path(settings.deployment).parent.parent
    before = files(own) | files(tmp_path)
    w3 = connect(federation.url)
    sent = [
        request(w3, "eth_getTransactionCount", [one, "pending"]) for one in federation.addresses
    ]
    block = request(w3, "eth_blockNumber", [])
    found = doctor("--rounds", 3)
    assert failed(found) == set()
    warned = {name for name, one in found.items() if one["status"] == "warn"}
    assert warned == {"clock", "superlink", "superlink clock"}  # a trial chain; not given
    assert "48 examples" in found["data"]["found"]
    assert "3 round(s)" in found["balance"]["found"]
    assert files(own) | files(tmp_path) == before
    assert not Path(settings.state).exists()
    assert request(w3, "eth_blockNumber", []) == block
    assert sent == [
        request(w3, "eth_getTransactionCount", [one, "pending"]) for one in federation.addresses
    ]


def test_what_is_not_given_is_said(ddcai: Ddcai, chain_url: str, tmp_path: Path) -> None:
    found = lines(ddcai("doctor", "--rpc-url", chain_url, "--format", "json"))
    ok = {name for name, one in found.items() if one["status"] == "ok"}
    assert ok == {"python", "flwr", "torch", "tenseal", "web3", "policy", "disk"}
    for name in found.keys() - ok - {"chain"}:
        assert found[name]["found"].startswith("not checked"), found[name]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", ["coordinator", "key_holder"])
def test_other_roles_have_checks_of_their_own(
    ddcai: Ddcai, federation: SmallFederation, tmp_path: Path, role: str
) -> None:
    theirs = dataclasses.replace(getattr(federation.trial, role), state=str(tmp_path / "state"))
    options = as_options(theirs, *NAMES[:-1], "encryption-key")
    name = role.replace("_", "")
    found = lines(ddcai("doctor", *options, "--role", name, "--format", "json"))
    assert failed(found) == set()
    assert found["membership"]["found"].startswith(name)
    assert found["key"]["status"] == "ok"
    assert not Path(theirs.state).exists()
    found = lines(ddcai("doctor", *options, "--role", "contributor", "--format", "json"))
    assert "membership" in failed(found)


def test_a_table_says_how_many(ddcai: Ddcai, settings: Settings) -> None:
    answer = ddcai("doctor", *as_options(settings, *NAMES))
    assert answer.code == 0
    assert "0 fail" in answer.stderr
    assert settings.password() not in answer.stdout + answer.stderr
    assert "not checked" in answer.stdout


def _other(settings: Settings, folder: Path, **changes: Any) -> str:
    deployment = dataclasses.replace(Deployment.load(settings.deployment), **changes)
    return str(deployment.save(folder / "-".join(changes)))


def test_the_wrong_chain(doctor: Doctor, settings: Settings, tmp_path: Path) -> None:
    found = doctor(deployment=_other(settings, tmp_path, chain_id=1))
    assert failed(found) == {"chain"}
    assert "expected 1" in found["chain"]["found"]
    assert found["contract"]["found"] == "not checked: needs the chain"
    assert failed(doctor(rpc_url="http://127.0.0.1:1")) == {"chain"}


def test_a_foreign_deployment(
    doctor: Doctor, settings: Settings, chain_url: str, tmp_path: Path
) -> None:
    config = Deployment.load(settings.deployment).config
    config["training"]["local_epochs"] = 99
    found = doctor(deployment=_other(settings, tmp_path, config=config))
    assert failed(found) == {"contract"}
    assert "configuration's digest" in found["contract"]["found"]
    head = Deployment.load(settings.deployment).head
    found = doctor(deployment=_other(settings, tmp_path, federation=head))
    assert failed(found) == {"contract"}
    with make_federation(tmp_path / "foreign", 2, url=chain_url) as foreign:
        found = doctor(deployment=str(foreign.deployment_path))
        # Its key is not in this store, and this account is none of its members.
        assert failed(found) == {"membership", "store"}
        registry = foreign.deployment.node_registry
        found = doctor(deployment=_other(settings, tmp_path, node_registry=registry))
        assert failed(found) == {"contract"}


def test_an_empty_account(
    doctor: Doctor, settings: Settings, federation: SmallFederation, tmp_path: Path
) -> None:
    account, keystore = new_account(tmp_path / "empty", settings.password(), light=True)
    found = doctor(keystore=str(keystore))
    assert failed(found) == {"membership", "balance", "key"}
    assert account.address in found["balance"]["found"]
    assert "0 ETH of" in found["balance"]["found"]
    # A thousand rounds' deposits are more than a trial's account has.
    assert failed(doctor("--rounds", 1000)) == {"balance"}


def test_files_of_others(doctor: Doctor, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("open barley")
    assert failed(doctor(password_file=str(tmp_path / "wrong"))) == {"account"}
    assert failed(doctor(keystore=str(tmp_path / "no"))) == {"account"}
    assert failed(doctor(bls_key=str(tmp_path / "no"))) == {"key"}
    assert failed(doctor(deployment=str(tmp_path / "no"))) == {"deployment"}


def test_another_attestation_key(doctor: Doctor, federation: SmallFederation) -> None:
    other = federation.trial.contributors[federation.names[1]]
    found = doctor(bls_key=other.bls_key)
    assert failed(found) == {"key"}
    assert "registered another" in found["key"]["found"]


def test_a_policy_that_does_not_allow_the_federation(
    doctor: Doctor, ddcai: Ddcai, federation: SmallFederation, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"

    def written(text: str, mode: int = 0o600) -> dict[str, Any]:
        path.write_text(text)
        path.chmod(mode)
        return doctor("--policy", path)

    allowed = f"[money]\nmax_deposit_wei = {DEPOSIT_WEI}\n"
    found = written(allowed)
    assert failed(found) == set()
    assert found["policy"]["found"] == f"{path} allows this federation"
    for text, part in (
        (f"[money]\nmax_deposit_wei = {DEPOSIT_WEI - 1}\n", "money.max_deposit_wei"),
        (f"[money]\nmax_spend_wei_per_day = {DEPOSIT_WEI - 1}\n", "max_spend_wei_per_day"),
        ("[money]\nmax_gas_price_wei = 1\n", "above the cap"),
        ("[privacy]\nrequire = true\n", "no noise"),
        ("[leave]\nupdates = false\n", "leave.updates"),
        ("[leave]\nupdate = false\n", "'update'"),
        ("[leave", "not TOML"),
    ):
        found = written(text)
        assert failed(found) == {"policy"}
        assert part in found["policy"]["found"]
    assert "others can change" in written(allowed, 0o622)["policy"]["found"]
    path.unlink()
    assert failed(doctor("--policy", path)) == {"policy"}
    # A key holder pays no deposit, and a coordinator has no policy.
    written("[leave]\nupdates = false\n")
    for role, party in (
        ("keyholder", federation.trial.key_holder),
        ("coordinator", federation.trial.coordinator),
    ):
        options = as_options(party, *NAMES[:-1], "encryption-key")
        answer = ddcai("doctor", *options, "--role", role, "--policy", path, "--format", "json")
        assert lines(answer)["policy"]["status"] == "ok"


def test_data_out_of_range(doctor: Doctor, site: Path) -> None:
    text = site.read_text()
    site.write_text(text + "37,0,0,0,yes\n")
    found = doctor()["data"]
    assert found["status"] == "warn"
    assert "49 examples" in found["found"]
    assert f"beyond the federation's ranges: 1 of '{text.split(',')[0]}'" in found["found"]
    site.write_text(text + "inf,0,0,0,yes\n")
    found = doctor()
    assert failed(found) == {"data"}
    assert "'inf'" in found["data"]["found"]
    assert failed(doctor("--label", "goal")) == {"data"}
    assert failed(doctor(data=site.with_name("no.csv"))) == {"data"}


def test_a_store_that_is_not_there_is_not_made(
    doctor: Doctor, settings: Settings, tmp_path: Path
) -> None:
    found = doctor(store=str(tmp_path / "store"))
    assert failed(found) == {"store"}
    assert not (tmp_path / "store").exists()
    (tmp_path / "store").mkdir()
    assert failed(doctor(store=str(tmp_path / "store"))) == {"store"}  # without the key
    key = Deployment.load(settings.deployment).encryption_key_digest[2:]
    blob = bytearray((Path(settings.store) / key).read_bytes())
    blob[-1] ^= 1
    (tmp_path / "store" / key).write_bytes(blob)
    found = doctor(store=str(tmp_path / "store"))
    assert failed(found) == {"store"}
    assert "is not the encryption key" in found["store"]["found"]
    assert failed(doctor(store="nosuchkind://bucket")) == {"store"}


def test_a_store_that_cannot_be_written(
    doctor: Doctor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs this may be root, whom no mode of a folder hinders."""
    real, store = os.access, settings.store
    monkeypatch.setattr(
        doctor_checks.os, "access", lambda path, mode: str(path) != store and real(path, mode)
    )
    found = doctor()
    assert failed(found) == {"store"}
    assert "cannot be written" in found["store"]["found"]


def test_a_holder_of_a_shared_key_only_reads(
    ddcai: Ddcai, chain_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(
        encryption=Encryption(max_contributors=8, parameter_set="compact-64-3x18")
    )
    with make_federation(tmp_path / "own", 3, url=chain_url, config=config, holders=(2, 2)) as own:
        first, second = list(own.trial.key_holders.values())[:2]
        store = first.store
        real = os.access
        monkeypatch.setattr(
            doctor_checks.os, "access", lambda path, mode: str(path) != store and real(path, mode)
        )

        def run(settings: Settings) -> dict[str, Any]:
            options = as_options(settings, *NAMES, "encryption-key")
            return lines(ddcai("doctor", *options, "--format", "json"))

        found = run(first)
        assert failed(found) == set()
        assert found["store"]["found"].endswith("need not be written")
        assert found["key"]["status"] == "ok"
        swapped = dataclasses.replace(first, encryption_key=second.encryption_key)
        assert failed(run(swapped)) == {"key"}
        contributor = own.trial.contributors[own.names[0]]
        assert failed(run(contributor)) == {"store"}


def test_a_store_elsewhere_is_read_and_not_written(doctor: Doctor, settings: Settings) -> None:
    import fsspec

    key = Deployment.load(settings.deployment).encryption_key_digest[2:]
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/doctor/" + key, (Path(settings.store) / key).read_bytes())
    found = doctor(store="memory://doctor")["store"]
    assert found["status"] == "warn"
    assert "can be read; not checked" in found["found"]
    assert [Path(one).name for one in memory.ls("/doctor", detail=False)] == [key]


def test_the_superlink_and_its_clock(doctor: Doctor, tmp_path: Path) -> None:
    authority = tmp_path / "tls" / "ca.pem"
    with superlink(tmp_path / "tls", formatdate(time.time() - 60, usegmt=True)) as address:
        found = doctor("--superlink", address, "--ca-certificate", authority)
        assert failed(found) == {"superlink clock"}
        assert found["superlink"]["status"] == "ok"
        other = own_certificates(tmp_path / "other").authority
        found = doctor("--superlink", address, "--ca-certificate", other)
        assert failed(found) == {"superlink"}
        assert "vouches" in found["superlink"]["found"]
        assert found["superlink clock"]["status"] == "warn"


def test_a_superlink_that_is_not_there(ddcai: Ddcai, tmp_path: Path) -> None:
    authority = own_certificates(tmp_path / "tls").authority
    given = ["doctor", "--ca-certificate", authority, "--format", "json"]
    assert "superlink" in failed(lines(ddcai(*given, "--superlink", "127.0.0.1:1")))
    assert "superlink" in failed(lines(ddcai(*given, "--superlink", "127.0.0.1:1", "--insecure")))
    assert "superlink" in failed(lines(ddcai(*given, "--superlink", "nowhere")))
    given[2] = tmp_path / "no.pem"
    assert "superlink" in failed(lines(ddcai(*given, "--superlink", "127.0.0.1:1")))


@pytest.mark.parametrize(
    ("ahead_s", "status"), [(0, "ok"), (-60, "fail"), (200, "ok"), (400, "fail"), (None, "warn")]
)
def test_flower_s_limits_of_a_node_s_clock(
    tmp_path: Path, ahead_s: int | None, status: str
) -> None:
    """How far the SuperLink's clock is ahead of this one's; None: no date."""
    date = "one day" if ahead_s is None else formatdate(time.time() + ahead_s, usegmt=True)
    for shown in (date, None) if ahead_s is None else (date,):
        with superlink(tmp_path / "tls", shown) as address:
            authority = str(tmp_path / "tls" / "ca.pem")
            found = line("c", lambda: superlink_clock(address, authority, False), "set it")  # noqa: B023
            assert found.status == status, found
            assert line("s", lambda: reached(address, "", True), "").status == "warn"


@pytest.mark.parametrize(
    ("ahead_s", "status"), [(0, "ok"), (60, "ok"), (-120, "fail"), (1200, "warn")]
)
def test_a_clock_that_is_wrong(
    doctor: Doctor,
    federation: SmallFederation,
    monkeypatch: pytest.MonkeyPatch,
    ahead_s: int,
    status: str,
) -> None:
    """Against the last block, of a chain that does not say that it is for trials."""
    monkeypatch.setattr(connection, "mines_on_request", lambda _: False)
    now = federation.contract.block_time() + ahead_s
    monkeypatch.setattr(doctor_checks, "now", lambda: now)
    found = doctor()
    assert found["clock"]["status"] == status, found["clock"]
    assert failed(found) == ({"clock"} if status == "fail" else set())


def test_versions_that_are_not_those_asked_for(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "tenseal":
            raise metadata.PackageNotFoundError(name)
        return {"flwr": "1.13.0", "torch": "99.0+cpu"}.get(name) or real(name)

    monkeypatch.setattr(doctor_machine.metadata, "version", version)
    monkeypatch.setattr(doctor_machine.platform, "python_version", lambda: "3.10.1")
    found = doctor()
    assert failed(found) == {"python", "flwr", "tenseal"}
    assert "1.13.0 is here" in found["flwr"]["found"]
    assert "not installed" in found["tenseal"]["found"]
    assert "constraints.txt" in found["flwr"]["remedy"]


CODE = """
import json, sys
from pathlib import Path
from ddcai.cli.doctor_checks import Asked, Examination
from ddcai.cli.doctor_machine import line

folder = Path(sys.argv[1])
found = line("disk", Examination(Asked(state=str(folder / "state"))).disk, "free room")
print(json.dumps([found.status, found.found, [path.name for path in folder.iterdir()]]))
"""


@pytest.mark.parametrize(("kilobytes", "expected"), [(512, "fail"), (2048, "ok")])
def test_a_full_disk(tmp_path: Path, kilobytes: int, expected: str) -> None:
    status, found, left = json.loads(run_on_small_disk(tmp_path, kilobytes, CODE))
    assert status == expected, found
    assert found.startswith(f"{kilobytes / 1024:.1f} MiB free in {tmp_path}")
    assert left == []


def test_more_rounds_need_more_disk(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=2**22)
    monkeypatch.setattr(doctor_machine.shutil, "disk_usage", lambda _: usage)
    assert failed(doctor()) == set()
    assert "disk" in failed(doctor("--rounds", 500))


def test_a_file_sets_what_nothing_else_does(
    ddcai: Ddcai, settings: Settings, site: Path, tmp_path: Path
) -> None:
    keys = {name: value for name, value in settings.to_mapping().items() if name in NAMES}
    file = tmp_path / "ddcai.toml"
    text = "[client]\n" + "".join(f"{name} = {json.dumps(one)}\n" for name, one in keys.items())
    file.write_text(text + f"data = {json.dumps(str(site))}\n")
    found = lines(ddcai("doctor", "--config", file, "--format", "json"))
    assert failed(found) == set()
    assert found["key"]["status"] == found["data"]["status"] == "ok"
    other = ddcai("doctor", "--config", file, "--data", tmp_path / "no.csv", "--format", "json")
    assert failed(lines(other)) == {"data"}
    assert "no [coordinator]" in ddcai("doctor", "--config", file, "--role", "coordinator").stderr
    file.write_text(text + "dataa = 1\n")
    assert "dataa" in ddcai("doctor", "--config", file).stderr
