"""Numbers for Prometheus: those that are documented, counted right, on loopback."""

from __future__ import annotations

import re
import socket
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ddcai.cli.events import Events
from ddcai.cli.metrics import Metrics, served
from ddcai.cli.processes import free_port
from ddcai.errors import ConfigurationError
from ddcai.event_log import event
from tests.cli.conftest import Ddcai
from tests.cli.test_config_file import parsed

DOCS = Path(__file__).parents[2] / "docs" / "operate.md"
LOOPBACK = "127.0.0.1"


def scrape(port: int, path: str = "metrics") -> str:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/{path}", timeout=5) as answer:
        return str(answer.read().decode())


def families(text: str) -> dict[str, tuple[str, set[str]]]:
    """Kind and labels by name."""
    found = {}
    for one in text_string_to_metric_families(text):
        if not one.name.endswith("_created"):  # the library's own, of each counter
            labels = {name for sample in one.samples for name in sample.labels} - {"le"}
            found[one.name] = (one.type, labels)
    return found


def of(metrics: Metrics, name: str, **labels: str) -> float:
    value = metrics.registry.get_sample_value(name, labels)
    return 0.0 if value is None else value


EVENTS = [
    event("INFO", "joined", "", party="0xaa"),
    event("INFO", "joined", "", party="0xaa"),
    event("INFO", "waiting", "", round=3, waiting_for=2),
    event("INFO", "step", "", round=3, step="train", seconds=2.5),
    event("INFO", "step", "", round=3, step="finalize", seconds=0.5),
    event("ERROR", "round_cancelled", "", round=2),
    event("INFO", "answered", "", round=3, asked="train", seconds=4.0),
    event("ERROR", "refused", "", round=3, asked="query.weights"),
]


def test_what_is_served_is_what_is_documented() -> None:
    metrics = Metrics("client")
    for one in EVENTS:
        metrics.see(one)
    with served(metrics, LOOPBACK, free_port()) as port:
        found = families(scrape(port))
    rows = re.findall(r"^\| `(ddcai_\w+)` \| (\w+) \| (.*?) \|", DOCS.read_text("utf-8"), re.M)
    assert {
        name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows
    } == found


def test_events_are_counted() -> None:
    metrics = Metrics("coordinator")
    for one in EVENTS[:3]:
        metrics.see(one)
    assert of(metrics, "ddcai_waiting_for") == 2
    for one in EVENTS[3:]:
        metrics.see(one)
    assert of(metrics, "ddcai_waiting_for") == 0
    assert of(metrics, "ddcai_joined_accounts") == 1
    assert of(metrics, "ddcai_round") == 3
    assert of(metrics, "ddcai_rounds_finished_total") == 1
    assert of(metrics, "ddcai_rounds_cancelled_total") == 1
    assert of(metrics, "ddcai_step_seconds_sum", step="train") == 2.5
    assert of(metrics, "ddcai_answer_seconds_count", asked="train") == 1
    assert of(metrics, "ddcai_refused_total", asked="query.weights") == 1
    assert of(metrics, "ddcai_events_total", event="joined", level="INFO") == 2


def test_strangers_make_few_labels() -> None:
    """Who asks for a thousand kinds of messages costs no memory for each."""
    metrics = Metrics("client")
    for number in range(1000):
        letters = "".join(chr(97 + int(digit)) for digit in str(number))
        metrics.see(event("ERROR", "refused", "", asked=letters))
    (family,) = (one for one in metrics.registry.collect() if one.name == "ddcai_refused")
    assert len({sample.labels["asked"] for sample in family.samples}) <= 101


@given(st.text(), st.one_of(st.none(), st.text(), st.floats(), st.booleans()))
def test_any_event_is_counted(text: str, value: object) -> None:
    metrics = Metrics("client")
    for name in ("step", "waiting", "joined", "answered", "refused", text):
        facts = {"step": text, "asked": text, "seconds": value, "waiting_for": value}
        metrics.see(event(text, name, text, **facts))
    assert metrics.registry.get_sample_value("ddcai_last_event_time_seconds")


def test_off_by_default_and_on_loopback() -> None:
    for name in ("coordinator", "client"):
        found = parsed(name, "--deployment", "x")
        assert (found["metrics_port"], found["metrics_host"]) == (None, LOOPBACK)


def test_a_command_s_events_are_served_while_it_runs() -> None:
    port = free_port()
    events = Events("json", write=lambda _: None)
    with events.serving("client", LOOPBACK, port):
        events.take(EVENTS[-1])
        assert 'ddcai_refused_total{asked="query.weights"} 1.0' in scrape(port)
    with pytest.raises(OSError, match="refused"):
        scrape(port)
    with events.serving("client", LOOPBACK, None):
        pass


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match="--metrics-port"),
            Events("text").serving("client", LOOPBACK, port),
        ):
            pass


def test_a_port_that_is_none_is_refused(ddcai: Ddcai) -> None:
    assert ddcai("client", "--deployment", "x", "--metrics-port", 0).code == 2
