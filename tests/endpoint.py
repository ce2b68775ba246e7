"""A proxy before a chain's endpoint: away, overloaded, slow or behind when it is told to be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

AWAY, ERRORS, SLOW, BEHIND = "away", "errors", "slow", "behind"
SLOW_S = 0.2
# Where a request names the block that it is about.
_BLOCK = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getBlockByNumber": 0,
    "eth_getCode": 1,
    "eth_getStorageAt": 2,
    "eth_getTransactionCount": 1,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of a request is none of ours."""


class Endpoint:
    """One chain through one proxy.

    Attributes:
        url: the proxy's.
        trouble: None, or one of the four above. BEHIND: what its answers are of is as old as
            when that was set; what is sent is mined all the same.
    """

    def __init__(self, behind_it: str) -> None:
        self._chain = behind_it
        self._trouble: str | None = None
        self._last_block = 0
        self.troubled = 0
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: the second would wait 40 ms for the first

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = endpoint._answer(json.loads(body))
                if answer is None:
                    self.close_connection = True
                    return
                raw = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def trouble(self) -> str | None:
        return self._trouble

    @trouble.setter
    def trouble(self, what: str | None) -> None:
        if what == BEHIND:
            asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
            self._last_block = int(self._ask(asked)["result"], 16)
        self._trouble = what

    @contextmanager
    def serving(self) -> Iterator[Endpoint]:
        """Answers in a thread."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _answer(self, asked: Any) -> tuple[int, Any]:
        trouble = self._trouble
        if trouble is not None:
            self.troubled += 1
        if trouble == AWAY:
            return 0, None
        if trouble == ERRORS:
            return 503, {}
        if trouble == SLOW:
            time.sleep(SLOW_S)
        if trouble != BEHIND:
            return 200, self._ask(asked)
        if isinstance(asked, list):
            return 200, [self._old(one) for one in asked]
        return 200, self._old(asked)

    def _ask(self, asked: Any) -> Any:
        return requests.post(self._chain, json=asked, timeout=30).json()

    def _old(self, asked: dict[str, Any]) -> Any:
        """What it knew: nothing of blocks since, or of transactions in them."""
        method, given, last = asked["method"], list(asked.get("params") or []), self._last_block
        if method == "eth_blockNumber":
            return {"jsonrpc": "2.0", "id": asked["id"], "result": hex(last)}
        if method in _BLOCK:
            at = _BLOCK[method]
            given += ["latest"] * (at + 1 - len(given))
            if given[at] in ("latest", "pending"):
                given[at] = hex(last)
        if method == "eth_getLogs" and int(_number(given[0].get("toBlock"), last), 16) >= last:
            given[0] = {**given[0], "toBlock": hex(last)}
        answer = self._ask({**asked, "params": given})
        found = answer.get("result")
        block = found.get("blockNumber") or found.get("number") if isinstance(found, dict) else None
        if block is not None and int(block, 16) > last:
            answer["result"] = None
        return answer


def _number(block: Any, last: int) -> str:
    return hex(last) if block in (None, "latest", "pending", "safe", "finalized") else str(block)
