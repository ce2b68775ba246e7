"""The main job as separate processes: chain, SuperLink, four SuperNodes, all by command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ddcai.cli.processes import Child, free_port, program
from ddcai.data.heart_disease import FOLDER, site_path
from ddcai.models import state
from tests.cli.conftest import Ddcai

SITES = ("cleveland", "hungary", "va-long-beach")
ROUNDS = 2
TIMEOUT_S = 500


@pytest.fixture
def chain() -> Iterator[str]:
    """`ddcai chain` as a process."""
    process = subprocess.Popen(
        [program("ddcai"), "chain", "--port", "0", "--format", "json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    url = next(line.split()[2] for line in process.stderr if line.startswith("listening on"))
    yield url
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.slow
def test_the_main_job_as_separate_processes(
    ddcai: Ddcai, chain: str, tmp_path: Path, password: Path
) -> None:
    shared = ["--rpc-url", chain, "--password-file", password]

    def done(*arguments: object) -> Any:
        answer = ddcai(*arguments, "--format", "json")
        assert answer.code == 0, answer.stderr
        return answer.json

    parties = {}
    for name in ("coordinator", "keyholder", *SITES):
        parties[name] = done(
            "account", "new", "--out", tmp_path / name, "--password-file", password, "--light-kdf"
        )
        done("account", "fund", parties[name]["address"], "--ether", "1", "--rpc-url", chain)
    keys = done("keys", "new", "--out", "keys", "--password-file", password, "--light-kdf")
    deployed = done(
        "federation", "deploy", "--config", FOLDER / "federation.toml", *shared,
        "--public-key", keys["public_key"], "--store", "store",
        "--coordinator", parties["coordinator"]["address"],
        "--key-holder", parties["keyholder"]["address"],
        "--keystore", parties["coordinator"]["keystore"],
        *(part for name in SITES for part in ("--invite", parties[name]["address"])),
    )  # fmt: skip
    federation = [*shared, "--deployment", deployed["deployment"], "--store", "store"]
    for name in SITES:
        done("federation", "join", *federation, "--keystore", parties[name]["keystore"])

    port = free_port()
    # As many threads as cores in each of five processes only stand in each other's way.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with ExitStack() as stack:

        def start(name: str, *more: object) -> Child:
            command = [
                program("ddcai"), "client", *federation, "--keystore", parties[name]["keystore"],
                "--superlink", f"127.0.0.1:{port}", "--state", tmp_path / name / "state", *more,
            ]  # fmt: skip
            log = tmp_path / f"{name}.log"
            return stack.enter_context(Child([str(one) for one in command], environment, log=log))

        clients = [start(name, "--data", site_path(name), "--label", "target") for name in SITES]
        secret = ("--role", "keyholder", "--encryption-key", keys["secret_key"])
        clients.append(start("keyholder", *secret))
        command = [
            program("ddcai"), "coordinator", *federation,
            "--keystore", parties["coordinator"]["keystore"], "--rounds", ROUNDS,
            "--port", port, "--output", "out", "--test-data", site_path("switzerland"),
            "--format", "json",
        ]  # fmt: skip
        run = subprocess.run(
            [str(one) for one in command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        logs = "\n".join(path.read_text() for path in sorted(tmp_path.glob("*.log")))
        assert run.returncode == 0, run.stderr + logs
        for client in clients:
            client.process.send_signal(signal.SIGTERM)
        for client in clients:
            assert client.process.wait(timeout=60) == 0, logs

    result = json.loads(run.stdout)
    assert (result["status"], result["last_round"]) == ("finished:completed", ROUNDS)
    model, _ = state.load(tmp_path / "out" / "model.safetensors")
    assert result["model_digest"] == "0x" + state.digest(model).hex()
    events = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").open()]
    rounds = [event for event in events if event["event"] == "round"]
    assert [len(event["contributors"]) for event in rounds] == [len(SITES)] * ROUNDS
    losses = [event["log_loss"] for event in events if event["event"] == "evaluation"]
    assert losses[-1] < losses[0]

    chosen = ["--contract", deployed["federation"], "--rpc-url", chain]
    claims = done("audit", "verify", *chosen, "--store", "store")
    assert {claim["status"] for claim in claims} == {"PASS"}
    for row in done("audit", "money", *chosen):
        assert row["deposited_wei"] == row["refunded_wei"] > 0
        assert row["held_wei"] == 0
    rows = ["--data", site_path("switzerland"), *federation[:2], *federation[4:]]
    assert done("predict", *rows) == done("predict", *rows, "--local")
    # No secret went through an argument, a log or the run's configuration.
    told = run.stderr + logs + (tmp_path / "out" / "superlink.log").read_text()
    assert password.read_text().strip() not in told
