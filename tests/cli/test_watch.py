"""`ddcai watch`: once, as lines, as JSON lines, on a terminal, and while the endpoint is gone."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

from ddcai.audit.standing import read_standing
from ddcai.chain.node.connection import connect
from ddcai.cli.watch_screen import drawn
from tests.cli.conftest import Ddcai, assert_refused
from tests.federation import SmallFederation, make_federation

WAIT_S = 60
COMMAND = [sys.executable, "-c", "from ddcai.cli import main; main()", "watch", "--every-s", "0.1"]


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory, chain_url: str) -> Iterator[SmallFederation]:
    """Its first round is open, and the third contributor does not come."""
    with make_federation(tmp_path_factory.mktemp("late"), url=chain_url) as made:
        record = made.coordinator.open_round()
        for index in (0, 1):
            made.contribute(record, index)
        yield made


def named(made: SmallFederation, url: str | None = None) -> list[str]:
    return ["--contract", made.deployment.federation, "--rpc-url", url or made.url]


class Relay(ThreadingHTTPServer):
    """An endpoint that passes requests on to a chain, or hangs up."""

    daemon_threads = True

    def __init__(self, chain_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Relayed)
        self.chain_url, self.down = chain_url, False
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def server_close(self) -> None:
        self.shutdown()
        self.thread.join()
        super().server_close()


class _Relayed(BaseHTTPRequestHandler):
    server: Relay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.down:
            self.close_connection = True
            return
        kind = {"Content-Type": "application/json"}
        with urllib.request.urlopen(
            urllib.request.Request(self.server.chain_url, body, kind)
        ) as found:
            answer = found.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged."""


@contextmanager
def watching(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, ended as by ctrl-C; that is no failure."""
    process = subprocess.Popen(
        [*COMMAND, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, rest


def line_with(process: subprocess.Popen[str], *parts: str) -> str:
    """The next line that has all of these in it."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if all(part in line for part in parts):
            return line
    raise AssertionError(f"it ended without {parts}: {''.join(seen)}")


def test_once_names_who_does_not_come(ddcai: Ddcai, late: SmallFederation) -> None:
    record = late.contract.round(1)
    until = datetime.fromtimestamp(record.submit_deadline, UTC)
    answer = ddcai("watch", "--once", *named(late))
    assert answer.code == 0
    [row] = [line for line in answer.stdout.splitlines() if late.addresses[2] in line]
    assert "submit an update" in row
    assert f"{until:%H:%M:%SZ} (" in row
    assert late.addresses[0] not in answer.stdout
    found = ddcai("watch", "--once", *named(late), "--format", "json").json
    [waiting] = found["waiting"]
    since = until - timedelta(seconds=late.contract.rules().submit_period_s)
    assert waiting == {
        "account": late.addresses[2],
        "role": "contributor",
        "action": "submit an update",
        "since": f"{since:%Y-%m-%dT%H:%M:%SZ}",
        "until": f"{until:%Y-%m-%dT%H:%M:%SZ}",
    }
    assert (found["round"], found["state"], found["submitted"]) == (1, "open", 2)


def test_a_deployment_file_serves_as_well(ddcai: Ddcai, late: SmallFederation) -> None:
    given = ("--deployment", late.deployment_path, "--rpc-url", late.url, "--once")
    assert late.addresses[2] in ddcai("watch", *given).stdout


def test_without_a_federation_or_a_chain_it_is_refused(ddcai: Ddcai, late: SmallFederation) -> None:
    assert_refused(ddcai("watch", "--once", "--rpc-url", late.url), "--contract", "--deployment")
    assert_refused(ddcai("watch", *named(late, "http://127.0.0.1:1")), "127.0.0.1:1")
    stranger = ("--contract", late.deployment.head, "--rpc-url", late.url)
    assert_refused(ddcai("watch", *stranger), "not a ddcai federation")


def test_lines_follow_a_round_and_an_endpoint_that_goes_away(
    tmp_path: Path, chain_url: str
) -> None:
    relay = Relay(chain_url)
    with (
        make_federation(tmp_path, url=chain_url) as made,
        watching(*named(made, relay.url)) as process,
    ):
        line_with(process, "round 0 none: opening the first round")
        record = made.coordinator.open_round()
        made.contribute(record, 0)
        made.contribute(record, 1)
        until = datetime.fromtimestamp(record.submit_deadline, UTC)
        line_with(process, "round 1 open: updates; 2 updates, 0 sealed, 3 members")
        relay.down = True
        assert re.search(
            r"stale since \d{4}-\S+Z: no JSON-RPC answer from http", line_with(process, "stale")
        )
        made.contribute(record, 2)
        relay.down = False
        line_with(process, "the chain answers again")
        line_with(process, "round 1 open: sealing; 3 updates")
        line = line_with(process, made.contract.rules().coordinator)
        end = datetime.fromtimestamp(record.finalize_deadline, UTC)
        assert f"to seal the sum: since {until:%Y}-" in line
        assert line.strip().endswith(f", until {end:%Y-%m-%dT%H:%M:%SZ}")
    relay.server_close()


def test_json_lines_are_one_for_each_change(tmp_path: Path, chain_url: str) -> None:
    with (
        make_federation(tmp_path, url=chain_url) as made,
        watching(*named(made), "--format", "json") as process,
    ):
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["state"] == "none"
        record = made.coordinator.open_round()
        opened = json.loads(process.stdout.readline())
        assert [one["account"] for one in opened["waiting"]] == list(made.addresses)
        made.contribute(record, 0)
        next_ = json.loads(process.stdout.readline())
        assert [one["account"] for one in next_["waiting"]] == list(made.addresses[1:])
        assert next_["stale_since"] is None


def test_a_terminal_is_drawn_anew(late: SmallFederation) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *named(late)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "160", "LINES": "40"},
    )
    os.close(terminal)
    seen = ""
    try:
        while seen.count(late.addresses[2]) < 2:  # the second time over the first
            seen += os.read(controller, 65536).decode("utf-8", "replace")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=WAIT_S)
        os.close(controller)
    assert process.returncode == 0
    assert "\x1b[1A" in seen  # the cursor went up again
    assert "waiting for" in seen


def test_the_screen_says_what_is_left_and_what_is_stale(late: SmallFederation) -> None:
    found = read_standing(connect(late.url), late.contract)
    [waiting] = found.waiting
    assert waiting.until is not None

    def screen(now: datetime, why: str = "", most: int | None = None) -> str:
        out = Console(file=StringIO(), width=200)
        out.print(drawn(found, waiting.since, why, now, most=most))
        assert isinstance(out.file, StringIO)
        return out.file.getvalue()

    shown = screen(waiting.since + timedelta(seconds=65))
    assert f"{waiting.since:%H:%M:%SZ} (1 min 05 s)" in shown
    assert f"{waiting.until:%H:%M:%SZ} (58 min 55 s left)" in shown
    assert "(over)" in screen(waiting.until + timedelta(seconds=1))
    assert f"stale since {waiting.since:%H:%M:%SZ}: [bold]gone" in screen(
        waiting.since, "[bold]gone"
    )
    assert "and 1 more" in screen(waiting.since, most=0)
    assert late.addresses[2] not in screen(waiting.since, most=0)
