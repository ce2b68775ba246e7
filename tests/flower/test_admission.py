"""Who may connect to a SuperLink, shown with Flower's own processes."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flwr.proto.control_pb2 import ListNodesRequest

from ddcai.chain.accounts import load_account
from ddcai.chain.invitation import Invitation
from ddcai.cli.certificates import Certificates, check_server, own_certificates
from ddcai.cli.processes import Child, answers, flower_environment, free_port, program
from ddcai.errors import ConfigurationError
from ddcai.flower.admission import Admission, bound_keys
from ddcai.rounds.node_binding import bind
from ddcai.rounds.node_key import NodeKey, to_pem
from ddcai.rounds.party import Party
from tests.cli.conftest import as_options, invoke, write_site
from tests.federation import make_federation

TIMEOUT_S = 120.0


def _wait(what: Callable[[], bool], said: Callable[[], str]) -> None:
    until = time.monotonic() + TIMEOUT_S
    while not what():
        assert time.monotonic() < until, said()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("superlink")


@pytest.fixture(scope="module")
def tls(folder: Path) -> Certificates:
    return own_certificates(folder / "tls")


@pytest.fixture(scope="module")
def superlink(folder: Path, tls: Certificates) -> Iterator[int]:
    """The port of a SuperLink of ours."""
    port = free_port()
    command = [
        sys.executable, "-m", "ddcai.flower.superlink", "--port", str(port),
        "--ssl-certfile", str(tls.certificate), "--ssl-keyfile", str(tls.key),
        "--ssl-ca-certfile", str(tls.authority), "--enable-supernode-auth",
    ]  # fmt: skip
    log = folder / "superlink.log"
    with Child(command, flower_environment(folder / "home"), log=log):
        _wait(lambda: answers("127.0.0.1", port), log.read_text)
        yield port


@pytest.mark.slow
def test_nodes_connect_by_keys_that_members_bound_and_no_others(
    tmp_path: Path, tls: Certificates, superlink: int
) -> None:
    where = f"127.0.0.1:{superlink}"
    wrong = own_certificates(tmp_path / "wrong")
    assert check_server("127.0.0.1", superlink, tls.authority)
    with pytest.raises(ConfigurationError, match="from the coordinator itself"):
        check_server("127.0.0.1", superlink, wrong.authority)
    with make_federation(tmp_path) as federation, ExitStack() as stack:
        keys = {n: NodeKey.load_or_make(tmp_path / n) for n in ("member", "deceived", "stranger")}
        parties = [Party.connect(one) for one in federation.trial.contributors.values()]
        bind(parties[0], keys["member"])
        bind(parties[1], keys["deceived"])
        told: list[str] = []
        view = Party.connect(federation.trial.coordinator)
        admission = Admission(where, tls.authority.read_bytes(), view, told.append)
        stack.enter_context(admission)

        def status(name: str) -> str | None:
            found = admission.control.ListNodes(ListNodesRequest()).nodes_info
            key = to_pem(keys[name].public)
            return next((one.status for one in found if one.public_key == key), None)

        assert set(bound_keys(view)) == {to_pem(keys[n].public) for n in ("member", "deceived")}
        assert status("member") == "registered"
        assert status("stranger") is None

        def start(name: str, authority: Path, *more: str) -> Child:
            command = [program("flower-supernode"), "--superlink", where, *more]
            command += ["--root-certificates", str(authority), "--port", str(free_port())]
            home = flower_environment(tmp_path / f"home-{name}") | {"OMP_NUM_THREADS": "1"}
            return stack.enter_context(Child(command, home, log=tmp_path / f"{name}.log"))

        def key(name: str) -> tuple[str, str]:
            return "--auth-supernode-private-key", str(tmp_path / name)

        def logs() -> str:
            return "\n".join(one.read_text() for one in tmp_path.glob("*.log"))

        start("member", tls.authority, *key("member"))
        start("deceived", wrong.authority, *key("deceived"))
        strangers = [
            start("stranger", tls.authority, *key("stranger")),
            start("keyless", tls.authority),
        ]
        _wait(lambda: status("member") == "online", logs)
        for one in strangers:
            _wait(lambda one=one: one.process.poll() is not None, logs)
            assert one.process.returncode == 1, logs()
        for name in ("stranger", "keyless"):
            assert "Exit Code: 305" in (tmp_path / f"{name}.log").read_text(), logs()
        # With another coordinator's CA certificate a node does not say a word.
        deceived = tmp_path / "deceived.log"
        _wait(lambda: "CERTIFICATE_VERIFY_FAILED" in deceived.read_text(), logs)
        assert status("deceived") == "registered"

        # A key that is bound in place of another takes its place here.
        bind(parties[0], keys["stranger"])
        _wait(lambda: status("stranger") == "registered", logs)
        _wait(lambda: status("member") in (None, "unregistered"), logs)
        assert any("may no longer connect" in line for line in told)


@pytest.mark.slow
def test_a_client_that_came_before_the_coordinator_is_admitted_later(
    tmp_path: Path, tls: Certificates, superlink: int
) -> None:
    """By the configuration that `ddcai join` writes; Flower's node ends when it is refused."""
    where = f"127.0.0.1:{superlink}"
    with make_federation(tmp_path / "federation", 2) as federation, ExitStack() as stack:
        sponsor = federation.trial.coordinator
        invitation = Invitation(
            deployment=federation.deployment,
            account=federation.addresses[0],
            expires=4_000_000_000,
            rpc_url=federation.url,
            store=sponsor.store,
            superlink=where,
            ca_certificate=tls.authority.read_text(),
        )
        file = tmp_path / "invitation.toml"
        file.write_text(invitation.signed_by(load_account(sponsor.keystore, sponsor.password())))
        member = federation.trial.contributors[federation.names[0]]
        options = as_options(member, "keystore", "password-file", "bls-key")
        options += ["--data", str(write_site(tmp_path / "site.csv", 0))]
        options += ["--folder", str(tmp_path / "member"), "--format", "json"]
        joined = invoke(["join", str(file), *options])
        assert joined.exit_code == 0, joined.stderr
        found = json.loads(joined.stdout)
        checks = {one["check"]: one["status"] for one in found["doctor"]}
        assert checks["superlink"] == "ok"  # by the invitation's certificate

        log = tmp_path / "client.log"
        command = [program("ddcai"), *shlex.split(found["command"])[1:]]
        child = Child(command, os.environ | {"OMP_NUM_THREADS": "1"}, log=log)
        client = stack.enter_context(child)
        _wait(lambda: "does not admit this node yet" in log.read_text(), log.read_text)
        view = Party.connect(sponsor)
        admission = Admission(where, tls.authority.read_bytes(), view, lambda _: None)
        stack.enter_context(admission)
        key = to_pem(NodeKey.load(Path(found["node_key"])).public)

        def online() -> bool:
            nodes = admission.control.ListNodes(ListNodesRequest()).nodes_info
            return any((one.public_key, one.status) == (key, "online") for one in nodes)

        _wait(online, log.read_text)
        assert log.read_text().count("does not admit") == 1
        assert client.process.poll() is None
