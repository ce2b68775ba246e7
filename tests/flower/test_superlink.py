"""Other machines reach the Fleet API of our SuperLink, and nothing else of it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ddcai.cli.certificates import own_certificates
from ddcai.cli.processes import flower_environment
from ddcai.flower.superlink import FleetOnly

FAR, OWN = ("10.9.0.2", 40000), ("10.9.0.1", 9191)


def _answer(**changes: Any) -> int | None:
    """What an app that answers 200 to all is made to answer; None where a socket is closed."""
    scope = {"type": "http", "path": "/v1/fleet/pull-messages", "client": FAR, "server": OWN}
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(FleetOnly(app)(scope | changes, None, send))
    return sent[0].get("status")


def test_other_machines_have_the_fleet_api_alone() -> None:
    assert _answer() == 200
    for path in (
        "/v1/control/register-node",
        "/v1/runtime/acquire-task",
        "/",
        "/docs",
        "/v1/fleetx",
        "/V1/FLEET/pull-messages",
        "//v1/fleet/pull-messages",
        "/v1/control/../fleet/pull-messages",
    ):
        assert _answer(path=path) == 403, path
    assert _answer(type="websocket") is None


def test_this_machine_has_all_of_it() -> None:
    control = "/v1/control/register-node"
    for client, server in (
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("10.9.0.1", "10.9.0.1"),
        ("::ffff:10.9.0.1", "10.9.0.1"),
    ):
        assert _answer(path=control, client=(client, 1), server=(server, 2)) == 200, client
    for client in (("10.9.0.2", 1), ("::ffff:10.9.0.2", 1), ("localhost", 1), ("", 1), None):
        assert _answer(path=control, client=client) == 403, client
    assert _answer(path=control, client=("10.9.0.1", 1), server=None) == 403


# Run in two network namespaces: the SuperLink's, and another machine's.
CALLS = """
import sys, time
from pathlib import Path
import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flwr.cli.cli_client_interceptor import CliClientHttpInterceptor
from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, StartRunRequest
from flwr.proto.fab_pb2 import Fab
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.interceptors.http import RuntimeVersionHttpInterceptor

address, authority = sys.argv[1], sys.argv[2]
control = ControlHttpClient.from_server_address(
    server_address=address, insecure=False, root_certificates=Path(authority).read_bytes(),
    interceptors=[
        CliClientHttpInterceptor(), RuntimeVersionHttpInterceptor(component_name="flwr CLI")
    ],
)
point = ec.generate_private_key(ec.SECP384R1()).public_key()
key = point.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
calls = {
    "list": lambda: control.ListNodes(ListNodesRequest()),
    "register": lambda: control.RegisterNode(RegisterNodeRequest(public_key=key)),
    "run": lambda: control.StartRun(StartRunRequest(fab=Fab(hash_str="", content=b"no app"))),
}
for name, call in calls.items():
    for attempt in range(300):
        try:
            call()
            print(name, 200)
        except httpx.HTTPStatusError as error:
            print(name, error.response.status_code)
        except httpx.ConnectError:
            time.sleep(0.2)
            continue
        except Exception as error:
            print(name, type(error).__name__, str(error)[:100])
        break
posted = httpx.post(f"https://{address}/v1/fleet/pull-messages", verify=authority)
print("fleet", posted.status_code)
"""
MACHINES = """
set -e
ip link set lo up
unshare --net sleep 300 & far=$!
for attempt in $(seq 50); do
  [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.1
done
ip link add near type veth peer name far netns $far
ip addr add 10.9.0.1/24 dev near; ip link set near up
nsenter --target $far --net ip addr add 10.9.0.2/24 dev far
nsenter --target $far --net ip link set far up
"$0" -m ddcai.flower.superlink --host 0.0.0.0 --port 9191 --ssl-certfile "$1/superlink.pem" \
  --ssl-keyfile "$1/superlink-key.pem" --ssl-ca-certfile "$1/ca.pem" \
  --enable-supernode-auth > "$1/log" 2>&1 & link=$!
trap "kill $link $far" EXIT
for from in 127.0.0.1 10.9.0.1; do "$0" -c "$2" $from:9191 "$1/ca.pem" | sed "s/^/own $from /"; done
nsenter --target $far --net "$0" -c "$2" 10.9.0.1:9191 "$1/ca.pem" | sed "s/^/far /"
"""


@pytest.mark.slow
def test_a_stranger_cannot_register_a_key_or_start_a_run(tmp_path: Path) -> None:
    """With real processes, and TLS by the right CA certificate, which is no secret."""
    for needed in ("unshare", "nsenter", "ip"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel gives no network namespace")
    own_certificates(tmp_path / "tls", ["10.9.0.1"])
    done = subprocess.run(
        [*alone, "bash", "-c", MACHINES, sys.executable, str(tmp_path / "tls"), CALLS],
        env=flower_environment(tmp_path / "home")
        # By this Flower would serve the Control API at a port of its own, too.
        | {"FLWR_INTERNAL_GRPC_CONTROL_API": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    said, log = done.stdout.splitlines(), (tmp_path / "tls" / "log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log
    for own in ("127.0.0.1", "10.9.0.1"):
        assert f"own {own} list 200" in said, done.stdout + log
        assert f"own {own} register 200" in said
        assert not any(line == f"own {own} run 403" for line in said)
    for name in ("list", "register", "run"):
        assert f"far {name} 403" in said, done.stdout
    # The Fleet API is there for it, and does not take a request without a node's signature.
    [fleet] = [int(line.split()[2]) for line in said if line.startswith("far fleet")]
    assert fleet not in (200, 403, 404)
