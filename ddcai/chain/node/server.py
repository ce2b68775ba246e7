"""The embedded chain over HTTP: JSON-RPC for several processes, answered by one thread.

py-evm belongs to one thread. Connections each have a thread that only reads and writes; all
requests go through one worker, which owns the chain. Bound to 127.0.0.1 unless told otherwise:
everybody who can reach the port can move its clock, and the development keys are public.
"""

from __future__ import annotations

import errno
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from ddcai import strict_json
from ddcai.chain.node.evm import EvmChain
from ddcai.chain.node.methods import Methods
from ddcai.chain.node.rpc_error import RpcError
from ddcai.errors import ChainError

MAX_BODY_BYTES = 16 * 2**20
MAX_BATCH = 1_000
LOCALHOST = "127.0.0.1"

_log = logging.getLogger(__name__)


class EmbeddedChain:
    """An in-memory chain and its JSON-RPC endpoint, both in this process.

    Use as a context manager; ``url`` is the endpoint. Nothing is kept when it closes: for a
    chain that survives its process use anvil with a state file, or a real node.
    """

    def __init__(
        self, host: str = LOCALHOST, port: int = 0, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Binds and starts serving.

        Args:
            host: interface to listen on.
            port: 0 for any free one.
            clock: what the chain takes for the time, in unix seconds; a simulation brings its own.

        Raises:
            ChainError: the port is taken or the host is not one of this machine.
        """
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            raise ChainError(_bind_message(host, port, error)) from error
        # The chain is made on the thread that will own it.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ddcai-chain")
        self._methods = self._worker.submit(lambda: Methods(EvmChain(clock))).result()
        self._server.answer = self._answer
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        bound_host, bound_port = self._server.server_address[:2]
        shown = f"[{bound_host!s}]" if ":" in str(bound_host) else str(bound_host)
        self.url = f"http://{shown}:{bound_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops serving; the chain is gone."""
        self._server.shutdown()
        self._server.server_close()
        self._worker.shutdown(wait=True)
        self._thread.join()

    def wait(self) -> None:
        """Blocks until the server stops."""
        self._thread.join()

    def _answer(self, body: bytes) -> bytes:
        return self._worker.submit(answer, self._methods, body).result()


def answer(methods: Methods, body: bytes) -> bytes:
    """The response to one HTTP body: a request or a batch of them, as JSON-RPC 2.0 has it."""
    try:
        request = strict_json.loads(body)
    except ValueError:
        return _encode(_failure(None, RpcError(-32700, "parse error: the body is not JSON")))
    if isinstance(request, list):
        if not 0 < len(request) <= MAX_BATCH:
            problem = RpcError(-32600, f"a batch holds 1 to {MAX_BATCH} requests")
            return _encode(_failure(None, problem))
        return _encode([_respond(methods, one) for one in request])
    return _encode(_respond(methods, request))


def _respond(methods: Methods, request: Any) -> dict[str, Any]:
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _failure(None, RpcError(-32600, "not a JSON-RPC request"))
    identity = request.get("id")
    try:
        result = methods.handle(request["method"], request.get("params") or [])
    except RpcError as error:
        return _failure(identity, error)
    except Exception as error:  # a fault of this server must not take the chain down
        _log.exception("%s failed", request["method"])
        return _failure(identity, RpcError(-32603, f"internal error: {type(error).__name__}"))
    return {"jsonrpc": "2.0", "id": identity, "result": result}


def _failure(identity: Any, error: RpcError) -> dict[str, Any]:
    told: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        told["data"] = error.data
    return {"jsonrpc": "2.0", "id": identity, "error": told}


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _bind_message(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what holds it or choose another port"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} may not be opened by this user: choose one above 1023"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    answer: Any

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up half-way is not worth a stack trace on stderr."""
        _log.debug("connection from %s ended", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one segment, or each answer waits 40 ms for a delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isdecimal() and len(length) <= 18):
            self._reply(411, b"give a Content-Length\n")
        elif int(length) > MAX_BODY_BYTES:
            self._reply(413, f"a body has at most {MAX_BODY_BYTES} bytes\n".encode())
        else:
            self._reply(200, self.server.answer(self.rfile.read(int(length))))

    def do_GET(self) -> None:
        self._reply(405, b"this is a JSON-RPC endpoint: use POST\n")

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        kind = "application/json" if status == 200 else "text/plain"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status != 200:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged."""
