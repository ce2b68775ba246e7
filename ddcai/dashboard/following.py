"""Bringing the index up to date while the page is shown: a thread of its own, the only writer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ddcai.errors import ChainUnreachable, DdcaiError

LOG = logging.getLogger(__name__)
POLL_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """How fresh the index is.

    Attributes:
        reached: when the chain last answered; None before it did.
        stale_since: since when it does not; None while it does.
        trouble: empty, ``unreachable`` or ``refused``. The error's text is for the log alone: it
            may have the endpoint's URL, and readers of the page are not to learn that.
    """

    reached: datetime | None = None
    stale_since: datetime | None = None
    trouble: str = ""


class Following:
    """Synchronises again and again, and remembers since when that fails."""

    def __init__(self, synchronise: Callable[[], object], poll_s: float = POLL_S) -> None:
        """Starts nothing yet.

        Args:
            synchronise: brings the index up to date once; called in one thread alone, and again
                after it failed with a `DdcaiError`.
            poll_s: seconds between two calls.
        """
        self._synchronise, self._poll_s = synchronise, poll_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self.freshness = Freshness()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stops after the call under way; what it leaves unfinished is done at the next start."""
        self._stopped.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            self._once()
            if self._stopped.wait(self._poll_s):
                return

    def _once(self) -> None:
        before = self.freshness
        try:
            self._synchronise()
        except DdcaiError as error:
            if before.stale_since is None:
                LOG.warning("the index is not brought up to date: %s", error)
            self.freshness = Freshness(
                reached=before.reached,
                stale_since=before.stale_since or before.reached or datetime.now(UTC),
                trouble="unreachable" if isinstance(error, ChainUnreachable) else "refused",
            )
        else:
            if before.stale_since is not None:
                LOG.warning("the index is brought up to date again")
            self.freshness = Freshness(reached=datetime.now(UTC))
