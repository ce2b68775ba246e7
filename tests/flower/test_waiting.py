"""Who the coordinator waits for, since when and until when, as its log says."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Message, RecordDict

from ddcai.chain.records import RoundState
from ddcai.flower import InProcessGrid, messages
from ddcai.flower.waiting import AGAIN_S, Waiting, receive, utc
from tests.federation import make_federation, play_chain

from .support import Nodes

UNTIL = 1_900_000_000


class Silent(InProcessGrid):
    """A grid in which one node never answers some kind of message."""

    node, kind = 3, messages.TRAIN

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Delivers all but those."""
        identifiers = []
        for message in messages:
            about = message.metadata
            if about.dst_node_id == self.node and about.message_type.startswith(self.kind):
                identifiers.append("lost")
            else:
                identifiers += super().push_messages([message])
        return identifiers


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if "waiting until" in one.getMessage()]


def test_a_change_and_a_minute_are_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ddcai.coordinator")
    now = [UNTIL - 1000.0]
    waiting = Waiting("round 3: an update", UNTIL, clock=lambda: now[0])
    first = utc(now[0])
    waiting.tell(["contributor B", "contributor A"])
    assert lines(caplog) == [
        f"round 3: an update: waiting until {utc(UNTIL)} for contributor A since {first}, "
        f"contributor B since {first}"
    ]
    now[0] += 5
    waiting.tell(["contributor B", "contributor A"])
    assert len(lines(caplog)) == 1
    waiting.tell(["contributor B"])
    assert lines(caplog)[1].endswith(f"for contributor B since {first}")
    now[0] += AGAIN_S
    waiting.tell(["contributor B"])
    assert len(lines(caplog)) == 3
    waiting.tell([])
    assert len(lines(caplog)) == 3
    waiting.tell(["contributor B"])
    assert lines(caplog)[3].endswith(f"for contributor B since {utc(now[0])}")


def test_answers_come_back_without_those_that_do_not_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ddcai.coordinator")
    grid = Silent({})  # other nodes answer that there is no such node
    sent = [Message(RecordDict(), node, messages.TRAIN) for node in (1, 3)]
    waiting = Waiting("an update", UNTIL)
    replies = receive(grid, sent, 0.1, waiting, {1: "contributor A", 3: "contributor C"})
    assert len(replies) == 1
    assert replies[0].has_error()
    [line] = lines(caplog)
    assert f"waiting until {utc(UNTIL)} for contributor C since 20" in line
    assert "contributor A" not in line
    assert receive(grid, [], 5.0, waiting, {}) == []


def test_a_contributor_that_does_not_come_is_named_with_since_and_until(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On a chain of its own, whose clock nobody has moved away from this machine's."""
    caplog.set_level(logging.INFO, "ddcai.coordinator")
    with (
        play_chain() as chain,
        make_federation(tmp_path, url=chain.url, min_contributors=2, submit_period_s=8) as made,
    ):
        nodes = Nodes(made)
        nodes.strategy().start(Silent(nodes.members), num_rounds=1)
        record = made.contract.round(1)
        assert record.state is RoundState.FINALIZED
        assert len(record.sealed) == 2
        late = made.addresses[2]
        [line] = [line for line in lines(caplog) if line.startswith("round 1: an update")]
        found = re.search(r"until (.*) UTC for contributor (\S+) since (.*) UTC$", line)
        assert found is not None
        assert found[2] == late
        # The wait began when the round was opened, and ends with the time to submit.
        until = utc(record.submit_deadline).removesuffix(" UTC")
        assert abs(_second(found[1]) - _second(until)) <= 1
        assert 0 < _second(until) - _second(found[3]) <= 8


def test_a_contributor_that_does_not_connect_is_named(
    tmp_path: Path, chain_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ddcai.coordinator")
    with make_federation(tmp_path, url=chain_url, min_contributors=2) as made:
        nodes = Nodes(made)
        del nodes.members[3]
        nodes.strategy(join_timeout_s=1.0).start(nodes.grid(), num_rounds=1)
        [line] = [line for line in lines(caplog) if line.startswith("to connect")]
        assert f"for contributor {made.addresses[2]} since " in line


def test_signers_that_do_not_answer_are_named(
    tmp_path: Path, chain_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    caplog.set_level(logging.INFO, "ddcai.coordinator")
    monkeypatch.setattr(Silent, "kind", f"query.{messages.ATTEST}")
    with make_federation(tmp_path, url=chain_url, quorum=(1, 1)) as made:
        nodes = Nodes(made)
        with pytest.raises(Exception, match="2 of 3 contributors attested"):
            nodes.strategy().start(Silent(nodes.members), num_rounds=1, timeout=1.5)
        assert any(
            line.startswith("round 1: waiting") and f"contributor {made.addresses[2]} since" in line
            for line in lines(caplog)
        )
        assert not any(made.addresses[0] in line for line in lines(caplog))


def _second(text: str) -> int:
    """Of a day: enough for times that lie seconds apart."""
    hours, minutes, seconds = text.split()[1].split(":")
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds)
