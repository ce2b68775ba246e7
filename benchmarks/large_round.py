"""One round of a large model: each party a process, from encryption to audit.

    python benchmarks/large_round.py [--parameters 10000000] [--contributors 10] [--json FILE]

A federation of 3 of 5 key holders with the compact scheme on a play chain. Every contributor
encrypts and submits what stands for a trained model, the coordinator seals, all key holders are
asked and open, a quorum attests, the coordinator finalises, and an auditor verifies all of it from
chain and blobs. CPU seconds of all that every party does, and apart from that what it takes to
start seventeen of Python's processes and import into them what they need; peak memory of each
(VmHWM). One party works at a time. Fails unless every claim of the audit passes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

CLASSES, FEATURES, INPUTS = 10, 64, 512
THRESHOLD, HOLDERS = 3, 5
SET = "compact-64-3x18"
EXAMPLES = 1000
MODULES = ("ddcai.audit.verify", "ddcai.rounds.contributor", "ddcai.rounds.opener")


class Worker:
    """A party in a process of its own."""

    def __init__(self, name: str, kind: type) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(kind, theirs), daemon=True)
        self._process.start()

    def __call__(self, action: str, *arguments: Any) -> Any:
        self._pipe.send((action, arguments))
        found, error = self._pipe.recv()
        if error:
            raise SystemExit(f"{self.name}, {action}: {error}")
        return found

    def end(self) -> dict[str, Any]:
        """What it cost."""
        cost: dict[str, Any] = self("cost")
        self._pipe.send(None)
        self._process.join()
        return {"party": self.name} | cost


def _serve(kind: type, pipe: Connection) -> None:
    for module in MODULES:
        importlib.import_module(module)
    party = kind()
    seconds: dict[str, float] = {}
    while (asked := pipe.recv()) is not None:
        action, arguments = asked
        try:
            if action == "cost":
                pipe.send((_cost(seconds), ""))
                continue
            started = time.process_time()
            found = getattr(party, action)(*arguments)
            seconds[action] = seconds.get(action, 0.0) + time.process_time() - started
            pipe.send((found, ""))
        except Exception as error:
            pipe.send((None, f"{type(error).__name__}: {error}"))


def _cost(seconds: dict[str, float]) -> dict[str, Any]:
    status = Path("/proc/self/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return {"cpu_s": time.process_time(), "steps_s": seconds, "peak_mb": int(peak) * 1024 / 1e6}


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Founder:
    """Deploys, and holds the ceremony for all key holders."""

    def found(self, folder: str, url: str, parameters: int, contributors: int) -> dict[str, Any]:
        import torch

        from ddcai.configuration import Aggregation, Encryption, FederationConfig, Task
        from ddcai.rounds.trial import set_up

        hidden = max(1, round(parameters / (INPUTS + FEATURES + 1)))
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Linear(INPUTS, hidden),
            torch.nn.Tanh(),
            torch.nn.Linear(hidden, FEATURES),
            torch.nn.Tanh(),
            torch.nn.Linear(FEATURES, CLASSES),
        )
        config = FederationConfig(
            name="large",
            task=Task(label="y", classes=tuple(map(str, range(CLASSES))), dataset="made:up"),
            aggregation=Aggregation(clip_norm=100.0, value_range=0.05, max_examples=EXAMPLES),
            encryption=Encryption(parameter_set=SET, max_contributors=contributors),
        )
        names = [f"site-{number}" for number in range(contributors)]
        made = set_up(
            Path(folder),
            url,
            config,
            names,
            model={name: value.numpy() for name, value in network.state_dict().items()},
            holders=(THRESHOLD, HOLDERS),
        )
        return {
            "federation": made.deployment.federation,
            "store": made.coordinator.store,
            "coordinator": made.coordinator.to_mapping(),
            "contributors": [one.to_mapping() for one in made.contributors.values()],
            "holders": [one.to_mapping() for one in made.key_holders.values()],
        }


class CoordinatorParty:
    """Adds what it cannot read."""

    def open(self, settings: dict[str, str]) -> int:
        from ddcai.rounds.coordinator import Coordinator
        from ddcai.rounds.party import Party, Settings

        self._own = Coordinator(Party.connect(Settings.read(settings)))
        return self._own.open_round().number

    def seal(self, number: int) -> list[int]:
        party = self._own.party
        record = party.federation.round(number)
        collection = self._own.collect(record, party.model(record.base_model_digest))
        collection.add_from_store()
        record = self._own.seal(record, collection)
        return [len(party.store.get(item.digest)) for item in record.sealed]

    def join(self, number: int, answers: dict[str, bytes], value: bytes) -> bytes:
        from ddcai.chain.key_holders import KeyEpoch, join_signatures

        epoch = self._own.party.federation.key_holder_of(number)
        assert isinstance(epoch, KeyEpoch)
        chosen = dict(sorted(answers.items(), key=lambda one: one[0].lower())[:THRESHOLD])
        del value
        return join_signatures(epoch, chosen)

    def finalize(
        self, number: int, value: bytes, signature: bytes, signatures: dict[str, bytes]
    ) -> bytes:
        from ddcai.rounds.keyholder import Opening

        record = self._own.party.federation.round(number)
        opening = Opening.of(self._own.party.context(number), value, signature)
        result = self._own.result(record, opening)
        by_index = {item.index: signatures[item.address] for item in record.sealed}
        self._own.finalize(record, opening, result, by_index)
        return result.model_digest


class ContributorParty:
    """Encrypts what stands for its trained model."""

    def contribute(self, settings: dict[str, str], number: int, seed: int) -> str:
        from ddcai.models import state
        from ddcai.rounds.contributor import Contributor
        from ddcai.rounds.party import Party, Settings, attestation_key, state_folder

        read = Settings.read(settings)
        party = Party.connect(read)
        self._own = Contributor(party, attestation_key(read, party), state_folder(read, party))
        record = party.federation.round(number)
        # As it comes with Flower's message: `check_round` looks whether it is the chain's.
        base = state.from_canonical(party.store.get(record.base_model_digest))
        self._own.check_round(number, base)
        rng = np.random.default_rng(seed)
        trained = {
            name: value + (rng.random(value.shape, np.float32) - np.float32(0.5)) / 50
            for name, value in base.items()
        }
        update = self._own.protect(record, base, trained, EXAMPLES)
        self._own.submit(record, update)
        return party.address

    def attest(self, number: int, value: bytes, signature: bytes) -> bytes:
        return self._own.attest(number, value, signature)


class HolderParty:
    """Opens with others."""

    def connect(self, settings: dict[str, str]) -> str:
        from ddcai.rounds.opener import opener_of
        from ddcai.rounds.party import Party, Settings, state_folder

        read = Settings.read(settings)
        party = Party.connect(read)
        opener = opener_of(read, party, state_folder(read, party))
        self._own: Any = opener
        return party.address

    def share(self, number: int) -> bytes:
        return bytes(self._own.share(self._asked(number)))

    def combine(self, number: int, shares: dict[int, bytes]) -> tuple[bytes, bytes]:
        found = self._own.combine(self._asked(number), shares)
        assert not found.accused
        return found.value, found.signature

    @staticmethod
    def _asked(number: int) -> Any:
        from ddcai.rounds.shared_opener import SUM, Asked

        return Asked(what=SUM, round=number, responders=tuple(range(HOLDERS)))


class AuditorParty:
    """Believes nobody."""

    def audit(self, url: str, federation: str, store: str) -> int:
        from ddcai.audit.indexed import stored_history
        from ddcai.audit.verify import verify
        from ddcai.chain.node.connection import connect
        from ddcai.store import Store

        with stored_history(connect(url), federation) as (history, _):
            claims = list(verify(history, Store(store)))
        failed = [claim for claim in claims if not claim.passed]
        assert not failed, failed
        return len(claims)


def run(parameters: int, contributors: int) -> dict[str, Any]:
    """The round, and what it cost."""
    from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
    from ddcai.chain.node.embedded import EmbeddedChain

    kind = EmbeddedChain if find_anvil() is None else ManagedAnvil
    with tempfile.TemporaryDirectory() as folder, kind() as chain:
        founder = Worker("founder", Founder)
        made = founder("found", folder, chain.url, parameters, contributors)
        costs = [founder.end()]
        before = time.process_time()
        started = time.perf_counter()
        coordinator = Worker("coordinator", CoordinatorParty)
        number = coordinator("open", made["coordinator"])
        sites = [Worker(f"contributor {i}", ContributorParty) for i in range(contributors)]
        addresses = [
            site("contribute", made["contributors"][i], number, i) for i, site in enumerate(sites)
        ]
        sizes = coordinator("seal", number)
        holders = [Worker(f"key holder {i}", HolderParty) for i in range(HOLDERS)]
        by_account = {one("connect", made["holders"][i]): one for i, one in enumerate(holders)}
        ordered = sorted(by_account, key=str.lower)
        shares = {i: by_account[account]("share", number) for i, account in enumerate(ordered)}
        found = {account: by_account[account]("combine", number, shares) for account in ordered}
        (value,) = {one[0] for one in found.values()}
        joined = coordinator("join", number, {a: s for a, (_, s) in found.items()}, value)
        signatures = {
            address: site("attest", number, value, joined)
            for address, site in zip(addresses, sites, strict=True)
        }
        coordinator("finalize", number, value, joined, signatures)
        auditor = Worker("auditor", AuditorParty)
        claims = auditor("audit", chain.url, made["federation"], made["store"])
        wall = time.perf_counter() - started
        parties = [coordinator, *sites, *holders, auditor]
        costs += [one.end() for one in parties]
        # The embedded chain is in this process; anvil is a child, and the only one left.
        chain_s, ended = time.process_time() - before, _children_s()
    chain_s += _children_s() - ended
    counted = costs[1:]
    return {
        "parameters": parameters,
        "parameter_set": SET,
        "contributors": contributors,
        "key_holders": f"{THRESHOLD} of {HOLDERS}",
        "bytes_per_update": max(sizes),
        "bytes_per_parameter": max(sizes) / parameters,
        "cpu_s": sum(sum(one["steps_s"].values()) for one in counted) + chain_s,
        "cpu_s_of_starting": sum(one["cpu_s"] - sum(one["steps_s"].values()) for one in counted),
        "chain": kind.__name__,
        "cpu_s_of_the_chain": chain_s,
        "wall_s": wall,
        "claims": claims,
        "coordinator_peak_mb": counted[0]["peak_mb"],
        "founding": costs[0],
        "parties": counted,
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parameters", type=int, default=10_000_000)
    parser.add_argument("--contributors", type=int, default=10)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    found = run(arguments.parameters, arguments.contributors)
    kinds: dict[str, dict[str, float]] = {}
    for one in found["parties"]:
        kind = kinds.setdefault(one["party"].rstrip(" 0123456789"), {})
        for step, seconds in {**one["steps_s"], "starting": one["cpu_s"]}.items():
            kind[step] = kind.get(step, 0.0) + seconds
    for kind_name, steps in kinds.items():
        steps["starting"] -= sum(s for step, s in steps.items() if step != "starting")
        shown = ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps.items())
        print(f"{kind_name:12} {shown} s of CPU")
    print(
        f"{found['parameters']:,} parameters, {found['contributors']} contributors: "
        f"{found['cpu_s']:.1f} s of CPU in all, and {found['cpu_s_of_starting']:.1f} to start "
        f"processes; {found['wall_s']:.1f} s; coordinator "
        f"{found['coordinator_peak_mb']:.0f} MB; {found['bytes_per_parameter']:.3f} bytes a "
        f"parameter; {found['claims']} claims pass"
    )
    if arguments.json is not None:
        document = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python", "benchmarks/large_round.py", *sys.argv[1:]]),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "load_average": os.getloadavg(),
            "python": platform.python_version(),
        }
        arguments.json.write_text(json.dumps(document | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
