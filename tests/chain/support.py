"""What the tests of the chain share: a node, a whole federation, and a proxy that plants faults."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import requests
from eth_account.signers.local import LocalAccount
from web3 import Web3

from ddcai.attestation import BlsSecretKey, aggregate, pubkey_to_eip2537, signature_to_eip2537
from ddcai.chain.deploy import Deployment, deploy_federation
from ddcai.chain.federation import Federation
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect, request
from ddcai.chain.node.embedded import EmbeddedChain, dev_accounts
from ddcai.chain.opening import sign_opening
from ddcai.chain.records import Rules
from ddcai.chain.transactions import Receipt, Sender
from ddcai.digests import RoundContext, config_digest, head_digest, result_message

CONFIG = {"task": {"label": "target"}}
DIMENSIONS, CLASSES = 20, 3
WORDS = tuple(range(1, 8))  # 3 classes * 2 words of weights + 1 word of biases
SPONSOR, COORDINATOR, KEY_HOLDER = dev_accounts()[:3]
CONTRIBUTORS = dev_accounts()[3:7]
STRANGER = dev_accounts()[9]


class Node(Protocol):
    url: str


NODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {"embedded": EmbeddedChain}
if find_anvil() is not None:
    NODES["anvil"] = ManagedAnvil
NODE_NAMES = list(NODES)
NODE_IDS = NODE_NAMES if "anvil" in NODES else ["embedded, anvil is not installed"]


def digest() -> bytes:
    return os.urandom(32)


def default_rules(**changes: Any) -> Rules:
    rules = Rules(
        coordinator=COORDINATOR.address,
        key_holder=KEY_HOLDER.address,
        min_contributors=2,
        deposit_wei=10**15 + 1,
        config_digest=config_digest(CONFIG),
        encryption_key_digest=digest(),
    )
    return replace(rules, **changes)


def advance(w3: Web3, seconds: int) -> None:
    """Moves the chain's clock, and mines so that every node's calls see it."""
    request(w3, "evm_increaseTime", [seconds])
    request(w3, "evm_mine", [])


@dataclass
class Scene:
    """A federation with four members, on one node."""

    w3: Web3
    deployment: Deployment
    initial_model: bytes
    keys: tuple[BlsSecretKey, ...]

    def by(self, account: LocalAccount | None) -> Federation:
        sender = None if account is None else Sender(self.w3, account)
        return Federation.connect(self.w3, self.deployment.federation, sender)

    def join(self, account: LocalAccount, key: BlsSecretKey) -> Receipt:
        return self.by(account).register(
            pubkey_to_eip2537(key.pubkey), signature_to_eip2537(key.prove_possession())
        )

    def open(self) -> int:
        coordinator = self.by(COORDINATOR)
        number = coordinator.last_round() + 1
        coordinator.open_round(number, coordinator.model_digest())
        return number

    def submit(self, number: int, *accounts: LocalAccount) -> dict[str, bytes]:
        digests = {account.address: digest() for account in accounts}
        for account in accounts:
            self.by(account).submit_update(number, digests[account.address])
        return digests

    def result(self, number: int, signers: tuple[int, ...], **changes: Any) -> dict[str, Any]:
        """The arguments of finalize_round, honest but for the changes."""
        chain_id, address = self.deployment.chain_id, self.deployment.federation
        sealed_sum = self.by(None).round(number).sum_digest
        opened, model = digest(), digest()
        message = result_message(
            RoundContext(chain_id=chain_id, contract=address, round=number),
            sum_=sealed_sum,
            opened=opened,
            model=model,
            head=head_digest(WORDS),
        )
        signature = aggregate([self.keys[index].sign(message) for index in signers])
        honest = {
            "opened_digest": opened,
            "model_digest": model,
            "opening_signature": sign_opening(
                KEY_HOLDER, chain_id, address, number, sealed_sum, opened
            ),
            "head_words": WORDS,
            "signer_indices": signers,
            "signature": signature_to_eip2537(signature),
        }
        return {**honest, **changes}


def deploy(w3: Web3, **changes: Any) -> tuple[Deployment, bytes]:
    initial = digest()
    invited = [account.address for account in CONTRIBUTORS]
    rules = default_rules(**changes)
    words = [0] * len(WORDS)
    deployment = deploy_federation(
        w3, SPONSOR, rules, DIMENSIONS, CLASSES, words, initial, invited, config=CONFIG
    )
    return deployment, initial


def stage(w3: Web3, **changes: Any) -> Scene:
    """A new federation on this node, with all contributors as members."""
    deployment, initial = deploy(w3, **changes)
    scene = Scene(w3, deployment, initial, tuple(BlsSecretKey.generate() for _ in CONTRIBUTORS))
    for account, key in zip(CONTRIBUTORS, scene.keys, strict=True):
        scene.join(account, key)
    return scene


# A request's method and params, and the way on to the node; returns the response's JSON, or None
# to hang up without one.
Fault = Callable[[dict[str, Any], Callable[[], Any]], Any]


@contextmanager
def faulty(url: str, fault: Fault) -> Iterator[Web3]:
    """A connection through a real HTTP proxy that does `fault` to every request; no batches."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: the second would wait 40 ms for the first's

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = json.loads(body)
            if isinstance(asked, list):
                answer: Any = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600}}
            else:
                answer = fault(
                    asked,
                    lambda: requests.post(
                        url, data=body, headers={"Content-Type": "application/json"}, timeout=30
                    ).json(),
                )
            if answer is None:
                self.close_connection = True
                return
            raw = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield connect(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def refusal(asked: dict[str, Any], message: str, code: int = -32000) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": code, "message": message}}


def reply(asked: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": asked["id"], "result": result}
