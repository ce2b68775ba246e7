"""`ddcai dashboard` as a process: it says where it is, answers, and ends when it is told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ddcai.chain.node.connection import connect
from ddcai.cli.processes import free_port
from tests.cli.conftest import VARIABLES, Ddcai, assert_refused
from tests.federation import SmallFederation, make_federation

COMMAND = [sys.executable, "-c", "from ddcai.cli import main; main()", "dashboard", "--port", "0"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """One round, settled."""
    with make_federation(tmp_path_factory.mktemp("made"), url=chain_url) as made:
        made.run_round()
        yield made


@contextmanager
def dashboard(folder: Path, *options: object) -> Iterator[tuple[str, list[str]]]:
    """The command, running in a folder; its address, and what it said before that."""
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    process = subprocess.Popen(
        [*COMMAND, *map(str, options)], cwd=folder, env=clean, stderr=subprocess.PIPE, text=True
    )
    said: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("the page is at "):
                break
            said.append(line)
        else:
            raise AssertionError("".join(said))
        yield line.split()[4], said
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode in (0, 130)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def wait(url: str, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The page's state, when it is as wanted."""
    for _ in range(600):
        state: dict[str, Any] = get(f"{url}api/state")
        if holds(state):
            return state
        time.sleep(0.1)
    raise AssertionError(state)


def test_it_follows_the_chain_then_shows_the_index_alone(
    made: SmallFederation, tmp_path: Path
) -> None:
    whole = ["--deployment", made.deployment_path, "--rpc-url", made.url]
    with dashboard(tmp_path, *whole) as (url, said):
        assert url.startswith("http://127.0.0.1:")
        assert said == []
        head = connect(made.url).eth.block_number
        state = wait(url, lambda one: (one["federation"] or {}).get("synced_block") == head)
        assert (state["title"], state["following"]) == ("small", True)
        assert state["federation"]["address"] == made.deployment.federation
        rounds = get(f"{url}api/rounds")
        assert [row["state"] for row in rounds] == ["finalized"]
        assert rounds[0]["deposits_wei"] == str(3 * made.contract.rules().deposit_wei)
    assert (tmp_path / "ddcai-audit.sqlite").exists()
    # The index has one federation, which needs no name then.
    with dashboard(tmp_path, "--offline") as (url, _):
        assert get(f"{url}api/state")["following"] is False
        assert get(f"{url}api/rounds") == rounds
    gone = f"http://127.0.0.1:{free_port()}"
    with dashboard(tmp_path, "--rpc-url", gone) as (url, _):
        state = wait(url, lambda state: state["stale_since"])
        assert state["trouble"] == "unreachable"
        assert state["federation"]["rounds"] == 1


def test_listening_for_others_says_what_that_means(tmp_path: Path) -> None:
    with dashboard(tmp_path, "--offline", "--host", "0.0.0.0") as (_, said):
        assert "without a password and without TLS" in said[0]


def test_no_federation_is_refused(ddcai: Ddcai) -> None:
    assert_refused(ddcai("dashboard", "--port", "0"), "--contract", "--deployment")
