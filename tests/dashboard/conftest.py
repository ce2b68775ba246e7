"""One federation with a page that follows it, and a browser to look with.

| round | what happens |
|---|---|
| 1 | all four contribute and settle |
| 2 | `south` commits and never delivers; the others take its deposit |
| 3 | `north` submits, then the coordinator cancels |
| 4 | all contribute; `east` does not sign |

The coordinator measures each model on data of a fifth site; the report is `audit verify`'s.

And one whose updates are judged (`judged`), by a quorum that signs whatever it likes:

| window | rounds | what happens |
|---|---|---|
| 1 | 1, 2 | `east` forfeits; the verdict stands, `north` claimed |
| 2 | 3, 4 | `north` and `east` dispute the verdict |
| 3 | 5 | is being filled |
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from torch.nn.functional import cross_entropy

from coordinator.journal import Journal
from ddcai.audit.index.database import Index
from ddcai.audit.index.sync import Sync
from ddcai.audit.report.signed import Block, sign_report
from ddcai.audit.verify import verify
from ddcai.chain.node.connection import connect
from ddcai.chain.node.embedded import dev_accounts
from ddcai.chain.records import RoundRecord, WindowRules
from ddcai.dashboard import Dashboard, Following, Server
from ddcai.models import encoder
from tests.audit.colluding import assessment_of, empty_round, post
from tests.audit.node_reading import read_history
from tests.dashboard.browsing import browser, context, page
from tests.federation import SmallFederation, make_federation, small_data
from tests.rounds.judged import CONFIG, judged_round

DEPOSIT_WEI = 10**16
__all__ = ["browser", "context", "page"]
WINDOWS = WindowRules(
    window_rounds=2, verdict_period_s=10_000, dispute_period_s=600, resolve_period_s=600
)
MEASURED = 40  # a site of which no contributor has data


@contextmanager
def running(shown: Dashboard) -> Iterator[str]:
    """A page's server in a thread, and its address."""
    server = Server(shown, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.url
    finally:
        server.should_exit = True
        thread.join(30)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A federation that runs, and what its page is made of."""

    federation: SmallFederation
    shown: Dashboard

    def round(self, **how: list[int]) -> RoundRecord:
        """Runs a round, some minutes after the last one; the coordinator measures the model."""
        self.federation.pass_time(240)
        record = self.federation.run_round(**how)  # type: ignore[arg-type]
        network = encoder.build(self.federation.config)
        model = self.federation.contract.model_digest()
        encoder.load_state(network, self.federation.coordinator.party.model(model))
        x, y = map(torch.as_tensor, small_data(MEASURED, 400))
        with torch.no_grad():
            scores = network(x)
        share = float((scores.argmax(1) == y).float().mean())
        assert self.shown.metrics is not None
        Journal(self.shown.metrics).evaluation(
            record.number, share, float(cross_entropy(scores, y))
        )
        return record

    def synchronise(self, url: str | None = None) -> None:
        """Brings the index up to date once, from the chain or another endpoint."""
        with Index(self.shown.index, writable=True) as index:
            w3 = connect(url or self.federation.url)
            Sync(index, w3, self.federation.deployment.federation).run()

    def follow(self, url: str | None = None) -> Following:
        """What does so again and again."""
        return Following(lambda: self.synchronise(url), poll_s=0.3)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The federation of the table above."""
    folder = tmp_path_factory.mktemp("page")
    with make_federation(folder / "run", 4, min_contributors=2, deposit_wei=DEPOSIT_WEI) as made:
        shown = Dashboard(
            index=folder / "index.sqlite",
            federation=made.deployment.federation,
            config=made.config,
            metrics=folder / "metrics.jsonl",
            report=folder / "report.json",
        )
        run = Run(federation=made, shown=shown)
        run.round()
        run.round(undelivered=[1])
        third = made.coordinator.open_round()
        made.contribute(third, 0)
        made.coordinator.cancel(third)
        run.round(unsigned=[2])
        history = read_history(connect(made.url), made.deployment.federation)
        assert shown.report is not None
        claims = verify(history, made.store)
        where = {"chain_id": made.deployment.chain_id, "contract": made.deployment.federation}
        block = connect(made.url).eth.get_block("latest")
        end = Block(number=block["number"], hash=bytes(block["hash"]), time=block["timestamp"])
        sign_report(dev_accounts()[0], claims, block=end, **where).save(shown.report)  # type: ignore[arg-type]
        run.synchronise()
        yield run


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The federation of the second table."""
    folder = tmp_path_factory.mktemp("judged")
    with make_federation(
        folder / "run",
        4,
        config=CONFIG,
        windows=WINDOWS,
        deposit_wei=DEPOSIT_WEI,
        submit_period_s=10**6,
    ) as made:
        shown = Dashboard(
            index=folder / "index.sqlite", federation=made.deployment.federation, config=made.config
        )
        for _ in range(2):
            judged_round(made)
        post(made, 1, {0: 3, 1: 4, 3: 2})
        made.pass_time(WINDOWS.dispute_period_s + 1)
        assessment_of(made, 0).claim([1])
        for _ in range(2):
            empty_round(made)
        post(made, 2, {0: 1, 1: 5})
        for index in (0, 2):
            assessment_of(made, index).dispute(2)
        empty_round(made)
        run = Run(federation=made, shown=shown)
        run.synchronise()
        yield run


def until(holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Waits for something that happens in another thread."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's or another chromium; CI must have it."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if found is None:
        text = "left out: the page's tests in a browser, because chromium is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{text}; CI installs it")
        pytest.skip(f"{text} (Debian: apt-get install chromium)")
    return found
