"""`ddcai audit sync`, as a command."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ddcai.audit.index import reading, sync
from ddcai.audit.index.database import Index
from ddcai.audit.index.ranges import Ranges
from ddcai.chain.node.connection import connect
from ddcai.cli import progress
from tests.chain.support import CONTRIBUTORS, NODES, faulty, stage
from tests.cli.conftest import Ddcai
from tests.federation import SmallFederation

PROGRAM = [sys.executable, "-c", "from ddcai.cli import main; main()", "audit", "sync"]


def test_follows_a_federation_until_it_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with NODES[list(NODES)[-1]]() as chain:
        scene = stage(connect(chain.url))
        address = scene.deployment.federation
        given = ["--contract", address, "--rpc-url", chain.url, "--index", str(path)]
        once = subprocess.run(
            [*PROGRAM, *given, "--format", "json"], capture_output=True, text=True, timeout=120
        )
        assert once.returncode == 0, once.stderr
        told = json.loads(once.stdout)
        assert told["contract"] == address
        assert told["new_events"] > 4
        following = subprocess.Popen(
            [*PROGRAM, *given, "--follow"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.readline()  # what there was is in
        number = scene.open()
        scene.submit(number, CONTRIBUTORS[0])
        seen = 0
        while seen < 2:
            line = following.stderr.readline()
            assert "new events" in line
            seen += int(line.split(": ")[1].split()[0])
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=30)
    with Index(path) as index, index.reading() as connection:
        (round_,) = reading.round_histories(connection, reading.find(connection), [1])
        assert [one.address for one in round_.commitments] == [CONTRIBUTORS[0].address]


def test_a_question_tells_how_many_of_the_missing_blocks_are_in(
    ddcai: Ddcai, federation: SmallFederation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    monkeypatch.setattr(sync, "Ranges", lambda: Ranges(4))
    path, address = tmp_path / "index.sqlite", federation.deployment.federation
    with Index(path, writable=True) as writer:
        job = sync.Sync(writer, connect(federation.url), address)
        with pytest.raises(KeyboardInterrupt):
            job.run(interrupted)
        there = job.next_block
    question = ("audit", "rounds", "--contract", address, "--rpc-url", federation.url)
    told = ddcai(*question, "--index", path).stderr
    found = re.findall(r"reading the chain: (\d+) of (\d+) blocks", told)
    counts = [(int(done), int(of)) for done, of in found]
    missing = int(connect(federation.url).eth.block_number) + 1 - there
    assert len(counts) > 1
    assert {of for _, of in counts} == {missing}
    assert sorted(counts) == counts
    assert counts[0][0] < counts[-1][0] == missing
    assert "left" in told
    assert "blocks" not in ddcai(*question, "--index", path).stderr  # nothing was missing


def interrupted(synced: sync.Synced) -> None:
    """Ctrl-C after the first range."""
    raise KeyboardInterrupt


def test_follow_says_that_the_endpoint_is_gone_and_that_it_is_back(
    tmp_path: Path, chain_url: str
) -> None:
    scene = stage(connect(chain_url))
    gone: list[bool] = []

    def hang_up(asked: dict[str, Any], go_on: Callable[[], Any]) -> Any:
        return None if gone else go_on()

    with faulty(chain_url, hang_up) as w3:
        url = str(w3.provider.endpoint_uri)  # type: ignore[attr-defined]
        given = ["--contract", scene.deployment.federation, "--rpc-url", url, "--follow"]
        following = subprocess.Popen(
            [*PROGRAM, *given, "--index", str(tmp_path / "index.sqlite")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.readline()  # what there was is in
        gone.append(True)
        assert "waiting: no JSON-RPC answer" in following.stderr.readline()
        scene.open()
        gone.clear()
        told = following.stderr.readline() + following.stderr.readline()
        assert "1 new events" in told
        assert "the endpoint answers again" in told
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=30)
