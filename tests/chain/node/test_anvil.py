from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from ddcai.chain.node import anvil
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.transactions import Sender
from ddcai.errors import ChainError, ChainUnreachable

# Tests of the program itself run where it is installed; the list says so where it is not.
INSTALLED = [path for path in [find_anvil()] if path is not None]


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(anvil, "_IN_CHECKOUT", tmp_path / "none")
    return tmp_path


def _program(folder: Path, script: str) -> None:
    path = folder / "anvil"
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)


def test_not_installed(empty_path: Path) -> None:
    assert find_anvil() is None
    with pytest.raises(ChainError, match="anvil is not installed: run `npm ci`"):
        ManagedAnvil()


def test_found_on_path(empty_path: Path) -> None:
    _program(empty_path, "")
    assert find_anvil() == empty_path / "anvil"


def test_program_that_fails(empty_path: Path) -> None:
    _program(empty_path, "import sys; sys.exit('no such hardfork')")
    with pytest.raises(ChainError, match="anvil ended with code 1: no such hardfork"):
        ManagedAnvil()


def test_port_in_use(empty_path: Path) -> None:
    _program(empty_path, "")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ChainError, match=f"port {port} on 127.0.0.1 cannot be used"):
            ManagedAnvil(port=port)


STATES = ["state.json"] if INSTALLED else []


@pytest.mark.parametrize("name", STATES or [None], ids=STATES or ["anvil is not installed"])
def test_state_survives_in_a_file(tmp_path: Path, name: str | None) -> None:
    if name is None:
        assert find_anvil() is None
        return
    target = "0x" + os.urandom(20).hex()
    with ManagedAnvil(state=tmp_path / name) as first:
        Sender(connect(first.url), dev_accounts()[0]).send(target, b"", 77)
        url = first.url
    with pytest.raises(ChainUnreachable):
        connect(url, timeout_s=1)
    with ManagedAnvil(state=tmp_path / name) as second:
        w3 = connect(second.url, chain_id=31337)
        assert int(request(w3, "eth_getBalance", [target, "latest"]), 16) == 77
