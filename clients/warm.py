"""Messages in forks of one process that has imported everything, not in new processes.

Flower starts ``flwr-clientapp`` for every message: seconds of imports on one core, for work of
tenths of a second. `ddcai client` therefore keeps one process that waits (`serve`). The program
that Flower starts (`program_text`) gives it the arguments and ends; the process forks, and the
fork runs the message. Where nobody answers, the program does the work itself, as Flower's would.

A fork has nothing of another message: the waiting process only imports, and opens, draws and
connects nothing. Keys and noise are drawn from the operating system; Python reseeds `random` in a
fork.

The socket lies in a folder that only this account enters, and takes a list of strings.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from ddcai import strict_json

# Flower's arguments: an address, a token, paths.
LARGEST_REQUEST = 65536
_TAKEN = b"1"
_SOCKET = "warm.sock"
_LOOK_S, _REQUEST_S = 1.0, 10.0
_ALWAYS = ("flwr.supernode.cli.flwr_clientapp", "clients.app", "ddcai.encryption.updates")
_ROLE = {
    "contributor": ("ddcai.models.training", "ddcai.rounds.contributor"),
    "keyholder": ("ddcai.rounds.opener",),
}

# Python without site, 20 ms: it must import nothing that is installed.
_PROGRAM = """#!{python} -S
import json, os, socket, sys
here, taken = os.getcwd(), False
try:
    os.chdir({folder!r})  # a socket's name has 107 bytes at most
    with socket.socket(socket.AF_UNIX) as warm:
        warm.connect({name!r})
        warm.sendall(json.dumps(sys.argv[1:]).encode())
        warm.shutdown(socket.SHUT_WR)
        taken = warm.recv(1) == {taken!r}
except OSError:
    pass
os.chdir(here)
if not taken:
    cold = [{python!r}, "-P", "-c", "from clients.pinned import main; main()", *sys.argv[1:]]
    os.execv(cold[0], cold)
"""


def program_text(folder: Path) -> str:
    """A program that takes ``flwr-clientapp``'s arguments to the process that serves a folder."""
    return _PROGRAM.format(python=sys.executable, folder=str(folder), name=_SOCKET, taken=_TAKEN)


def command(folder: Path, role: str) -> list[str]:
    """The command that serves a folder for a node of this role: contributor or keyholder."""
    return [sys.executable, "-P", "-m", "clients.pinned", str(folder), role]


def serve(folder: Path, role: str) -> list[str]:
    """Forks for each message; ends when its parent does.

    Returns:
        In a fork, and only there: the arguments of its message.
    """
    parent = os.getppid()
    with _listening(folder) as listener:
        # Who comes meanwhile waits: two that import at once take twice as long.
        for name in (*_ALWAYS, *_ROLE[role]):
            importlib.import_module(name)
        gc.freeze()  # a fork's collector would copy every page that it looks at
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks leave no zombies
        while os.getppid() == parent:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                arguments = _request(connection)
                if arguments is not None and os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    with contextlib.suppress(OSError):
                        connection.sendall(_TAKEN)
                    return arguments
    raise SystemExit(0)


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)
        listener.bind(_SOCKET)
        os.chdir(here)
        listener.listen()
        listener.settimeout(_LOOK_S)
        yield listener


def _request(connection: socket.socket) -> list[str] | None:
    """The arguments; None if they are not a list of strings, or do not come in time."""
    connection.settimeout(_REQUEST_S)
    received = b""
    try:
        while len(received) <= LARGEST_REQUEST:
            part = connection.recv(LARGEST_REQUEST)
            if not part:
                found = strict_json.loads(received)
                if isinstance(found, list) and all(isinstance(one, str) for one in found):
                    return found
                return None
            received += part
    except (OSError, ValueError):
        pass
    return None
