from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlparse

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from ddcai.chain.node.embedded import CHAIN_ID, EmbeddedChain, serve
from ddcai.chain.node.evm import EvmChain
from ddcai.chain.node.methods import Methods
from ddcai.chain.node.server import MAX_BATCH, MAX_BODY_BYTES, answer
from ddcai.errors import ChainError

METHODS = Methods(EvmChain())


def _post(chain: EmbeddedChain, body: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(chain.url, data=data, timeout=30).json()


def _ask(method: str, *params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}


def test_request(chain: EmbeddedChain) -> None:
    expected = {"jsonrpc": "2.0", "id": 7, "result": hex(CHAIN_ID)}
    assert _post(chain, _ask("eth_chainId")) == expected
    without_params = {"jsonrpc": "2.0", "id": 7, "method": "eth_chainId"}
    assert _post(chain, without_params) == expected
    assert _post(chain, _ask("web3_clientVersion"))["result"].startswith("ddcai-embedded/")


def test_batch(chain: EmbeddedChain) -> None:
    first, second, third = _post(chain, [_ask("net_version"), 5, _ask("eth_nonsense")])
    assert first["result"] == str(CHAIN_ID)
    assert second["error"]["code"] == -32600
    assert third["error"]["code"] == -32601


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"\xff", -32700),
        (b"{", -32700),
        (b"[" * 200_000, -32700),
        (b"[]", -32600),
        (json.dumps([1] * (MAX_BATCH + 1)).encode(), -32600),
        (b"5", -32600),
        (b"{}", -32600),
        (b'{"method": 5}', -32600),
        (b'{"method": "eth_chainId", "params": {"a": 1}}', -32602),
        (b'{"method": "eth_chainId", "params": [1]}', -32602),
        (b'{"method": "eth_getBalance", "params": []}', -32602),
        (b'{"method": "eth_getBalance", "params": ["0x12"]}', -32602),
        (b'{"method": "eth_getBalance", "params": [5]}', -32602),
        (b'{"method": "eth_call", "params": [[]]}', -32602),
        (b'{"method": "eth_call", "params": [{"value": "-1"}]}', -32602),
        (b'{"method": "eth_getLogs", "params": [null]}', -32602),
        (b'{"method": "eth_getLogs", "params": [{"topics": ["0x12"]}]}', -32602),
        (b'{"method": "eth_getBlockByNumber", "params": ["newest"]}', -32602),
        (b'{"method": "eth_feeHistory", "params": ["0x0", "latest"]}', -32602),
        (b'{"method": "eth_sendRawTransaction", "params": ["0x"]}', -32602),
        (b'{"method": "eth_sendRawTransaction", "params": ["0x02c0"]}', -32602),
        (b'{"method": "evm_increaseTime", "params": [-1]}', -32602),
        (b'{"method": "eth_call", "params": [{}, "0xffff"]}', -32000),
    ],
)
def test_bad_requests(chain: EmbeddedChain, body: bytes, code: int) -> None:
    assert _post(chain, body)["error"]["code"] == code
    assert _post(chain, _ask("eth_chainId"))["result"] == hex(CHAIN_ID)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["0x", "0x1", "latest"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(METHODS._methods)), st.lists(JSON, max_size=3))
def test_any_params_get_an_answer(method: str, params: list[Any]) -> None:
    asked = {"id": 1, "method": method, "params": params}
    told = json.loads(answer(METHODS, json.dumps(asked).encode()))
    assert told["id"] == 1
    assert ("result" in told) != ("error" in told)
    if "error" in told:
        assert told["error"]["code"] != -32603, told


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": str(MAX_BODY_BYTES + 1)}, 413),
        ({"Content-Length": "9" * 5_000}, 411),
        ({"Content-Length": "-5"}, 411),
        ({"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_bodies_that_are_not_read(
    chain: EmbeddedChain, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection(urlparse(chain.url).netloc, timeout=10)
    connection.putrequest("POST", "/")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == status
    connection.close()


def test_get_says_what_this_is(chain: EmbeddedChain) -> None:
    found = requests.get(chain.url, timeout=10)
    assert (found.status_code, found.text) == (405, "this is a JSON-RPC endpoint: use POST\n")


def test_client_that_hangs_up_does_no_harm(chain: EmbeddedChain) -> None:
    address = urlparse(chain.url)
    with socket.create_connection((address.hostname, address.port)) as half:
        half.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
    assert _post(chain, _ask("eth_chainId"))["result"] == hex(CHAIN_ID)


def test_port_in_use(chain: EmbeddedChain) -> None:
    port = urlparse(chain.url).port
    assert port is not None
    with pytest.raises(ChainError, match=f"port {port} on 127.0.0.1 is in use"):
        EmbeddedChain(port=port)


def test_host_of_another_machine() -> None:
    with pytest.raises(ChainError, match=r"cannot listen on 192\.0\.2\.1:0"):
        EmbeddedChain("192.0.2.1")


def test_only_this_machine_is_served_by_default(chain: EmbeddedChain) -> None:
    assert urlparse(chain.url).hostname == "127.0.0.1"


def test_closing_frees_the_port() -> None:
    with EmbeddedChain() as first:
        port = urlparse(first.url).port
        requests.post(first.url, json=_ask("eth_chainId"), timeout=10)
    assert port is not None
    with EmbeddedChain(port=port) as second:
        assert _post(second, _ask("eth_blockNumber"))["result"] == "0x0"


def test_serve_says_when_it_is_ready() -> None:
    class Enough(Exception):
        pass

    seen: list[str] = []

    def ready(url: str) -> None:
        seen.append(requests.post(url, json=_ask("eth_chainId"), timeout=10).json()["result"])
        raise Enough

    with pytest.raises(Enough):
        serve(port=0, ready=ready)
    assert seen == [hex(CHAIN_ID)]
