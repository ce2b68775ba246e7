"""A Flower SuperNode as a child process, started again until the coordinator admits it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import typer

from clients import warm
from clients.pinned import write_program
from ddcai.cli.client import to_toml
from ddcai.cli.events import Events
from ddcai.cli.output import say
from ddcai.cli.processes import Child, flower_environment, free_port, program, stop_on_signals

# What Flower 1.41 says when the SuperLink is there and does not take the node; its exit code is 1
# for this as for all else.
_NOT_ADMITTED = b"Exit Code: 305"
_AGAIN_S = 5.0


def run_node(
    superlink: str,
    port: int,
    flags: Sequence[str],
    node_config: Mapping[str, str],
    folder: Path,
    events: Events,
) -> None:
    """Runs a SuperNode until it ends or this process is told to stop.

    Args:
        superlink: HOST:PORT.
        port: for the node's own use on this machine; 0 for any free one.
        flags: of ``flower-supernode``, about TLS.
        folder: of this party; takes files for as long as the node runs.
        events: takes what the node says.

    Raises:
        typer.Exit: the node ended by an error other than that it is not admitted yet.
    """
    code: int | None = None
    with tempfile.TemporaryDirectory(prefix="flower-", dir=folder) as home_:
        home = Path(home_)
        config = home / "node.toml"
        config.write_text(to_toml(node_config), encoding="utf-8")
        pinned = write_program(home / "bin")
        environment = flower_environment(home)
        environment["PATH"] = os.pathsep.join([str(pinned.parent), environment["PATH"]])
        waiting = warm.command(pinned.parent, str(node_config["role"]))
        with ExitStack() as stack:
            stack.enter_context(stop_on_signals())
            stack.enter_context(events.listening())
            environment |= events.environment
            warmed = stack.enter_context(Child(waiting, environment, pipe=True))
            stack.enter_context(events.relaying(warmed.process.stdout))
            told = False
            while True:
                command = [program("flower-supernode"), "--superlink", superlink]
                command += ["--port", str(port or free_port())]
                command += ["--node-config", str(config), *flags]
                code, admitted = _run(command, environment, events)
                if admitted:
                    break
                if not told:
                    say("the coordinator does not admit this node yet: trying again and again")
                    told = True
                time.sleep(_AGAIN_S)
                code = None
    if code:
        say(f"error: the SuperNode ended with code {code}: see its messages above")
        raise typer.Exit(1)
    say("stopped")


def _run(
    command: Sequence[str], environment: Mapping[str, str], events: Events
) -> tuple[int, bool]:
    """Runs a SuperNode and passes its output on; its exit code, and whether it was admitted."""
    admitted = True
    with Child(command, environment, pipe=True) as node:
        # Flower 1.41 leaves a SuperExec behind, which goes on trying to connect to the node.
        for line in node.lines():
            events.foreign(line.decode("utf-8", "replace"))
            admitted &= _NOT_ADMITTED not in line
        return node.process.wait(), admitted
