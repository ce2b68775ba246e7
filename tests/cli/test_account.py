"""`ddcai account`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ddcai.attestation import BlsSecretKey
from ddcai.chain.accounts import load_account
from ddcai.chain.node.connection import connect, request
from tests.cli.conftest import Ddcai, assert_refused

STRANGER = "0x00000000000000000000000000000000000000A1"


def test_new_writes_two_files_that_the_password_opens(
    ddcai: Ddcai, password: Path, tmp_path: Path
) -> None:
    answer = ddcai(
        "account", "new", "--out", tmp_path / "keys", "--password-file", password,
        "--light-kdf", "--format", "json",
    )  # fmt: skip
    assert answer.code == 0
    made = answer.json
    assert load_account(made["keystore"], "open sesame").address == made["address"]
    key = BlsSecretKey.load(made["bls_key"], "open sesame")
    assert made["bls_pubkey"] == "0x" + key.pubkey.hex()
    for path in (made["keystore"], made["bls_key"]):
        assert Path(path).stat().st_mode & 0o777 == 0o600


def test_new_prints_no_secret(ddcai: Ddcai, password: Path, tmp_path: Path) -> None:
    answer = ddcai("account", "new", "--out", tmp_path, "--password-file", password, "--light-kdf")
    [keystore] = tmp_path.glob("UTC--*")
    secret = bytes(load_account(keystore, "open sesame").key).hex()
    assert secret not in answer.stdout + answer.stderr
    assert "open sesame" not in answer.stdout + answer.stderr


def test_new_refuses_an_empty_password_and_writes_nothing(ddcai: Ddcai, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    answer = ddcai("account", "new", "--out", tmp_path / "keys", "--password-file", empty)
    assert_refused(answer, str(empty), "empty")
    assert not (tmp_path / "keys").exists()


def test_new_refuses_a_password_file_that_is_not_there(ddcai: Ddcai, tmp_path: Path) -> None:
    answer = ddcai("account", "new", "--out", tmp_path, "--password-file", tmp_path / "none")
    assert_refused(answer, str(tmp_path / "none"))


def test_fund_sends_on_a_play_chain(ddcai: Ddcai, chain_url: str) -> None:
    before = int(request(connect(chain_url), "eth_getBalance", [STRANGER, "latest"]), 16)
    answer = ddcai(
        "account", "fund", STRANGER, "--ether", "0.5", "--rpc-url", chain_url, "--format", "json"
    )
    assert answer.code == 0
    assert answer.json["balance_wei"] == before + 5 * 10**17


@pytest.mark.parametrize("amount", ["0", "-1", "nan", "1e-19", "much", "inf"])
def test_fund_refuses_what_is_no_amount(ddcai: Ddcai, chain_url: str, amount: str) -> None:
    answer = ddcai("account", "fund", STRANGER, f"--ether={amount}", "--rpc-url", chain_url)
    assert_refused(answer, repr(amount))


def test_fund_refuses_what_is_no_address(ddcai: Ddcai, chain_url: str) -> None:
    answer = ddcai("account", "fund", "0x12", "--rpc-url", chain_url)
    assert_refused(answer, "0x12", "40 hex digits")


class _Mainnet(BaseHTTPRequestHandler):
    """Answers every request as a node of chain 1 answers eth_chainId."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def mainnet() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Mainnet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_fund_refuses_any_other_chain(ddcai: Ddcai, mainnet: str) -> None:
    answer = ddcai("account", "fund", STRANGER, "--rpc-url", mainnet)
    assert_refused(answer, "chain 1", "31337")
