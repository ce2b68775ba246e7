"""Child processes of the long-running commands: started cleanly, stopped with certainty."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from ddcai.errors import ConfigurationError

INTERRUPTED = 130
STOP_TIMEOUT_S = 15.0


@contextlib.contextmanager
def stop_on_signals() -> Iterator[None]:
    """Ends the block quietly on ctrl-C, and on SIGTERM as if it were ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def flower_environment(home: Path) -> dict[str, str]:
    """The environment for Flower's programs.

    Its home is a folder of ours, since two nodes on one machine must not share one; nothing is
    downloaded (by default each run would install the app's dependencies anew) or reported.
    """
    return os.environ | {
        "FLWR_HOME": str(home),
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        # Flower starts programs by name: those of this very installation.
        "PATH": os.pathsep.join([str(program_folder()), os.environ.get("PATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }


def program_folder() -> Path:
    """Where this installation's programs are, whether or not it is activated."""
    return Path(sys.executable).parent


def program(name: str) -> str:
    """One of Flower's programs, of this installation.

    Raises:
        ConfigurationError: it is not there.
    """
    path = program_folder() / name
    if not path.is_file():
        raise ConfigurationError(f"{name} is not in {path.parent}: install flwr there")
    return str(path)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine alone, so that needs no TLS."""
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.")


def split_address(address: str) -> tuple[str, int]:
    """``HOST:PORT`` taken apart.

    Raises:
        ConfigurationError: for anything else.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"superlink is {address!r}: give HOST:PORT")
    return host, int(port)


def answers(host: str, port: int, timeout_s: float = 1.0) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((host.strip("[]"), port), timeout=timeout_s):
            return True
    except OSError:
        return False


class Child:
    """A child process in a session of its own, stopped with all of its children."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        log: Path | None = None,
        pipe: bool = False,
    ) -> None:
        """Starts it; its output goes to ``log``, into a pipe, or to this process's stderr."""
        self._log = log.open("wb") if log is not None else None
        out: int | object = subprocess.PIPE if pipe else (self._log or sys.stderr.fileno())
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,  # type: ignore[arg-type]
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def lines(self) -> Iterator[bytes]:
        """Its output, of one with a pipe, until it ends itself: what it leaves behind, and what
        would hold the pipe open, is killed then."""
        assert self.process.stdout is not None
        threading.Thread(target=self._clear, daemon=True).start()
        yield from self.process.stdout

    def _clear(self) -> None:
        self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Asks it to end, waits, and insists; returns when nothing of it is left."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=STOP_TIMEOUT_S)
        if self._log is not None:
            self._log.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
