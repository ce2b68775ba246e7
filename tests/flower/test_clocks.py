"""Clocks that are ten minutes off, where rounds have five."""

from __future__ import annotations

import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from flwr.app import Message

from ddcai.chain.records import RoundState
from ddcai.flower import InProcessGrid
from ddcai.rounds.party import Settings
from tests.crashing import ended, start
from tests.federation import make_federation
from tests.flower import crashing
from tests.flower.support import Nodes

SKEW_S = 600


class Late(InProcessGrid):
    """Its nodes take a while: longer than a coordinator waits that thinks that it is too late."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        made = list(super().push_messages(messages))
        self._since = dict.fromkeys(made, time.monotonic()) | getattr(self, "_since", {})
        return made

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        now = time.monotonic()
        return super().pull_messages(i for i in message_ids if now - self._since[i] > 1.5)


def _off(settings: Settings, pipe: Connection, skew_s: int) -> None:
    true = time.time
    time.time = lambda: true() + skew_s
    crashing.coordinate(settings, pipe, 1)


@pytest.mark.parametrize("skew_s", [SKEW_S, -SKEW_S])
def test_a_coordinators_clock_is_off(tmp_path: Path, chain_url: str, skew_s: int) -> None:
    """Its rounds have everybody, since the chain's time decides."""
    with make_federation(
        tmp_path, url=chain_url, submit_period_s=300, finalize_period_s=300
    ) as made:
        here, there = crashing.Pipe()
        process = start(_off, "", made.trial.coordinator, there, skew_s)
        there.close()
        crashing.serve(here, Late(Nodes(made).members))
        assert ended(process) == 0
        record = made.contract.round(1)
        assert record.state is RoundState.FINALIZED
        assert len(record.sealed) == 3
