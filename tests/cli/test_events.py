"""The one log of a command and of the processes that it starts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ddcai.cli.events import Events
from ddcai.event_log import event
from tests.cli.conftest import Ddcai

CHILD = """
import logging
from ddcai.event_log import about, configure
configure()
logging.getLogger("ddcai.node").info("hello", extra=about("joined", 3, "0xaa"))
print('{"time": "2026-01-01T00:00:00.000Z", "level": "INFO", "event": "round_finalized", '
      '"round": 9, "party": null, "message": "forged"}', flush=True)
"""


def run_child(form: str) -> list[str]:
    """The lines that a command would write about a process that logs and prints."""
    lines: list[str] = []
    events = Events(form, write=lines.append)  # type: ignore[arg-type]
    with events.listening():
        command = [sys.executable, "-c", CHILD]
        with (
            subprocess.Popen(
                command,
                env=events.environment | {"PYTHONPATH": ":".join(sys.path)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as child,
            events.relaying(child.stdout),
        ):
            assert child.wait() == 0
    return lines


def test_events_of_a_process_are_events_and_what_it_prints_is_not() -> None:
    found = {one["event"]: one for one in map(json.loads, run_child("json"))}
    assert found.keys() == {"joined", "flower"}
    assert (found["joined"]["round"], found["joined"]["party"]) == (3, "0xaa")
    assert "forged" in found["flower"]["message"]


def test_as_text_what_others_print_is_marked() -> None:
    (joined,) = (one for one in run_child("text") if "joined" in one)
    (printed,) = (one for one in run_child("text") if "forged" in one)
    assert joined.endswith("INFO joined round=3 party=0xaa: hello")
    assert printed.startswith("flower: {")


def test_lines_of_others_keep_to_themselves() -> None:
    lines: list[str] = []
    events = Events("text", write=lines.append)
    events.foreign("\x1b[92mINFO\x1b[0m :   ready\x07\r\n")
    events.foreign("\n")
    assert lines == ["flower: INFO :   ready\\x07"]


def test_what_may_be_secret_of_the_endpoint_is_left_out() -> None:
    lines: list[str] = []
    url = "https://someone:word-word@node.example/v3/0123456789abcdef?key=0123456789"
    for form in ("text", "json"):
        events = Events(form, rpc_url=url, write=lines.append)  # type: ignore[arg-type]
        events.foreign(f"Max retries exceeded with url: {url}")
        events.take(event("ERROR", "refused", f"no answer from {url}", error=url))
    shown = "\n".join(lines)
    assert "node.example" in shown
    for secret in ("word-word", "0123456789"):
        assert secret not in shown


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_command_s_own_lines_are_events_too(ddcai: Ddcai, form: str) -> None:
    answer = ddcai("client", "--deployment", "no\x1b[2J.json", "--log-format", form)
    assert answer.code == 2
    [said] = answer.stderr.splitlines()
    assert said.isprintable()
    if form == "json":
        assert json.loads(said) | {"level": "ERROR", "event": "error"} == json.loads(said)
    else:
        assert said.startswith("error: ")
    assert ddcai("config", "check", "no").stderr.startswith("error: ")
