"""A run that fails, on a SuperLink of our own and on one that runs already."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from ddcai.cli.processes import Child, answers, flower_environment, free_port, program
from tests.cli.conftest import as_options
from tests.federation import SmallFederation


@pytest.mark.slow
@pytest.mark.parametrize("ours", [True, False])
def test_a_run_without_clients_ends_with_code_1(
    federation: SmallFederation, tmp_path: Path, ours: bool
) -> None:
    port = free_port()
    where = ["--port", str(port), "--tls", str(tmp_path / "tls")]
    if not ours:
        where = ["--superlink", f"127.0.0.1:{port}", "--insecure"]
    given = as_options(
        federation.trial.coordinator, "deployment", "rpc-url", "store", "keystore", "password-file"
    )
    with ExitStack() as stack:
        if not ours:
            command = [program("flower-superlink"), "--insecure", "--port", str(port)]
            environment = flower_environment(tmp_path / "home")
            link = Child(command, environment, log=tmp_path / "superlink.log")
            stack.enter_context(link)
            while not answers("127.0.0.1", port):
                assert link.process.poll() is None, (tmp_path / "superlink.log").read_text()
        run = subprocess.run(
            [
                program("ddcai"), "coordinator", *given, *where, "--rounds", "2",
                "--join-timeout-s", "1", "--output", str(tmp_path / "out"), "--format", "json",
            ],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        assert run.returncode == 1, run.stderr
        result = json.loads(run.stdout)
        assert result["status"] == "finished:failed"
        # The round that was finished before stays the last.
        assert result["last_round"] == 1
        assert "did not connect within 1 s" in run.stderr
        # Ours is stopped; one that ran before runs on.
        assert answers("127.0.0.1", port) is not ours
