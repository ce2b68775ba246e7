"""What the audit's index costs: a full sync of many events from anvil, and every question after it.

    python benchmarks/audit_index.py [--json FILE] [--events 100000]
    python benchmarks/audit_index.py [--json FILE] --rpc-url URL --contract ADDRESS [--from-block N]

A federation of six members on a real anvil process goes through rounds until it has that many
events: opened, six updates, sealed, finalised with a quorum's real signatures (ECDSA), settled;
every tenth is cancelled. Then a process of its own syncs an empty index, and another asks each
question of the ledger five times and keeps the best. Memory is the peak resident size of these
processes, with all that they import.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount
from rich.console import Console
from rich.table import Table

from ddcai.audit import Ledger
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.chain import artifact
from ddcai.chain.contract import Contract
from ddcai.chain.deploy import Deployment, deploy_federation
from ddcai.chain.federation import Federation
from ddcai.chain.node.anvil import ManagedAnvil
from ddcai.chain.node.connection import connect, request, request_many
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.opening import sign_opening
from ddcai.chain.records import Rules, bitmap
from ddcai.chain.transactions import Sender
from ddcai.digests import RoundContext, config_digest, head_digest, result_message
from ddcai.quorum import EcdsaKey, EcdsaScheme

REPEATS = 5
SPONSOR, COORDINATOR, KEY_HOLDER, *OTHERS = dev_accounts()
MEMBERS = OTHERS[:6]
ROUNDS_AT_ONCE = 20
CONFIG = {"task": {"label": "target"}}
DIMENSIONS, CLASSES, WORDS = 20, 3, tuple(range(1, 8))
DEPOSIT_WEI = 10**12
CANCEL_EVERY = 10
TIP_WEI, MAX_FEE_WEI = 10**9, 10**12


class Rounds:
    """Sends rounds to anvil, unsigned and a block at a time; nothing waits for a receipt.

    Args:
        url: of an anvil process.
        members: contributors, with ether.
    """

    def __init__(self, url: str, members: Sequence[LocalAccount] = MEMBERS) -> None:
        self._w3, self._members = connect(url), members
        self._model = os.urandom(32)
        rules = Rules(
            coordinator=COORDINATOR.address,
            key_holder=KEY_HOLDER.address,
            min_contributors=2,
            deposit_wei=DEPOSIT_WEI,
            config_digest=config_digest(CONFIG),
            encryption_key_digest=os.urandom(32),
        )
        self.deployment: Deployment = deploy_federation(
            self._w3,
            SPONSOR,
            rules,
            DIMENSIONS,
            CLASSES,
            [0] * len(WORDS),
            self._model,
            [one.address for one in members],
            config=CONFIG,
            quorum_scheme="ecdsa",
        )
        self.address = self.deployment.federation
        self._contract = Contract(self._w3, self.address, artifact.load("Federation"))
        read = Federation.connect(self._w3, self.address)
        self._scheme = EcdsaScheme(read.chain_id, read.quorum_address())
        self._keys = [EcdsaKey(one, self._scheme) for one in members]
        for account, key in zip(members, self._keys, strict=True):
            mine = Federation.connect(self._w3, self.address, Sender(self._w3, account))
            mine.register(key.registered, key.prove(account.address))
        self._chain_id, self._number = read.chain_id, 0
        self._nonces = {
            one.address: int(
                request(self._w3, "eth_getTransactionCount", [one.address, "latest"]), 16
            )
            for one in (COORDINATOR, *members)
        }
        self._requests: list[tuple[str, list[Any]]] = []
        request(self._w3, "anvil_autoImpersonateAccount", [True])
        request(self._w3, "evm_setAutomine", [False])

    def add(self) -> None:
        """The next rounds, and their settling."""
        first = self._number + 1
        for _ in range(ROUNDS_AT_ONCE):
            self._round()
        numbers = list(range(first, self._number + 1))
        for account in self._members:
            self._send(account.address, "refund", numbers, gas=3_000_000)
        self._mine()

    def check(self) -> None:
        """That every transaction did what it was sent for."""
        read = Federation.connect(self._w3, self.address)
        held = read.balance()
        if read.last_round() != self._number or read.model_digest() != self._model or held:
            raise SystemExit("a transaction was refused: nothing was measured")

    def _round(self) -> None:
        self._number += 1
        number = self._number
        self._send(COORDINATOR.address, "openRound", number, self._model, tip=3)
        for account in self._members:
            update = os.urandom(32)
            self._send(account.address, "submitUpdate", number, update, value=DEPOSIT_WEI, tip=2)
        if number % CANCEL_EVERY == 0:
            self._send(COORDINATOR.address, "cancelRound", number)
            self._mine()
            return
        sealed, opened, model = os.urandom(32), os.urandom(32), os.urandom(32)
        everybody = list(range(len(self._members)))
        self._send(COORDINATOR.address, "sealRound", number, sealed, bitmap(everybody))
        message = result_message(
            RoundContext(chain_id=self._chain_id, contract=self.address, round=number),
            sum_=sealed,
            opened=opened,
            model=model,
            head=head_digest(WORDS),
        )
        signers = everybody[: -(-2 * len(everybody) // 3)]
        self._send(
            COORDINATOR.address,
            "finalizeRound",
            number,
            (opened, model),
            sign_opening(KEY_HOLDER, self._chain_id, self.address, number, sealed, opened),
            list(WORDS),
            bitmap(signers),
            self._scheme.combine({one: self._keys[one].sign(message) for one in signers}),
        )
        self._mine()
        self._model = model

    def _send(
        self,
        sender: str,
        name: str,
        *arguments: Any,
        value: int = 0,
        gas: int = 800_000,
        tip: int = 1,
    ) -> None:
        """Into the next block: before those of a smaller tip, an account's own in their order."""
        sent = {
            "from": sender,
            "to": self.address,
            "data": "0x" + self._contract.encode(name, arguments).hex(),
            "value": hex(value),
            "gas": hex(gas),
            "nonce": hex(self._nonces[sender]),
            "maxPriorityFeePerGas": hex(tip * TIP_WEI),
            "maxFeePerGas": hex(MAX_FEE_WEI),
        }
        self._nonces[sender] += 1
        self._requests.append(("eth_sendTransaction", [sent]))

    def _mine(self) -> None:
        """One block with all that was sent: anvil does the requests of a batch side by side."""
        request_many(self._w3, self._requests)
        self._requests.clear()
        request(self._w3, "evm_mine", [])


def sync(url: str, path: Path, federation: str, from_block: int) -> dict[str, Any]:
    """A full sync into an empty file, in this process."""
    started, cpu = time.perf_counter(), time.process_time()
    with Index(path, writable=True) as index:
        done = Sync(index, connect(url), federation, from_block=from_block).run()
    seconds = time.perf_counter() - started
    return {
        "events": done.new_events,
        "blocks": done.last_block,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "events_per_second": round(done.new_events / seconds),
        "file_bytes": path.stat().st_size,
        "peak_memory_mb": _peak_mb(),
    }


def ask(path: Path) -> dict[str, Any]:
    """Each question, milliseconds; the best of some."""
    with Ledger.open(path) as ledger:
        last = ledger.rounds()[-2].number
        member = ledger.attestations(last)[0].account
        since = datetime.fromtimestamp(0, UTC)
        questions: dict[str, Callable[[], Any]] = {
            "rounds": ledger.rounds,
            "round": lambda: ledger.round(last),
            "contributor": lambda: ledger.contributor(member),
            "money": ledger.money,
            "flows": lambda: ledger.flows(member, since, datetime.now(UTC)),
            "model": ledger.model,
            "attestations": ledger.attestations,
            "attestations of a round": lambda: ledger.attestations(last),
            "contributions": ledger.contributions,
            "gas": ledger.gas,
            "claimable": ledger.claimable,
            "anomalies": ledger.anomalies,
            "search": lambda: ledger.search(member),
        }
        found = {}
        for name, question in questions.items():
            times = []
            for _ in range(REPEATS):
                started = time.perf_counter()
                question()
                times.append(time.perf_counter() - started)
            found[name] = round(min(times) * 1000, 1)
    return {"milliseconds": found, "peak_memory_mb": _peak_mb()}


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _alone(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """In a new process, whose peak of memory is the work's own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


@contextmanager
def made(wanted: int, console: Console) -> Iterator[tuple[str, str, int]]:
    """A chain with that many events: its URL, the federation, and the block to begin with."""
    with ManagedAnvil(history=False) as chain:
        started = time.perf_counter()
        rounds, events = Rounds(chain.url), 0
        while events < wanted:
            rounds.add()
            # Of 20 rounds 18 have 16 events and 2 have 14.
            events += ROUNDS_AT_ONCE // CANCEL_EVERY * ((CANCEL_EVERY - 1) * 16 + 14)
        rounds.check()
        console.print(f"{events} events made in {time.perf_counter() - started:.0f} s")
        yield chain.url, rounds.address, rounds.deployment.deployed_block


def measure(url: str, federation: str, from_block: int, console: Console) -> dict[str, Any]:
    """Syncs it and asks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        synced = _alone(sync, url, path, federation, from_block)
        console.print(f"synced: {synced}")
        return {"sync": synced, "questions": _alone(ask, path)}


def main() -> None:
    """Measures, prints, and writes JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rpc-url")
    parser.add_argument("--contract")
    parser.add_argument("--from-block", type=int, default=0)
    given = parser.parse_args()
    if (given.rpc_url is None) != (given.contract is None):
        parser.error("give both --rpc-url and --contract, or neither")
    console = Console(stderr=True)
    there = nullcontext((given.rpc_url, given.contract, given.from_block))
    with made(given.events, console) if given.rpc_url is None else there as chain:
        found = measure(*chain, console)
    table = Table("question", "ms")
    for name, value in found["questions"]["milliseconds"].items():
        table.add_row(name, f"{value:.1f}")
    Console().print(table)
    if given.json is not None:
        record = {
            "command": " ".join(["python", *sys.argv]),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}",
            **found,
        }
        given.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
