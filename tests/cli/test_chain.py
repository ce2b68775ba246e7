"""`ddcai chain`, as a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from ddcai.chain.node.anvil import find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import dev_accounts
from ddcai.cli.processes import program
from tests.cli.conftest import Ddcai, assert_refused

ANVIL = [["--anvil"]] if find_anvil() else []


@pytest.mark.parametrize("kind", [[], *ANVIL])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(how: signal.Signals, kind: list[str]) -> None:
    process = subprocess.Popen(
        [program("ddcai"), "chain", "--port", "0", "--format", "json", *kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "listening on" in line:
            break
    url = said.split("listening on ")[1].split()[0]
    assert int(request(connect(url), "eth_chainId", []), 16) == 31337
    process.send_signal(how)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "stopped" in rest
    assert "Traceback" not in rest
    accounts = json.loads(out)
    assert [row["address"] for row in accounts] == [one.address for one in dev_accounts()]
    assert "public" in said


def test_a_port_in_use_is_refused(ddcai: Ddcai) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert_refused(ddcai("chain", "--port", port), str(port), "another port")


def test_only_anvil_keeps_its_state(ddcai: Ddcai, tmp_path: Path) -> None:
    answer = ddcai("chain", "--port", "0", "--state", tmp_path / "chain.json")
    assert_refused(answer, "chain.json", "--anvil")
    assert not (tmp_path / "chain.json").exists()
