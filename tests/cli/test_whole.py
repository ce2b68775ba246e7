"""The main job as separate processes, with ``flwr run .`` on a SuperLink that is there.

Updates are judged here. One round makes a window; with no round after it, its verdict returns every
deposit (`tests/flower/test_judged.py` has windows that judge).
`ddcai coordinator`, which starts a SuperLink of its own, runs in the README's session
(`tests/test_docs.py`).
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from ddcai.cli.processes import Child, answers, flower_environment, free_port, program
from ddcai.data.heart_disease import FOLDER, site_path
from ddcai.models import state
from tests.cli.conftest import Ddcai

SITES = ("cleveland", "hungary")
ROUNDS = 1
JUDGED = """
[assessment]
window = 1
movement_lag = 1
"""
CHECKOUT = Path(__file__).parents[2]
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
    keys = done(
        "keys", "new", "--out", "keys", "--password-file", password, "--light-kdf",
        "--parameter-set", "bfv-8192-2x30",
    )  # fmt: skip
    text = (FOLDER / "federation.toml").read_text()
    text = text.replace('"examples"', '"uniform"').replace('"bfv-8192-3x20"', '"bfv-8192-2x30"')
    config = tmp_path / "federation.toml"
    config.write_text(text + JUDGED)
    root_set = done(
        "federation", "root-set", "--config", config, "--data", site_path("cleveland"),
        "--label", "target", "--out", tmp_path / "root-set.bin",
    )  # fmt: skip
    config.write_text(text + JUDGED + f'root_set = "{root_set["root_set"]}"\n')
    deployed = done(
        "federation", "deploy", "--config", config, *shared,
        "--min-contributors", 2, "--dispute-period-s", 1,
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
    # As many threads as cores in each of four processes only stand in each other's way.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with ExitStack() as stack:

        def start(name: str, *more: object) -> Child:
            command = [
                program("ddcai"), "client", *federation, "--keystore", parties[name]["keystore"],
                "--superlink", f"127.0.0.1:{port}", "--state", tmp_path / name / "state",
                "--insecure", *more,
            ]  # fmt: skip
            log = tmp_path / f"{name}.log"
            return stack.enter_context(Child([str(one) for one in command], environment, log=log))

        as_json, metrics = ("--log-format", "json"), free_port()
        clients = [
            start(name, "--data", site_path(name), "--label", "target", *as_json, *served)
            for name, served in zip(SITES, (("--metrics-port", metrics), *[()] * 3), strict=False)
        ]
        secret = ("--role", "keyholder", "--encryption-key", keys["secret_key"])
        clients.append(start("keyholder", *secret))
        home = tmp_path / "flower-home"
        home.mkdir()
        (home / "config.toml").write_text(
            f'[superlink.trial]\naddress = "127.0.0.1:{port}"\ninsecure = true\n'
        )
        flower = flower_environment(home) | {"OMP_NUM_THREADS": "1"}
        superlink = [program("flower-superlink"), "--insecure", "--host", "127.0.0.1"]
        stack.enter_context(
            Child([*superlink, "--port", str(port)], flower, log=tmp_path / "superlink.log")
        )
        while not answers("127.0.0.1", port):
            time.sleep(0.2)
        settings = {
            "num-server-rounds": ROUNDS,
            "deployment": str(tmp_path / deployed["deployment"]),
            "rpc-url": chain,
            "store": str(tmp_path / "store"),
            "keystore": str(tmp_path / parties["coordinator"]["keystore"]),
            "password-file": str(password),
            "output": str(tmp_path / "out"),
            "test-data": str(site_path("hungary")),
            "root-set": root_set["file"],
        }
        run_config = " ".join(f"{name}={json.dumps(value)}" for name, value in settings.items())
        # The coordinator as a Flower app, submitted to a SuperLink that is there already.
        run = subprocess.run(
            [program("flwr"), "run", ".", "trial", "--stream", "--run-config", run_config],
            cwd=CHECKOUT,
            env=flower,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        logs = "\n".join(path.read_text() for path in sorted(tmp_path.glob("*.log")))
        assert run.returncode == 0, run.stderr + logs
        with urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10) as answer:
            counted = answer.read().decode()
        trained = re.search(r'ddcai_answer_seconds_count{asked="train"} (\S+)', counted)
        assert trained is not None, counted
        assert float(trained.group(1)) >= ROUNDS
        for client in clients:
            client.process.send_signal(signal.SIGTERM)
        for client in clients:
            assert client.process.wait(timeout=60) == 0, logs

    for name in SITES:
        told_by_it = [json.loads(one) for one in (tmp_path / f"{name}.log").open()]
        of_rounds = [one for one in told_by_it if one["event"] == "answered" and one["round"]]
        assert {one["asked"] for one in of_rounds} >= {"train", "query.attest"}, logs
        assert {one["party"] for one in of_rounds} == {parties[name]["address"]}
    assert re.search(r"Z INFO answered round=1 party=0x\w+ asked=query", logs)

    model, _ = state.load(tmp_path / "out" / "model.safetensors")
    (row,) = done("audit", "rounds", "--contract", deployed["federation"], "--rpc-url", chain)[-1:]
    assert (row["number"], row["state"]) == (ROUNDS, "finalized")
    assert row["model_digest"] == "0x" + state.digest(model).hex()
    events = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").open()]
    rounds = [event for event in events if event["event"] == "round"]
    for event in rounds:
        assert len(event["contributors"]) + len(event["left_out"]) == len(SITES)
    losses = [event["log_loss"] for event in events if event["event"] == "evaluation"]
    assert losses[-1] < losses[0]  # of rows that were learned: one round makes it sure

    chosen = ["--contract", deployed["federation"], "--rpc-url", chain]
    claims = done("audit", "verify", *chosen, "--store", "store")
    assert {claim["status"] for claim in claims} == {"PASS"}
    # A window's deposits wait for its verdict and the time to dispute it: a second here.
    windows = done("window", "list", *federation[:2], *federation[4:6])
    assert [row["state"] for row in windows] == ["standing"] * ROUNDS
    for name in SITES:
        done("window", "claim", *federation[:6], "--keystore", parties[name]["keystore"])
    done("window", "claim", *federation[:6], "--keystore", parties["coordinator"]["keystore"])
    for row in done("audit", "money", *chosen):
        assert row["deposited_wei"] == row["assessed_wei"] > 0
        assert row["held_wei"] == 0
    rows = ["--data", site_path("switzerland"), *federation[:2], *federation[4:]]
    assert done("predict", *rows) == done("predict", *rows, "--local")
    # No secret went through an argument, a log or the run's configuration.
    told = run.stdout + run.stderr + logs
    assert password.read_text().strip() not in told
