"""Messages run in forks of a process that waits; without it they run all the same."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import warm
from clients.pinned import write_program
from ddcai.cli.processes import Child

# What `flwr-clientapp --help` shows.
SHOWN = "Run a Flower ClientApp"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return write_program(tmp_path / "bin")


@pytest.fixture
def log(tmp_path: Path, program: Path) -> Iterator[Path]:
    """What a waiting process and its forks say."""
    path = tmp_path / "warm.log"
    with Child(warm.command(program.parent, "keyholder"), os.environ, log=path):
        _until(lambda: (program.parent / "warm.sock").exists())
        yield path


def _until(true: object) -> None:
    assert callable(true)
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _run(program: Path, *arguments: str) -> str:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fork_takes_the_message(program: Path, log: Path) -> None:
    for number in (1, 2):
        assert _run(program, "--help") == ""
        _until(lambda number=number: log.read_text().count(SHOWN) == number)


def test_what_is_no_message_is_left_alone(program: Path, log: Path) -> None:
    for sent in (b"", b"{}", b"[1]", b"[" * 2000, b'["' + b"x" * warm.LARGEST_REQUEST + b'"]'):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(program.parent / "warm.sock"))
            try:
                stranger.sendall(sent)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(1) == b""
            except OSError:
                pass  # hung up on the oversized one before it was all there
    assert _run(program, "--help") == ""
    _until(lambda: SHOWN in log.read_text())


def test_one_that_died_is_done_without(program: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(program.parent / "warm.sock"))
    assert SHOWN in _run(program, "--help")


def test_it_ends_with_its_parent(tmp_path: Path, program: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys; print(subprocess.Popen(sys.argv[1:]).pid, flush=True);input()",
            *warm.command(program.parent, "keyholder"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    _until(lambda: (program.parent / "warm.sock").exists())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    _until(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
