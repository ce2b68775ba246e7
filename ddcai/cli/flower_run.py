"""Flower's programs, driven as an operator would: SuperLink, ``flwr run``, ``flwr list``."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ddcai.cli.output import say
from ddcai.cli.processes import (
    INTERRUPTED,
    Child,
    answers,
    flower_environment,
    program,
    stop_on_signals,
)
from ddcai.errors import ConfigurationError, DdcaiError

if TYPE_CHECKING:
    from ddcai.rounds.party import Party

START_TIMEOUT_S = 60.0
_POLL_S = 1.0
_CONNECTION = "ddcai"
_RUN_ID = re.compile(r"Successfully started run (\d+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LICENCE = "Apache-2.0: https://www.apache.org/licenses/LICENSE-2.0\n"
_PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "ddcai"
version = "{version}"
description = "The two apps of ddcai, which is installed on every node"
license = {{file = "LICENSE"}}
dependencies = ["flwr>=1.41,<1.42"]

[tool.flwr.app]
publisher = "ddcai"
fab-include = ["clients/*.py", "coordinator/*.py"]

[tool.flwr.app.components]
serverapp = "coordinator.app:app"
clientapp = "clients.app:app"

[tool.flwr.app.config]
{run_config}"""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A SuperLink: where it is, and how it is started if it is ours.

    Attributes:
        host, port: where it listens.
        start: whether we start it, and stop it again.
        certificate, key: PEM files of its TLS; None for none.
        root_certificates: PEM file that they are checked by.
        log: where its own output goes.
    """

    host: str
    port: int
    start: bool
    certificate: Path | None
    key: Path | None
    root_certificates: Path | None
    log: Path

    @property
    def secured(self) -> bool:
        """Whether there is TLS, and with it node authentication."""
        return self.root_certificates is not None

    @property
    def address(self) -> str:
        """Where this machine reaches it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"{host}:{self.port}"


def write_app(folder: Path, run_config: str) -> Path:
    """Writes the Flower app from the installed packages, with its run configuration (TOML).

    A checkout could be submitted as it is, but an installed wheel has no pyproject beside it.
    """
    for package in ("clients", "coordinator"):
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise ConfigurationError(f"the package {package!r} is not installed: install ddcai")
        source = Path(found.submodule_search_locations[0])
        (folder / package).mkdir(parents=True)
        for file in sorted(source.glob("*.py")):
            shutil.copyfile(file, folder / package / file.name)
    project = _PROJECT.format(version=version("ddcai"), run_config=run_config)
    (folder / "pyproject.toml").write_text(project, encoding="utf-8")
    (folder / "LICENSE").write_text(_LICENCE, encoding="utf-8")
    return folder


def run_app(
    link: Link,
    run_config: str,
    log: Callable[[str], None],
    variables: Mapping[str, str] | None = None,
    admits: Party | None = None,
) -> str:
    """Submits the app and follows it until it ends; returns Flower's status of the run.

    Args:
        log: takes each line of its log, which may have colours.
        variables: more of the environment, for a SuperLink of ours and what it starts.
        admits: a view of the federation whose bound node keys alone may connect, used by nobody
            else meanwhile; None where any node may, without TLS.

    Raises:
        ConfigurationError: the SuperLink cannot be started or reached, or refuses the app.
        typer.Exit: interrupted; the run was stopped.
    """
    status: str | None = None
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ddcai-flower-")))
        environment = flower_environment(home) | dict(variables or {})
        (home / "config.toml").write_text(_connection(link), encoding="utf-8")
        app = write_app(home / "app", run_config)
        stack.enter_context(stop_on_signals())
        _reach(link, environment, stack)
        if admits is not None:
            from ddcai.flower.admission import Admission

            assert link.root_certificates is not None
            certificates = link.root_certificates.read_bytes()
            stack.enter_context(Admission(link.address, certificates, admits, say))
        run = _Run(environment, link.start)
        try:
            status = run.follow(app, log)
        finally:
            if status is None:
                run.stop()
    if status is None:
        say("interrupted: started again, the coordinator goes on with the round under way")
        raise typer.Exit(INTERRUPTED)
    return status


def _reach(link: Link, environment: dict[str, str], stack: ExitStack) -> None:
    """Makes sure that the SuperLink is there."""
    host, _, _ = link.address.rpartition(":")
    there = answers(host, link.port)
    if not link.start:
        if not there:
            raise ConfigurationError(f"no SuperLink answers at {link.address}: start it first")
        return
    if there:
        raise ConfigurationError(
            f"port {link.port} on {link.host} is in use: choose another with --port, or give "
            f"--superlink {link.address} if that is a SuperLink"
        )
    # Not flower-superlink itself: by it every machine may submit a ServerApp.
    command = [sys.executable, "-m", "ddcai.flower.superlink"]
    command += ["--host", link.host, "--port", str(link.port)]
    if link.certificate is None:
        command.append("--insecure")
    else:
        command += ["--ssl-certfile", str(link.certificate), "--ssl-keyfile", str(link.key)]
        command += ["--ssl-ca-certfile", str(link.root_certificates), "--enable-supernode-auth"]
    child = stack.enter_context(Child(command, environment, log=link.log))
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(host, link.port):
        if child.process.poll() is not None or time.monotonic() > deadline:
            raise ConfigurationError(f"the SuperLink did not start: see {link.log}")
        time.sleep(0.1)
    say(f"SuperLink on {link.host}:{link.port}")


def _connection(link: Link) -> str:
    lines = [f"[superlink]\ndefault = {json.dumps(_CONNECTION)}\n[superlink.{_CONNECTION}]"]
    lines.append(f"address = {json.dumps(link.address)}")
    if link.root_certificates is not None:
        lines.append(f"root-certificates = {json.dumps(str(link.root_certificates.absolute()))}")
    else:
        lines.append("insecure = true")
    return "\n".join(lines) + "\n"


class _Run:
    """One run of the app on the SuperLink."""

    def __init__(self, environment: dict[str, str], ours: bool) -> None:
        self._environment = environment
        self._ours = ours
        self._id: str | None = None

    def follow(self, app: Path, log: Callable[[str], None]) -> str:
        """Submits the app and passes its log on; returns the status that it ended with."""
        command = [program("flwr"), "run", str(app), _CONNECTION, "--stream"]
        said: list[str] = []
        with Child(command, self._environment, pipe=True) as child:
            assert child.process.stdout is not None
            for raw in child.process.stdout:
                line = raw.decode("utf-8", "replace").rstrip()
                said.append(_COLOUR.sub("", line))
                log(line)
                if self._id is None and (found := _RUN_ID.search(line)):
                    self._id = found.group(1)
            child.process.wait()
        if self._id is None:
            raise ConfigurationError("Flower did not take the app: " + " ".join(said[-5:]))
        # The stream may end early, if the connection does: the status decides.
        while not (status := self._status()).startswith("finished"):
            time.sleep(_POLL_S)
        return status

    def stop(self) -> None:
        """Stops the run on a SuperLink that stays; our own is stopped with it."""
        if self._id is not None and not self._ours:
            self._flwr("stop", self._id, _CONNECTION)

    def _status(self) -> str:
        listed = self._flwr("list", _CONNECTION, "--run-id", str(self._id), "--format", "json")
        try:
            return str(json.loads(listed)["runs"][0]["status"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DdcaiError(
                f"the SuperLink does not say how run {self._id} stands: {listed.strip()[:300]}"
            ) from error

    def _flwr(self, *arguments: str) -> str:
        done = subprocess.run(
            [program("flwr"), *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout.decode("utf-8", "replace")
