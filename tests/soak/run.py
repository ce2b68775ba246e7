"""The soak itself: rounds until so many are over or the time is up, then peace, and the books."""

from __future__ import annotations

import itertools
import json
import logging
import random
import tempfile
import time
from collections import Counter
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from flwr.supercore.task_identity import TaskIdentity
from typer.testing import CliRunner

from ddcai import errors
from ddcai.chain.node.anvil import find_anvil
from ddcai.chain.records import RoundState
from ddcai.cli.app import app
from ddcai.configuration import Encryption
from ddcai.errors import DdcaiError
from ddcai.flower import EncryptedFedAvg, messages, roster, strategy, training, waiting
from ddcai.rounds.contributor import Contributor
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party, Settings, attestation_key, state_folder
from tests.crashing import start
from tests.endpoint import Endpoint
from tests.federation import SmallFederation, make_federation, play_chain, small_config
from tests.flower.crashing import PipeGrid, from_bytes, to_bytes
from tests.soak.misfortunes import Blobs, Disk, Misfortunes
from tests.soak.parties import Node, Replies

log = logging.getLogger("tests.soak")

SUBMIT_PERIOD_S, FINALIZE_PERIOD_S = 20, 60
# A round that takes longer than all its deadlines together hangs.
HANGS_S = 4 * (SUBMIT_PERIOD_S + FINALIZE_PERIOD_S)


def coordinate(settings: Settings, pipe: Connection, rounds: int) -> None:
    """The coordinator's process. It looks more often than an operator's, since nobody waits so
    long here."""
    training.LOOK_S = roster._ASK_AGAIN_S = 1.0
    waiting.POLL_S = training.POLL_S = strategy._POLL_S = roster._POLL_S = 0.1
    try:
        coordinator = Coordinator(Party.connect(settings, patience_s=60))
        EncryptedFedAvg(coordinator, join_timeout_s=30).start(PipeGrid(pipe), num_rounds=rounds)
    except DdcaiError as error:
        pipe.send(("failed", f"{type(error).__name__}: {error}"))


class Soak:
    """One federation and its misfortunes.

    Args:
        federation: directly on its chain; its parties reach it through ``endpoint``.
        disks: by what is on them, mounted already; none where they cannot be.
    """

    def __init__(
        self,
        federation: SmallFederation,
        endpoint: Endpoint,
        disks: dict[str, Disk],
        folder: Path,
        seed: int,
    ) -> None:
        self.federation, self._endpoint = federation, endpoint
        self._states = folder / "states"
        self._coordinator = self._own("coordinator", federation.trial.coordinator)
        self._process: ForkServerProcess | None = None
        self.ended: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.unexpected: list[str] = []
        numbers, dice = itertools.count(1), random.Random(seed + 1)

        def node(kind: str, name: str, settings: Settings) -> Node:
            return Node(
                kind,
                self._own(name, settings),
                lambda: self.misfortunes.point(),
                lambda fault: self.misfortunes.died(kind, fault, not fault),
                numbers,
                dice,
            )

        self.nodes = [
            *(node("contributor", *one) for one in federation.trial.contributors.items()),
            *(node("key holder", *one) for one in federation.trial.key_holders.items()),
        ]
        store = Path(federation.trial.coordinator.store)
        self.misfortunes = Misfortunes(
            seed,
            federation.url,
            endpoint,
            Blobs(store, folder / "copies", random.Random(seed + 2)),
            disks,
            self.nodes,
            self._kill_coordinator,
            find_anvil() is not None,
        )
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 0, 0
        self._replies = Replies(self.nodes)

    def _own(self, name: str, settings: Settings) -> Settings:
        return replace(settings, rpc_url=self._endpoint.url, state=str(self._states / name))

    def run(self, rounds: int, seconds: float) -> None:
        """Rounds among misfortunes, then, in peace, the end of the one that is under way."""
        for node in self.nodes:
            node.begin(self._replies)
        self.misfortunes.begin()
        until = time.monotonic() + seconds
        while self._unfinished(rounds) and time.monotonic() < until:
            self._start(rounds, self.misfortunes.point(), until)
        self.misfortunes.stop()
        last = self.federation.contract.last_round()
        for _ in range(3):
            if self._start(max(1, last), "", time.monotonic() + HANGS_S) == "done":
                break
        for node in self.nodes:
            node.stop()

    def _unfinished(self, rounds: int) -> bool:
        last = self.federation.contract.last_round()
        return last < rounds or not self.federation.contract.round(last).settled

    def _kill_coordinator(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _start(self, rounds: int, fault: str, until: float) -> str:
        """One process of the coordinator, from start to end; how it ended."""
        here, there = Pipe()
        self._process = start(coordinate, fault, self._coordinator, there, rounds)
        there.close()
        how = self._serve(here, until)
        self._process.join(timeout=60)
        code = self._process.exitcode
        if how == "":
            how = {0: "done", -9: "killed"}.get(code, f"exit code {code}")
            if code not in (0, -9):
                self.unexpected.append(f"the coordinator ended with {code}")
        if how == "killed":
            self.misfortunes.died("coordinator", fault, not fault)
        self.ended[how.partition(":")[0]] += 1
        log.warning("the coordinator: %s", how)
        return how

    def _serve(self, pipe: Connection, until: float) -> str:
        """Answers a `PipeGrid` until its process is gone; the error that it ended by."""
        how, seen, since = "", (0, RoundState.NONE), time.monotonic()
        while True:
            try:
                while not pipe.poll(1.0):
                    pass
                what, about = pipe.recv()
            except (EOFError, ConnectionResetError):
                return how
            now = time.monotonic()
            if now >= until:
                self._kill_coordinator()
            if what == "failed":
                how = str(about)
                continue
            answer: Any
            if what == "nodes":
                answer = self._replies.get_node_ids()
                contract = self.federation.contract
                stands = (contract.last_round(), contract.round(contract.last_round()).state)
                if stands != seen:
                    seen, since = stands, now
                elif now - since > HANGS_S:
                    self.unexpected.append(f"round {stands[0]} hangs: {stands[1].name}")
                    self._kill_coordinator()
            elif what == "push":
                answer = self._replies.push_messages([from_bytes(one) for one in about])
            else:
                found = self._replies.pull_messages(about)
                for one in found:
                    self._look_at(one)
                answer = [to_bytes(one) for one in found]
            try:
                pipe.send(answer)
            except (BrokenPipeError, ConnectionResetError):
                return how

    def _look_at(self, reply: Any) -> None:
        why = messages.refused(reply)
        if why is None:
            return
        self.refused[why.kind or "died"] += 1
        kind = getattr(errors, why.kind, None) if why.kind else DdcaiError
        if not (isinstance(kind, type) and issubclass(kind, DdcaiError)):
            self.unexpected.append(f"a node's answer was {why}")

    def books(self) -> dict[str, Any]:
        """Everybody takes back what is its own; what is left, and what the audit says."""
        for name, settings in self.federation.trial.contributors.items():
            own = replace(settings, state=str(self._states / name))
            party = Party.connect(own)
            key, folder = attestation_key(own, party), state_folder(own, party)
            Contributor(party, key, folder).settle()
        contract = self.federation.contract
        chosen = ["--contract", contract.address, "--rpc-url", self.federation.url]
        store = ["--store", self.federation.trial.coordinator.store]
        command = ["audit", "verify", *chosen, *store, "--format", "json"]
        result = CliRunner().invoke(app, command)
        claims = json.loads(result.stdout)
        states = Counter(
            contract.round(number).state.name.lower()
            for number in range(1, contract.last_round() + 1)
        )
        listed = [
            len(contract.round(number).sealed) for number in range(1, contract.last_round() + 1)
        ]
        return {
            "rounds": dict(states),
            "updates_in_sums": sum(listed),
            "audit_exit_code": result.exit_code,
            "claims": Counter(claim["status"] for claim in claims),
            "failed_claims": [claim for claim in claims if claim["status"] != "PASS"],
            "left_with_the_contract_wei": contract.balance(),
        }


def soak(rounds: int, seconds: float, seed: int, *, disks: bool) -> dict[str, Any]:
    """Runs it in a new folder; the report.

    Args:
        disks: whether this process may mount file systems.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ddcai-soak-") as name, play_chain() as chain:
        folder = Path(name)
        mounted = {}
        if disks:
            mounted["store"] = Disk(folder / "federation" / "blobs")
            mounted["states"] = Disk(folder / "states")
        encryption = Encryption(parameter_set="bfv-8192-3x20", max_contributors=8)
        endpoint = Endpoint(chain.url)
        with (
            make_federation(
                folder / "federation",
                url=chain.url,
                config=small_config(encryption=encryption),
                holders=(2, 3),
                min_contributors=2,
                submit_period_s=SUBMIT_PERIOD_S,
                finalize_period_s=FINALIZE_PERIOD_S,
            ) as federation,
            endpoint.serving(),
        ):
            one = Soak(federation, endpoint, mounted, folder, seed)
            one.run(rounds, seconds)
            report = {
                "seed": seed,
                "seconds": round(time.monotonic() - began, 1),
                **one.books(),
                "faults": dict(sorted(one.misfortunes.done.items())),
                "disks_are_mounted": disks,
                "coordinator_ended": dict(one.ended),
                "nodes_refused": dict(one.refused),
                "unexpected": one.unexpected,
            }
        for disk in mounted.values():
            disk.unmount()
    return report
