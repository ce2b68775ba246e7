from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ddcai.chain.node.connection import connect, masked, request, request_many
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.errors import ChainUnreachable, WrongChain
from tests.chain.support import faulty


@contextmanager
def web_server(status: int, body: bytes) -> Iterator[str]:
    """Something that speaks HTTP, but not JSON-RPC."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_right_chain(chain: EmbeddedChain) -> None:
    assert connect(chain.url, chain_id=31337).eth.chain_id == 31337


def test_another_chain(chain: EmbeddedChain) -> None:
    with pytest.raises(WrongChain, match=r"serves chain 31337, expected 1: give the endpoint"):
        connect(chain.url, chain_id=1)


def test_closed_port() -> None:
    port = _closed_port()
    with pytest.raises(ChainUnreachable, match=rf"no JSON-RPC answer from http://127.0.0.1:{port}"):
        connect(f"http://127.0.0.1:{port}", timeout_s=2)


def test_host_that_does_not_exist() -> None:
    with pytest.raises(ChainUnreachable, match="is the node running"):
        connect("http://no-such-host.invalid:8545", timeout_s=2)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8545", "ws://127.0.0.1:8545", "file:///etc/passwd"])
def test_what_is_no_endpoint(url: str) -> None:
    with pytest.raises(ChainUnreachable, match="is not http or https"):
        connect(url)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>hello</html>", "JSONDecodeError"),
        (200, b"5", "does not speak JSON-RPC"),
        (200, b"{}", "does not speak JSON-RPC"),
        (401, b"no", "HTTPError 401"),
        (503, b"", "HTTPError 503"),
    ],
)
def test_server_of_something_else(status: int, body: bytes, words: str) -> None:
    with web_server(status, body) as url, pytest.raises(ChainUnreachable, match=words):
        connect(url)


def test_node_that_goes_away() -> None:
    with EmbeddedChain() as chain:
        w3 = connect(chain.url)
    with pytest.raises(ChainUnreachable):
        request(w3, "eth_chainId", [])
    with pytest.raises(ChainUnreachable):
        request_many(w3, [("eth_chainId", []), ("eth_blockNumber", [])])


def test_many_requests_with_and_without_batches(chain: EmbeddedChain) -> None:
    asked = [("eth_chainId", []), ("web3_sha3", ["0x"]), ("net_version", [])] * 70
    expected = [
        "0x7a69",
        "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
        "31337",
    ] * 70
    w3 = connect(chain.url)
    assert request_many(w3, asked) == expected
    assert request_many(w3, []) == []
    with faulty(chain.url, lambda _, forward: forward()) as without_batches:
        assert request_many(without_batches, asked[:9]) == expected[:9]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://user:secret@node.example/", "https://***@node.example/"),
        ("https://x.example/v2/abcdefghijklmnopqrstuvwxyz", "https://x.example/v2/***"),
        ("https://x.example/?key=secret", "https://x.example/?***"),
    ],
)
def test_secrets_in_urls_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_no_secret_of_the_url_is_in_an_error() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    with pytest.raises(ChainUnreachable) as caught:
        connect(f"http://127.0.0.1:{_closed_port()}/v3/{secret}", timeout_s=2)
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
