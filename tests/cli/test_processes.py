"""Child processes: started with the right surroundings, and stopped with all of theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ddcai.cli.processes import (
    Child,
    answers,
    flower_environment,
    free_port,
    is_loopback,
    program,
    split_address,
    stop_on_signals,
)
from ddcai.errors import ConfigurationError


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status not in ("Z", "X")


def _ends(pid: int) -> bool:
    """Whether a process that was sent SIGKILL is gone: its pipes close before it has ended, and
    the kernel takes its time."""
    until = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not _alive(pid)


def test_a_child_ends_with_its_own_children() -> None:
    code = textwrap.dedent("""
        import signal, subprocess, sys
        inner = subprocess.Popen([sys.executable, "-c",
            "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print('set', flush=True); signal.pause()"], stdout=subprocess.PIPE)
        inner.stdout.readline()
        print(inner.pid, flush=True)
        signal.pause()
    """)
    with Child([sys.executable, "-c", code], os.environ, pipe=True) as child:
        assert child.process.stdout is not None
        grandchild = int(child.process.stdout.readline())
        assert _alive(grandchild)
    assert child.process.returncode == -signal.SIGTERM
    assert _ends(grandchild)


def test_output_goes_to_the_log(tmp_path: Path) -> None:
    with Child([sys.executable, "-c", "print('hello')"], os.environ, log=tmp_path / "log") as child:
        child.process.wait()
    assert (tmp_path / "log").read_text() == "hello\n"


def test_a_signal_ends_the_block_quietly() -> None:
    reached = False
    with stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        reached = True
    assert not reached
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_flower_downloads_nothing_and_finds_its_programs(tmp_path: Path) -> None:
    environment = flower_environment(tmp_path)
    assert environment["FLWR_HOME"] == str(tmp_path)
    assert environment["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] == "1"
    assert environment["FLWR_TELEMETRY_ENABLED"] == "0"
    found = subprocess.run(
        ["/bin/sh", "-c", "command -v flower-superexec"], env=environment, capture_output=True
    )
    assert found.stdout.decode().strip() == program("flower-superexec")


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="flower-nothing"):
        program("flower-nothing")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_addresses_and_ports() -> None:
    assert split_address("[::1]:80") == ("[::1]", 80)
    assert not answers("127.0.0.1", free_port())


def test_the_output_ends_with_the_process_and_not_with_what_it_leaves_behind() -> None:
    code = textwrap.dedent("""
        import subprocess, sys
        inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(inner.pid, flush=True)
    """)
    with Child([sys.executable, "-c", code], dict(os.environ), pipe=True) as child:
        (line,) = child.lines()
        assert _ends(int(line))
        assert child.process.wait() == 0
