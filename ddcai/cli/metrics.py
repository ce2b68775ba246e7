"""What a coordinator or client does, as numbers for Prometheus: counted from its events.

Work is done in processes of which many live for one message. The command that started them sees
all their events, and it lives as long as the coordinator or client does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from ddcai.errors import ConfigurationError
from ddcai.event_log import Event

# Rounds of a small federation take a second, trainings of large ones hours.
_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
# A label's values are kept for ever: words of ddcai's own, and not too many.
_WORD = re.compile(r"[A-Za-z_.]{1,40}")
_MOST_WORDS = 100


class Metrics:
    """The numbers of one command, in a registry of their own.

    Args:
        command: ``coordinator`` or ``client``.
    """

    def __init__(self, command: str) -> None:
        self.registry = registry = CollectorRegistry()
        self._highest = 0
        self._words: set[str] = set()
        self._joined: set[str] = set()
        info = Gauge("ddcai_info", "1.", ("command", "version"), registry=registry)
        info.labels(command, version("ddcai")).set(1)
        self._events = Counter(
            "ddcai_events", "Events logged.", ("event", "level"), registry=registry
        )
        self._last = Gauge(
            "ddcai_last_event_time_seconds", "When an event was last.", registry=registry
        )
        self._round = Gauge(
            "ddcai_round", "Number of the highest round that an event was of.", registry=registry
        )
        self._steps = Histogram(
            "ddcai_step_seconds",
            "Steps of rounds that are done (coordinator).",
            ("step",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._finished = Counter(
            "ddcai_rounds_finished", "Rounds finished (coordinator).", registry=registry
        )
        self._cancelled = Counter(
            "ddcai_rounds_cancelled", "Rounds cancelled (coordinator).", registry=registry
        )
        self._accounts = Gauge(
            "ddcai_joined_accounts",
            "Accounts whose nodes joined since the start (coordinator).",
            registry=registry,
        )
        self._waiting = Gauge(
            "ddcai_waiting_for", "Accounts waited for now (coordinator).", registry=registry
        )
        self._answers = Histogram(
            "ddcai_answer_seconds",
            "Messages that were answered (client).",
            ("asked",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._refused = Counter(
            "ddcai_refused", "Messages that were refused (client).", ("asked",), registry=registry
        )

    def see(self, event: Event) -> None:
        """Counts an event."""
        name = self._word(event["event"])
        self._events.labels(name, self._word(event["level"])).inc()
        self._last.set(datetime.fromisoformat(event["time"]).timestamp())
        self._highest = max(self._highest, event["round"] or 0)
        self._round.set(self._highest)
        asked, seconds = self._word(event.get("asked")), _number(event.get("seconds"))
        if name == "step":
            step = self._word(event.get("step"))
            self._steps.labels(step).observe(seconds)
            self._waiting.set(0)
            if step == "finalize":
                self._finished.inc()
        elif name == "round_cancelled":
            self._cancelled.inc()
        elif name == "waiting":
            self._waiting.set(_number(event.get("waiting_for")))
        elif name == "joined":
            self._joined.add(str(event["party"]))
            self._accounts.set(len(self._joined))
        elif name == "answered":
            self._answers.labels(asked).observe(seconds)
        elif name == "refused":
            self._refused.labels(asked).inc()

    def _word(self, text: object) -> str:
        word = str(text)
        good = _WORD.fullmatch(word) is not None
        if good and len(self._words) < _MOST_WORDS:
            self._words.add(word)
        return word if word in self._words else "other"


@contextmanager
def served(metrics: Metrics, host: str, port: int) -> Iterator[int]:
    """Serves them over HTTP at ``/metrics`` while the block runs; gives the port.

    Raises:
        ConfigurationError: the port is in use, or the host no address of this machine.
    """
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot serve metrics on {host}:{port} ({error}): choose another --metrics-port or "
            "--metrics-host"
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
