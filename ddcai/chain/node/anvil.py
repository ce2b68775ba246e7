"""anvil, Foundry's development chain, where it is installed: faster, and it can keep its state."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ddcai.chain.node.connection import connect
from ddcai.errors import ChainError, ChainUnreachable

START_TIMEOUT_S = 30.0
HARDFORK = "prague"
# Where `npm ci` in contracts/ puts it, in a checkout of this repository.
_IN_CHECKOUT = Path(__file__).parents[3] / "contracts" / "node_modules" / "@foundry-rs"


def find_anvil() -> Path | None:
    """The anvil program: on PATH, or among the packages of ``contracts/``; None if neither."""
    found = shutil.which("anvil")
    if found is not None:
        return Path(found)
    packaged = _IN_CHECKOUT.glob("anvil-*/bin/anvil*")
    return next((path for path in packaged if os.access(path, os.X_OK)), None)


class ManagedAnvil:
    """anvil as a child process, stopped when the context ends.

    The same development accounts and chain id as the embedded chain.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        state: Path | str | None = None,
        hardfork: str = HARDFORK,
        history: bool = True,
    ) -> None:
        """Starts anvil and waits until it answers.

        Args:
            host, port: where it listens; port 0 takes a free one.
            state: a file that the chain is loaded from, if it is there, and saved to at the end.
            hardfork: whose rules it has, in anvil's words.
            history: whether old blocks can still be called. Without, anvil writes no state to its
                disk after each block, which takes longer the more the chain holds.

        Raises:
            ChainError: anvil is not installed, the port is taken, or it does not start.
        """
        program = find_anvil()
        if program is None:
            raise ChainError(
                "anvil is not installed: run `npm ci` in contracts/, install Foundry "
                "(https://getfoundry.sh), or use the embedded chain"
            )
        self.port = _free_port(host, port)
        self.url = f"http://{host}:{self.port}"
        command = [str(program), "--host", host, "--port", str(self.port), "--silent"]
        command += ["--hardfork", hardfork]
        if not history:
            command.append("--prune-history")
        if state is not None:
            command += ["--state", str(state)]
        # A group of its own: npm's launcher is not the process that listens.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._await()
        except BaseException:
            self.close()
            raise

    def _await(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if self._process.poll() is not None:
                stderr = self._process.stderr.read() if self._process.stderr else b""
                said = stderr.decode(errors="replace").strip()[-500:]
                raise ChainError(f"anvil ended with code {self._process.returncode}: {said}")
            try:
                connect(self.url, timeout_s=1.0)
                return
            except ChainUnreachable as error:
                if time.monotonic() > deadline:
                    raise ChainError(
                        f"anvil did not answer at {self.url} within {START_TIMEOUT_S:g} s"
                    ) from error
                time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops anvil; it saves its state first if it has a state file."""
        if self._process.poll() is None:
            _interrupt(self._process)
        if self._process.stderr is not None:
            self._process.stderr.close()

    def wait(self) -> None:
        """Blocks until anvil ends by itself."""
        self._process.wait()


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(timeout=15)
            return
        except ProcessLookupError:
            process.wait()
            return
        except subprocess.TimeoutExpired:
            continue


def _free_port(host: str, port: int) -> int:
    with socket.socket() as probe:
        # As the server itself does: a port whose last owner has just gone is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ChainError(
                f"port {port} on {host} cannot be used ({error.strerror}): choose another port"
            ) from error
        return int(probe.getsockname()[1])
