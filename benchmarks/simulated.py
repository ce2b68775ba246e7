"""A round of many simulated contributors on Flower's Ray engine: one machine, real everything.

    python benchmarks/simulated.py [--contributors 1000] [--json FILE]

Needs the extra `simulation`. Every contributor has an account, keys, a deposit and a hospital's
data (one of four), trains by the shipped app, and sends a ciphertext; 2 of 3 simulated key holders
open. The chain is anvil, or the embedded one. Fails unless all are in the sum and the audit passes.
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
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flwr.serverapp import ServerApp

import clients.app
from ddcai.audit.indexed import stored_history
from ddcai.audit.verify import verify
from ddcai.chain.node.anvil import ManagedAnvil, find_anvil
from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import EmbeddedChain
from ddcai.configuration import Encryption
from ddcai.data.heart_disease import SITES, heart_config, site_path
from ddcai.flower import EncryptedFedAvg, fleet
from ddcai.rounds.coordinator import Coordinator
from ddcai.rounds.party import Party
from ddcai.rounds.trial import set_up
from ddcai.store import Store

SET = "compact-64-2x25"
PERIOD_S = 10**5


def run(contributors: int) -> dict[str, Any]:
    """One round, and what it took."""
    from flwr.simulation import run_simulation

    config = replace(
        heart_config(), encryption=Encryption(parameter_set=SET, max_contributors=contributors)
    )
    kind = EmbeddedChain if find_anvil() is None else ManagedAnvil
    with tempfile.TemporaryDirectory() as folder, kind() as chain:
        founding = time.perf_counter()
        made = set_up(
            Path(folder) / "federation",
            chain.url,
            config,
            [f"site-{number}" for number in range(contributors)],
            holders=(2, 3),
            submit_period_s=PERIOD_S,
            finalize_period_s=PERIOD_S,
        )
        founding = time.perf_counter() - founding
        nodes = [
            {**one.to_mapping(), "data": str(site_path(SITES[number % len(SITES)]))}
            for number, one in enumerate(made.contributors.values())
        ]
        nodes += [one.to_mapping() for one in made.key_holders.values()]
        fleet.save_fleet(Path(folder) / "fleet.json", nodes)
        os.environ[fleet.VARIABLE] = str(Path(folder) / "fleet.json")
        os.environ["TORCH_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
        reports: list[Any] = []
        app = ServerApp()

        @app.main()
        def main(grid: Any, context: Any) -> None:
            coordinator = Coordinator(Party.connect(made.coordinator))
            EncryptedFedAvg(coordinator, join_timeout_s=PERIOD_S, report=reports.append).start(
                grid, num_rounds=1, timeout=PERIOD_S
            )

        started = time.perf_counter()
        run_simulation(
            app,
            clients.app.app,
            num_supernodes=len(nodes),
            backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
        )
        wall = time.perf_counter() - started
        (report,) = reports
        audited = time.process_time()
        with stored_history(connect(chain.url), made.deployment.federation) as (history, _):
            claims = list(verify(history, Store(made.coordinator.store)))
        audited = time.process_time() - audited
    failed = [claim for claim in claims if not claim.passed]
    assert not failed, failed[:5]
    assert len(report.contributors) == contributors, len(report.contributors)
    return {
        "contributors": contributors,
        "set": SET,
        "update_bytes": report.update_bytes,
        "founding_wall_s": founding,
        "simulation_wall_s": wall,
        "step_wall_s": report.seconds,
        "claims": len(claims),
        "audit_cpu_s": audited,
        # Of the process with SuperLink, coordinator, and who founded the federation.
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "chain": kind.__name__,
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--contributors", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    given = parser.parse_args()
    if find_spec("ray") is None:  # `make benchmarks` runs whatever is installed
        print("not run: it needs the extra `simulation`", file=sys.stderr)
        return
    found = run(given.contributors)
    print(json.dumps(found, indent=1))
    if given.json is not None:
        document = {
            "benchmark": "a round of simulated contributors on Flower's Ray engine",
            "command": " ".join(["python", "benchmarks/simulated.py", *sys.argv[1:]]),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            **found,
        }
        given.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
