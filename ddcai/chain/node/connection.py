"""Connecting to a JSON-RPC endpoint, and asking it: every failure becomes an error of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import requests
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from ddcai.chain.node.patience import PatientProvider
from ddcai.errors import ChainError, ChainUnreachable, WrongChain

# What rooms that do not know web3 call what `connect` gives them.
Connection: TypeAlias = Web3

DEFAULT_TIMEOUT_S = 10.0
# The embedded chain answers one at a time, and without arkworks a BLS check takes seconds.
READ_TIMEOUT_S = 120.0
# What public endpoints commonly take in one batch.
BATCH_REQUESTS = 100


class RpcFailure(ChainError):
    """The endpoint answered with a JSON-RPC error.

    Attributes:
        code: the JSON-RPC error code; 3 is geth's for a revert.
        data: the error's data; for a revert, hex of what the contract returned.
    """

    def __init__(self, method: str, code: int, message: str, data: Any) -> None:
        super().__init__(f"{method}: the node refused: {message} (code {code})")
        self.code = code
        self.reason = message
        self.data = data


def connect(
    rpc_url: str,
    *,
    chain_id: int | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    patience_s: float = 0.0,
) -> Web3:
    """A connection to a node, proven to answer.

    Args:
        rpc_url: http or https endpoint.
        chain_id: the chain expected there; None accepts any.
        timeout_s: for opening a connection. An answer may take 120 s: the embedded chain works
            through requests one by one.
        patience_s: for how long an endpoint is asked again that does not answer, once it did.

    Raises:
        ChainUnreachable: no JSON-RPC answer from there.
        WrongChain: another chain answers.
    """
    if not rpc_url.startswith(("http://", "https://")):
        raise ChainUnreachable(
            f"RPC URL {masked(rpc_url)!r} is not http or https: give one such as "
            "http://127.0.0.1:8545 (--rpc-url or ETH_RPC_URL)"
        )
    provider = PatientProvider(
        rpc_url,
        request_kwargs={"timeout": (timeout_s, READ_TIMEOUT_S)},
        # Retrying is for the caller to decide: it knows what is safe to send twice.
        exception_retry_configuration=None,
    )
    w3 = Web3(provider)
    found = int(request(w3, "eth_chainId", []), 16)
    if chain_id is not None and found != chain_id:
        raise WrongChain(
            f"{masked(rpc_url)} serves chain {found}, expected {chain_id}: give the endpoint of "
            f"chain {chain_id}, or the deployment file of chain {found}"
        )
    provider.patience_s = patience_s
    return w3


def mines_on_request(w3: Web3) -> bool:
    """Whether a trial chain answers (embedded, anvil), whose blocks can be asked for."""
    try:
        version = str(request(w3, "web3_clientVersion", []))
    except RpcFailure:
        return False
    return version.startswith(("ddcai-embedded/", "anvil/"))


def masked(rpc_url: str) -> str:
    """The URL without what may be a secret: credentials, long path parts, the query."""
    shown = re.sub(r"//[^/@]*@", "//***@", rpc_url)
    shown = re.sub(r"\?.*$", "?***", shown)
    return re.sub(r"/[A-Za-z0-9_-]{20,}", "/***", shown)


def _url(w3: Web3) -> str:
    return masked(str(getattr(w3.provider, "endpoint_uri", "the endpoint")))


def _unreachable(w3: Web3, error: Exception) -> ChainUnreachable:
    response = getattr(error, "response", None)
    status = "" if response is None else f" {response.status_code}"
    return ChainUnreachable(
        f"no JSON-RPC answer from {_url(w3)} ({type(error).__name__}{status}): is the node "
        "running, and is the URL right (--rpc-url or ETH_RPC_URL)?"
    )


def request(w3: Web3, method: str, params: Sequence[Any]) -> Any:
    """The result of one JSON-RPC request, as the node's JSON has it.

    Raises:
        ChainUnreachable: no answer, or not JSON-RPC.
        RpcFailure: the node answered with an error.
    """
    try:
        response = w3.provider.make_request(RPCEndpoint(method), list(params))
    except (requests.RequestException, OSError, ValueError) as error:
        # Not chained: its text has the whole URL, and URLs of public endpoints hold keys.
        raise _unreachable(w3, error) from None
    return _result(w3, method, response)


def request_many(w3: Web3, requests_: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    """The results of several requests in order, in one round trip where the node takes batches.

    Raises:
        ChainUnreachable, RpcFailure: as `request`, for the first request that fails.
    """
    results: list[Any] = []
    for start in range(0, len(requests_), BATCH_REQUESTS):
        results += _batch(w3, requests_[start : start + BATCH_REQUESTS])
    return results


def _batch(w3: Web3, requests_: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    responses: Any = None
    if len(requests_) > 1 and isinstance(w3.provider, HTTPProvider):
        try:
            responses = w3.provider.make_batch_request(
                [(RPCEndpoint(method), list(params)) for method, params in requests_]
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _unreachable(w3, error) from None
        except (requests.RequestException, ValueError, TypeError, KeyError, AttributeError):
            responses = None  # this endpoint takes no batches, each in its own way
    if not isinstance(responses, list) or len(responses) != len(requests_):
        return [request(w3, method, params) for method, params in requests_]
    return [
        _result(w3, method, response)
        for (method, _), response in zip(requests_, responses, strict=True)
    ]


def _result(w3: Web3, method: str, response: Any) -> Any:
    if not isinstance(response, dict) or ("result" not in response and "error" not in response):
        raise ChainUnreachable(f"{_url(w3)} does not speak JSON-RPC: {method} got no result")
    error = response.get("error")
    if error is None:
        return response.get("result")
    if not isinstance(error, dict):
        raise RpcFailure(method, 0, str(error), None)
    told = cast(dict[str, Any], error)
    raise RpcFailure(
        method, int(told.get("code", 0)), str(told.get("message", "")), told.get("data")
    )
